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
    shown = run("list").split()
    assert shown == ["name", "role", "workstations", "Åse", "operator", "bo", "operator"]
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


VALUES = """\
institutions: {NHMD: 1}
collections:
  - {name: Ants, number: 1, institution: NHMD, pipelines: [P], preparation_types: [pinning]}
workstations: [{name: NY ÆSKE 7, number: 1, institution: NHMD}]
"""


def write_values(project: Path, text: str = VALUES) -> None:
    (project / "deployments").mkdir(exist_ok=True)
    (project / "deployments" / "workstations.yaml").write_text(text, "utf-8")


def test_a_user_is_let_upload_from_some_workstations_from_all_and_from_none(
    project: Path,
) -> None:
    write_values(project)
    both = ["--workstation", "WORKHERB0001", "--workstation", "NY ÆSKE 7"]
    told = run("add", "bo", *both, given=GOOD).splitlines()
    assert told == [
        "bo may log in as reader", "bo may upload from WORKHERB0001, NY ÆSKE 7",
    ]  # fmt: skip
    assert run("workstations", "BO") == "bo may upload from WORKHERB0001, NY ÆSKE 7\n"
    assert "WORKHERB0001, NY ÆSKE 7" in run("list")
    twice = ["WORKPIOF0001", "WORKPIOF0001"]
    assert run("workstations", "bo", *twice) == "bo may upload from WORKPIOF0001\n"
    assert (bo := users(project).find("bo")) and bo.workstations == ("WORKPIOF0001",)
    assert run("workstations", "bo", "*") == "bo may upload from every workstation\n"
    assert run("workstations", "bo", "--none") == "bo may upload from no workstation\n"
    assert "workstations =" not in users(project).path.read_text("utf-8")
    assert bo.role is Role.READER


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["WORKHERB001"], "there is no 'WORKHERB001'; nearest is 'WORKHERB0001'"),
        (["NY ESKE 7"], "there is no 'NY ESKE 7'; nearest is 'NY ÆSKE 7'"),
        (["../other"], "'../other' cannot be a file's name: it contains /"),
        (["WORKHERB0001", ""], "cannot be a file's name: it is empty"),
        (["W" * 65], "more than 64 characters"),
        (["WORKHERB0001", "--none"], "write either workstations or --none"),
    ],
)
def test_a_workstation_that_is_none_is_refused_with_the_nearest(
    project: Path, names: list[str], told: str
) -> None:
    write_values(project)
    run("add", "bo", "--workstation", "*", given=GOOD)
    before = users(project).path.read_bytes()
    assert told in run("workstations", "bo", *names)
    asked = [word for name in names for word in ("--workstation", name)]
    if "--none" not in names:
        assert told in run("add", "ib", *asked, given=GOOD)
    assert users(project).path.read_bytes() == before


def test_where_every_folder_is_watched_any_name_that_can_be_one_will_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", "bo", given=GOOD)
    monkeypatch.setenv("REFINERY_WORKSTATIONS", "*")
    assert run("workstations", "bo", "ALICE") == "bo may upload from ALICE\n"
    assert "cannot be a file's name" in run("workstations", "bo", "a:b")
    assert "more than 64 characters" in run("workstations", "bo", "W" * 65)


def test_the_workstations_of_nobody_are_refused_and_broken_values_named(project: Path) -> None:
    assert "there is no user 'bo'" in run("workstations", "bo")
    assert "there is no user 'bo'" in run("workstations", "bo", "*")
    run("add", "bo", given=GOOD)
    write_values(project, "institutions: [")
    assert "workstations.yaml, line" in run("workstations", "bo", "ELSEWHERE")
    assert run("workstations", "bo", "WORKHERB0001") == "bo may upload from WORKHERB0001\n"


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
