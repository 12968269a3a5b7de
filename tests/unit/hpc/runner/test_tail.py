"""The end of what was printed: bounded, and fit to be shown, whatever it was."""

from pathlib import Path

import pytest

from hpc.runner.tail import TAIL_BYTES, TAIL_LINES, read_tail, tail_of
from schemas.attempts import MAX_PRINTED


def test_only_so_many_lines_and_bytes_of_the_end_are_shown(tmp_path: Path) -> None:
    (path := tmp_path / "0.output").write_text("".join(f"line {n}\n" for n in range(200)))
    assert (read_tail(path) or "").splitlines() == [
        f"line {n}" for n in range(200 - TAIL_LINES, 200)
    ]
    path.write_bytes(b"\xff\0" + "æ".encode() * TAIL_BYTES)
    end = read_tail(path) or ""
    assert end == "æ" * (TAIL_BYTES // 2)
    assert read_tail(path, 10) == "æ" * 5
    assert len(tail_of(b"\xff" * 3 * TAIL_BYTES)) == TAIL_BYTES <= MAX_PRINTED


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"a\0b \xff", "a␀b \ufffd"),
        (b"\x1b[1;31mno label\x1b[0m\x07\n", "no label␇"),
        (b" 10%\r 55%\r100%\r\nread\r\n", "100%\nread"),
        (b"a\tb\x7f\xc2\x9b", "a\tb␡\ufffd"),
        (b"one\x0b\xe2\x80\xa8line\n\n \n", "one␋\u2028line"),
        (b" \r\n\n", ""),
    ],
)
def test_it_shows_as_a_terminal_would_have_left_it(printed: bytes, shown: str) -> None:
    assert tail_of(printed) == shown


def test_nothing_printed_is_not_the_same_as_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "0.output").touch()
    assert read_tail(tmp_path / "0.output") == ""
    assert read_tail(tmp_path / "1.output") is None
    assert read_tail(tmp_path) is None
