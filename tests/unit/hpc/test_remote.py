"""What is said to a login node, run by real shells; answers that are cut are never believed."""

import shutil
import subprocess

import pytest

from hpc.remote import Garbled, command, new_mark, read_lines
from hpc.wire.base import Answer

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh") if shutil.which(shell)]


def run(shell: str, line: str, stdin: bytes = b"") -> Answer:
    done = subprocess.run([shell, "-c", line], input=stdin, capture_output=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
def test_any_login_shell_runs_a_script_and_words_stay_whole(shell: str) -> None:
    mark = new_mark()
    odd = "printf '%s\\n' \"it's $HOME; \\`x\\`\" two; echo oops >&2; exit 3"
    lines = read_lines(run(shell, command("run", mark, f"sh -c {_quoted(odd)}")), mark)
    assert ("line", "@3") in lines
    assert ("line", "two") in lines
    assert ("line-complaint", "oops") in lines


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_a_prelude_runs_first_and_its_words_are_thrown_away() -> None:
    mark = new_mark()
    line = command("run", mark, "echo $GREETING", prelude="GREETING=hello; export GREETING; echo x")
    lines = read_lines(run("sh", line), mark)
    assert ("line", "hello") in lines
    assert ("line", "x") not in lines


def test_banners_around_an_answer_are_passed_over() -> None:
    mark = new_mark()
    out = f"Welcome!\nend\n{mark} id b1 7\nmail waiting\n{mark} end\n".encode()
    assert read_lines(Answer(0, out, b""), mark) == [("id", "b1 7")]


def test_a_start_up_file_that_leaves_its_line_open_takes_no_row_along() -> None:
    mark = new_mark()
    lines = read_lines(run("sh", f"printf 'Welcome! '; {command('run', mark, 'echo 81')}"), mark)
    assert lines[0] == ("line", "81")


@pytest.mark.parametrize("cut", [0, 5, 30, 45])
def test_an_answer_without_its_end_is_garbled(cut: int) -> None:
    mark = "refinery-0123456789abcdef"
    whole = f"{mark} id b1 7\n{mark} end\n".encode()
    with pytest.raises(Garbled):
        read_lines(Answer(None, whole[:cut], b"killed"), mark)


def test_an_answer_to_another_call_is_none() -> None:
    with pytest.raises(Garbled, match="no whole answer"):
        read_lines(Answer(0, b"refinery-aa end\n", b""), "refinery-bb")
