"""What is said to a login node, run by real shells; answers that are cut are never believed."""

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

import hpc.remote
from hpc.remote import TruncatedAnswer, command, new_mark, program, read_lines
from hpc.transport.channel import CommandAnswer

KINDS = ("sh", "bash", "dash", "zsh", "mksh", "fish", "tcsh", "bsd-csh")
# In CI none may be lacking: the test set-up installs them.
SHELLS = [shell for shell in KINDS if os.environ.get("CI") or shutil.which(shell)]
ODD = 'it\'s $HOME; `x`! \\ "two" %s %b \\0101 é\tand\nmore ~ {a,b} #'


def run(shell: str, first: bytes, stdin: bytes = b"", home: Path | None = None) -> CommandAnswer:
    """As sshd runs a command: the login shell's `-c`, our line first on its stdin."""
    mark = first[2:].partition(b";")[0].decode()
    environment = {**os.environ, **({"HOME": str(home)} if home else {})}
    done = subprocess.run(
        [shell, "-c", command(mark)],
        input=first + stdin,
        capture_output=True,
        check=False,
        env=environment,
    )
    return CommandAnswer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
def test_any_login_shell_runs_a_script_with_unchanged_arguments(shell: str) -> None:
    mark = new_mark()
    line = f"printf '[%s]' {_quoted(ODD)}; echo oops >&2; exit 3"
    lines = read_lines(run(shell, program("run", mark, f"sh -c {_quoted(line)}")), mark)
    said = "\n".join(text for kind, text in lines if kind == "line")
    assert said == f"[{ODD}]\n@3"
    assert ("line-complaint", "oops") in lines


@pytest.mark.parametrize("shell", SHELLS)
def test_what_follows_the_script_on_stdin_is_its_own_to_the_last_byte(
    shell: str, tmp_path: Path
) -> None:
    """A shell that reads ahead would take some of the tar."""
    mark, content, packed = new_mark(), os.urandom(100_000), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("some.whl")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    answer = run(shell, program("wheels", mark, str(tmp_path)), packed.getvalue())
    assert read_lines(answer, mark) == []
    assert (tmp_path / "wheels" / "some.whl").read_bytes() == content


@pytest.mark.parametrize(
    ("shell", "startup", "text"),
    [
        ("tcsh", ".cshrc", "echo Welcome\n"),
        ("bsd-csh", ".cshrc", "echo Welcome; set path = ($path /opt)\n"),
        ("tcsh", ".cshrc", "exec bash\n"),
        ("tcsh", ".cshrc", "exec zsh\n"),
        ("zsh", ".zshenv", "echo Welcome\nexec bash\n"),
        ("fish", ".config/fish/config.fish", "echo Welcome\nexec bash\n"),
    ],
)
def test_startup_files_may_talk_or_put_another_shell_in_their_place(
    shell: str, startup: str, text: str, tmp_path: Path
) -> None:
    if shell not in SHELLS or ("zsh" in text and "zsh" not in SHELLS):
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / startup
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    mark = new_mark()
    answer = run(shell, program("run", mark, "cat", prelude="x=1"), b"never seen", home=tmp_path)
    assert ("line", "@0") in read_lines(answer, mark)


@pytest.mark.parametrize(
    ("shell", "startup", "text"),
    [("zsh", ".zshenv", "read -r taken\n"), ("tcsh", ".cshrc", 'set taken = "$<"\n')],
)
def test_what_was_meant_as_data_is_never_run_though_the_script_was_read_away(
    shell: str, startup: str, text: str, tmp_path: Path
) -> None:
    if shell not in SHELLS:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / startup).write_text(text)
    mark, data = new_mark(), f"touch {tmp_path}/run\n" * 3
    answer = run(shell, program("run", mark, "true"), data.encode(), home=tmp_path)
    with pytest.raises(TruncatedAnswer, match="start-up files took the line"):
        read_lines(answer, mark)
    assert not (tmp_path / "run").exists()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_a_prelude_runs_first_and_its_output_is_thrown_away() -> None:
    mark = new_mark()
    first = program(
        "run", mark, "echo $GREETING", prelude="GREETING=hello; export GREETING; set -eu; echo x"
    )
    lines = read_lines(run("sh", first), mark)
    assert ("line", "hello") in lines
    assert ("line", "x") not in lines


def test_a_prelude_may_set_arguments_of_its_own_without_changing_ours() -> None:
    mark = new_mark()
    lines = read_lines(run("sh", program("run", mark, "echo ours", prelude="set -- a b")), mark)
    assert ("line", "ours") in lines


def test_a_script_that_arrives_cut_is_not_begun(tmp_path: Path) -> None:
    first = program("run", new_mark(), f"touch {tmp_path}/begun")
    for cut in (1, len(first) // 2, len(first) - 1):
        run("sh", first[:cut])
    assert not (tmp_path / "begun").exists()


def test_what_a_shell_that_refuses_logins_prints_is_quoted() -> None:
    with pytest.raises(
        TruncatedAnswer, match=r"exit code 1\): This account is currently not available"
    ):
        read_lines(CommandAnswer(1, b"This account is currently not available.\n", b""), new_mark())


def test_banners_around_an_answer_are_passed_over() -> None:
    mark = new_mark()
    out = f"Welcome!\nend\n{mark} id b1 7\nmail waiting\n{mark} end\n".encode()
    assert read_lines(CommandAnswer(0, out, b""), mark) == [("id", "b1 7")]


@pytest.mark.skipif("zsh" not in SHELLS, reason="zsh is not installed")
def test_a_start_up_file_that_leaves_its_line_open_takes_no_row_along(tmp_path: Path) -> None:
    (tmp_path / ".zshenv").write_text("printf 'Welcome! '\n")
    mark = new_mark()
    lines = read_lines(run("zsh", program("run", mark, "echo 81"), home=tmp_path), mark)
    assert lines[0] == ("line", "81")


@pytest.mark.parametrize("cut", [0, 5, 30, 45])
def test_an_answer_without_its_end_is_truncated(cut: int) -> None:
    mark = "refinery-0123456789abcdef"
    whole = f"{mark} id b1 7\n{mark} end\n".encode()
    with pytest.raises(TruncatedAnswer):
        read_lines(CommandAnswer(None, whole[:cut], b"killed"), mark)


def test_an_answer_to_another_call_is_none() -> None:
    with pytest.raises(TruncatedAnswer, match="no whole answer"):
        read_lines(CommandAnswer(0, b"refinery-aa end\n", b""), "refinery-bb")


def test_the_table_of_answers_names_every_script_and_every_kind_of_line() -> None:
    rows = re.findall(
        r"^ {4}(\w+) +((?:.+\n)(?: {13,}.+\n)*)", str(hpc.remote.__doc__), re.MULTILINE
    )
    told = {name: set(re.findall(r"\w+", text)) for name, text in rows}
    scripts = {path.stem: path for path in Path("hpc/remote").glob("*.sh") if path.stem != "frame"}
    assert told.keys() == scripts.keys()
    for name, path in scripts.items():
        code = re.sub(r"(?m)^ *#.*$", "", path.read_text())
        said = re.findall(r"\b(?:say|label|ask) ([a-z_]+)\b", code)
        assert set(said) - {"trouble"} <= told[name], name
