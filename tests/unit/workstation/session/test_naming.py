"""Guids, file names and the names of sessions."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.guid import Guid
from tests.support.camera import CHOICES, VALUES
from workstation.session import naming
from workstation.session.naming import GuidMaker, NoNumberLeft, new_name, session_name

TAKEN = datetime.fromisoformat("2026-11-21T09:30:05.25+01:00")


def maker(taken: set[str] | None = None) -> GuidMaker:
    collection = VALUES.collection(CHOICES.collection)
    assert collection is not None
    return GuidMaker(VALUES, collection, (taken or set()).__contains__)


def test_a_guid_holds_the_cameras_clock_and_the_workstations_numbers() -> None:
    found = Guid.parse(maker().make(TAKEN))
    assert found.captured == datetime(2026, 11, 21, 9, 30, 5)  # noqa: DTZ001 (wall clock)
    assert (found.institution, found.collection, found.workstation) == (1, 1, 1)
    assert found.derivative == 0


def test_no_random_number_comes_twice_in_a_session_and_no_guid_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = iter([7, 7, 7, 8, 9])
    monkeypatch.setattr(secrets, "randbelow", lambda below: next(drawn))
    first = maker().make(TAKEN)
    assert Guid.parse(first).random == 7
    session = maker({first})
    assert [Guid.parse(session.make(TAKEN)).random for _ in range(2)] == [8, 9]


def test_when_all_numbers_are_used_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "MAX_RANDOM", 2)
    session = maker()
    assert len({session.make(TAKEN) for _ in range(3)}) == 3
    with pytest.raises(NoNumberLeft, match="at most 3"):
        session.make(TAKEN)


@pytest.mark.parametrize(
    ("name", "expected"), [("A.TIF", "g.tif"), ("a.b.Tiff", "g.tiff"), ("x.RAF", "g.raf")]
)
def test_a_file_keeps_its_ending_in_lower_case(name: str, expected: str) -> None:
    assert new_name("g", Path(name)) == expected


def test_a_session_is_named_by_the_workstations_clock() -> None:
    begun = datetime(2026, 7, 1, 22, 30, 0, tzinfo=UTC)
    names = {session_name(begun, "Europe/Copenhagen") for _ in range(20)}
    assert len(names) == 20
    assert {name[:20] for name in names} == {"2026-07-02T00.30.00_"}
    assert all(len(name) == 26 for name in names)
