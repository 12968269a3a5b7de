"""The batch folder: which lines are mine, and what is said when it is not one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc.runner.batch import keep_for_driver, parse_index, read_lines
from hpc.runner.errors import BatchError

LINE = {
    "attempt": 7,
    "fence": 1,
    "guid": "g",
    "stage": "barcode",
    "module": "barcode",
    "callback": "http://127.0.0.1:1",
    "root": "/site",
}


def write(folder: Path, *rows: object, tokens: str = "secret\n") -> None:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "manifest.jsonl").write_text(text + "\n")
    (folder / "tokens").write_text(tokens)


def test_an_index_is_numbers_and_ranges() -> None:
    assert parse_index("7") == [7]
    assert parse_index("3-5") == [3, 4, 5]
    assert parse_index("1,4-6,4") == [1, 4, 5, 6]


@pytest.mark.parametrize("text", ["", "a", "-1", "5-3", "1,,2", "1-", "1.5"])
def test_a_wrong_index_is_named(text: str) -> None:
    with pytest.raises(BatchError, match="--index"):
        parse_index(text)


@given(st.lists(st.integers(0, 10_000), min_size=1, unique=True))
def test_any_list_of_lines_is_read_back_in_order(lines: list[int]) -> None:
    assert parse_index(",".join(map(str, lines))) == lines


def test_a_line_carries_its_own_token_and_never_shows_it(tmp_path: Path) -> None:
    write(tmp_path, LINE, {**LINE, "attempt": 8}, tokens="first\nsecond\n")
    (line,) = read_lines(tmp_path, [1])
    assert (line.attempt, line.token) == (8, "second")
    assert "second" not in repr(line)


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"])
def test_no_character_within_a_text_ends_a_line(tmp_path: Path, odd: str) -> None:
    first = json.dumps({**LINE, "guid": f"a{odd}b"}, ensure_ascii=False)
    write(tmp_path, first, {**LINE, "attempt": 8}, tokens="first\nsecond\n")
    assert [line.guid for line in read_lines(tmp_path, [0])] == [f"a{odd}b"]
    assert [line.attempt for line in read_lines(tmp_path, [1])] == [8]


@pytest.mark.parametrize(
    ("rows", "index", "named"),
    [
        ([LINE], 3, "line 3: there is none"),
        (["{broken"], 0, "line 0: is not JSON"),
        (["[]"], 0, "is not an object"),
        ([{**LINE, "guid": None}], 0, "field 'guid'"),
        ([{**LINE, "attempt": "7"}], 0, "field 'attempt'"),
        ([{**LINE, "root": "relative"}], 0, "field 'root'"),
        ([{**LINE, "root": "/"}], 0, "field 'root'"),
    ],
)
def test_a_broken_manifest_is_named_by_line_and_field(
    tmp_path: Path, rows: list[object], index: int, named: str
) -> None:
    write(tmp_path, *rows)
    with pytest.raises(BatchError, match=named):
        read_lines(tmp_path, [index])


def test_a_missing_token_is_named(tmp_path: Path) -> None:
    write(tmp_path, LINE, tokens="\n")
    with pytest.raises(BatchError, match="tokens, line 0"):
        read_lines(tmp_path, [0])


def test_what_is_kept_for_the_driver_is_whole_and_alone(tmp_path: Path) -> None:
    keep_for_driver(tmp_path, 7, "/attempts/7/complete", {"a": 1})
    kept = keep_for_driver(tmp_path, 7, "/attempts/7/complete", {"a": 2})
    assert json.loads(kept.read_text()) == {"path": "/attempts/7/complete", "body": {"a": 2}}
    assert [path.name for path in kept.parent.iterdir()] == ["7.json"]
