"""A problem made of an error: where it happened, what it says, and nothing of who was there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.problems import WorkstationProblem, fingerprint_of
from tests.support.problems import NOON
from workstation.server.outbox import Outbox
from workstation.server.problem_report import Machine, problem_of

HOME, USER, DIGITISER = r"C:\Users\annab", "annab", "Anna Annab Bo"
MACHINE = Machine("0.1.0", "Windows 10", "3.11.9", HOME, (USER, DIGITISER))


class DriveAway(Exception):
    """An error with a code of its own."""

    def __init__(self, message: str, code: object = "drive_away") -> None:
        super().__init__(message)
        self.code = code


def caught(call: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as found:
        call()
    return found.value


def raised(error: Exception) -> Exception:
    def fail() -> None:
        raise error

    return caught(fail)


def told(error: Exception, **more: Any) -> WorkstationProblem:
    facts: dict[str, Any] = {"step": "upload", "workstation": "W", "machine": MACHINE, "now": NOON}
    return problem_of(error, **facts | more)


def test_an_error_tells_its_code_its_first_line_and_its_traceback() -> None:
    problem = told(raised(DriveAway("a.tif: the N-Drive is away.\nTry later.")))
    assert (problem.code, problem.summary) == ("drive_away", "a.tif: the N-Drive is away.")
    assert problem.details.startswith("Traceback") and "Try later." in problem.details
    assert (problem.workstation, problem.occurred_at, problem.times) == ("W", NOON, 1)
    assert (problem.system, problem.python) == ("Windows 10", "3.11.9")


@pytest.mark.parametrize("code", [404, None, "Not a code", ""])
def test_a_code_that_is_none_is_replaced_by_the_name_of_the_class(code: object) -> None:
    assert told(raised(DriveAway("x", code))).code == "drive_away"
    assert told(raised(DriveAway("x", code)), code="no_room").code == "no_room"


def test_an_error_that_says_nothing_is_called_by_its_class() -> None:
    assert told(raised(TimeoutError())).summary == "TimeoutError"


def test_nothing_tells_who_was_there() -> None:
    error = raised(DriveAway(f"{HOME}\\s\\a.tif of {DIGITISER} ({USER}, anna@ku.dk): token=abcdef"))
    problem = told(error)
    assert problem.summary == r"~\s\a.tif of user (user, <e-mail>): token=<removed>"
    shown = problem.model_dump_json().lower()
    assert not [word for word in ("anna", "abcdef", "users") if word in shown]


def test_what_is_too_long_keeps_its_begin_and_more_of_its_end() -> None:
    problem = told(raised(DriveAway(f"{'x' * 900_000} {HOME} the end")))
    assert (len(problem.summary), problem.summary[-1]) == (200, "…")
    assert len(problem.details) == 8_000 and problem.details.startswith("Traceback")
    assert problem.details.endswith("~ the end") and "(left out)" in problem.details


def test_letters_that_no_message_can_hold_are_replaced(tmp_path: Path) -> None:
    problem = told(raised(DriveAway("a\udce6.tif has \0 in its name")))
    assert json.loads(Outbox(tmp_path).put(problem).read_text("utf-8"))["summary"] == (
        "a?.tif has \ufffd in its name"
    )


def test_the_same_error_in_the_same_function_of_ours_is_one_wherever_it_was_called(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(tmp_path / "file")
    outboxes = [Outbox(tmp_path / name / "x") for name in ("a", "b")]
    problems = [told(caught(lambda box=box: box.put(told(DriveAway("x"))))) for box in outboxes]
    expected = fingerprint_of(
        "upload", "not_a_directory_error", "builtins.NotADirectoryError",
        "workstation.server.outbox:Outbox.put",
    )  # fmt: skip
    assert {each.fingerprint for each in problems} == {expected}
    assert problems[0].summary != problems[1].summary


def test_the_same_error_at_another_step_is_another_problem() -> None:
    error = raised(DriveAway("x"))
    assert told(error).fingerprint != told(error, step="confirm").fingerprint


def test_this_machine_says_what_it_is_and_holds_who_is_there_to_be_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", "annab")
    monkeypatch.setenv("HOME", "/home/annab")
    machine = Machine.this([DIGITISER])
    assert (machine.home, machine.names) == ("/home/annab", ("annab", DIGITISER))
    assert machine.python.startswith("3.") and machine.system and machine.client_version
    assert machine.cleaned("/home/annab/x by annab") == "~/x by user"
