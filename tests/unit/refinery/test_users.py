"""`refinery user`, from adding somebody to removing them."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blocks.access.users import Role, UsersFile
from refinery.cli import app
from refinery.doctor import at_rest
from refinery.settings import Settings

GOOD = "horse battery\n"
MAX_SECONDS = 30.0


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("REFINERY_")]:
        monkeypatch.delenv(name)
    return tmp_path


def run(*arguments: str, given: str = "") -> str:
    """What the command prints; the message of what it raises."""
    done = CliRunner().invoke(app, ["user", *arguments], input=given)
    return str(done.exception or done.output)


def users(project: Path) -> UsersFile:
    return UsersFile(project / ".refinery" / "users.toml")


def test_somebody_is_added_changed_and_removed(project: Path) -> None:
    assert run("add", "Åse", "--role", "operator", given=GOOD) == "Åse may log in as operator\n"
    assert run("add", "bo", given=GOOD) == "bo may log in as reader\n"
    first = users(project).find("bo")
    assert run("password", "BO", given="another one\n") == "bo has a new password\n"
    assert first and users(project).find("bo") != first
    assert run("role", "bo", "operator") == "bo is operator\n"
    assert (bo := users(project).find("bo")) and bo.role is Role.OPERATOR
    assert run("list").split() == ["name", "role", "Åse", "operator", "bo", "operator"]
    assert run("remove", "åse") == "Åse may log in no more\n"
    assert list(users(project).read()) == ["bo"]


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (["add", " bo"], GOOD, "name: write 1 to 100"),
        (["add", "bo"], "short\n", "password: write 10 to"),
        (["add", "bo"], "", "password: write 10 to"),
        (["add", "bo", "--role", "boss"], GOOD, "role: there is no 'boss'; write reader or"),
        (["role", "bo", "reader"], "", "there is no user 'bo'; there is: nobody"),
        (["remove", "bo"], "", "there is no user 'bo'"),
        (["password", "bo"], GOOD, "there is no user 'bo'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    project: Path, arguments: list[str], given: str, told: str
) -> None:
    assert told in run(*arguments, given=given)
    assert not users(project).read()


def test_a_name_that_is_there_is_refused(project: Path) -> None:
    run("add", "bo", given=GOOD)
    assert "Bo is a user already" in run("add", "Bo", given=GOOD)


def test_nobody_is_listed_with_what_to_do(project: Path) -> None:
    assert "refinery user add NAME" in run("list")


def test_a_terminal_is_asked_twice_and_shows_nothing(project: Path) -> None:
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "refinery.cli", "user", "add", "bo"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env=environment,
    ) as process:  # fmt: skip
        os.close(terminal)
        try:
            # What is typed before the blank after the prompt is thrown away.
            for prompt in (b"Password: ", b"Repeat for confirmation: "):
                shown_until(keyboard, prompt)
                os.write(keyboard, GOOD.encode())
            assert b"horse" not in shown_until(keyboard, b"bo may log in as reader")
            assert process.wait(MAX_SECONDS) == 0
        finally:
            process.kill()
            os.close(keyboard)
    assert users(project).find("bo")


def shown_until(keyboard: int, text: bytes) -> bytes:
    """What a terminal shows up to and with a text."""
    shown = b""
    while text not in shown:
        ready, _, _ = select.select([keyboard], [], [], MAX_SECONDS)
        assert ready, shown
        shown += os.read(keyboard, 1000)
    return shown


def test_the_doctor_says_who_may_log_in_and_what_is_wrong_with_the_file(project: Path) -> None:
    settings = Settings.load(project)

    def found() -> tuple[bool, str]:
        finding = next(each for each in at_rest(settings) if each.name == "users")
        return finding.well, finding.what

    assert found() == (True, "none; add one: 'refinery user add'")
    run("add", "bo", given=GOOD)
    path = users(project).path
    assert found() == (True, f"1 readers and 0 operators in {path}")
    path.chmod(0o640)
    assert found() == (False, f"others may read the hashes in {path}: run 'chmod 600 {path}'")
    path.write_text("[[user")
    well, what = found()
    assert not well and "not valid TOML" in what
