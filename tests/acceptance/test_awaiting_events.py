"""What wakes whom: events alone suffice, no event at all suffices, and nothing is taken early."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from demo.specimens.sessions import write_sample_session
from tests.acceptance.deaf_prefect import DeafPrefect, deaf_prefect
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)  # seconds, for the first test waits for them all
DISPATCH = "dispatch/session"
HOUR = {"tick_s": 3600, "recheck_s": 3600}
QUICK = {"tick_s": 1, "recheck_s": 1}
WORKSTATION = "WORKHERB0002"
WRITING_S = 6.0
"""Three times as long as a folder has to lie still in these tests."""


@dataclass(frozen=True)
class Drawn:
    """One plain specimen that lies somewhere and has not been dropped yet."""

    folder: Path
    guid: str

    @property
    def json(self) -> Path:
        return self.folder / f"{self.guid}.json"

    @property
    def image(self) -> Path:
        return self.folder / f"{self.guid}.jpg"


@dataclass
class Sessions:
    """The sessions of this module, all under way at once."""

    stack: Stack
    broken: tuple[Path, Drawn]
    written_slowly: tuple[Path, Drawn]
    silent: tuple[Path, Drawn]
    too_early: list[dict[str, Any]]
    last_write: datetime


def draw(folder: Path, seed: int) -> Drawn:
    now = datetime.now().astimezone()
    sample = write_sample_session(folder / str(seed), now=now, seed=seed, once=True)
    (guid,) = sample.expectations
    return Drawn(sample.path, guid)


def drop(stack: Stack, drawn: Drawn, name: str, *, image: bytes | None = None) -> Path:
    """Put a specimen's folder on the N-Drive at once, with its image or another one."""
    place = stack.settings.n_drive / WORKSTATION
    unfinished = place / f"new_{name}"
    shutil.copytree(drawn.folder, unfinished)
    if image is not None:
        (unfinished / drawn.image.name).write_bytes(image)
    return unfinished.rename(place / name)


def running(stack: Stack, path: Path) -> None:
    """Wait until the session's dispatch run runs, with what its deployment was set to until now."""

    def runs() -> bool:
        found = stack.session(path)
        mine = stack.prefect.runs_of("session", found["id"]) if found else []
        return any(run["state_type"] not in ("SCHEDULED", "PENDING") for run in mine)

    stack.until(runs, f"the dispatch run of {path.name}")


def write_slowly(stack: Stack, drawn: Drawn, path: Path) -> tuple[list[dict[str, Any]], datetime]:
    """Write a session as a slow network would: what was taken meanwhile, and when it ended."""
    path.mkdir()
    shutil.copy(drawn.json, path)
    content, seen = drawn.image.read_bytes(), []
    begun = time.monotonic()
    with (path / drawn.image.name).open("wb", buffering=0) as image:
        while (share := (time.monotonic() - begun) / WRITING_S) < 1:
            image.write(content[image.tell() : int(len(content) * share)])
            if found := stack.session(path):
                seen.append(found)
        image.write(content[image.tell() :])
    return seen, datetime.now(UTC)


@pytest.fixture(scope="module")
def deaf(stack: Stack) -> Iterator[DeafPrefect]:
    with deaf_prefect(stack.addresses.prefect) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def sessions(
    stack: Stack, deaf: DeafPrefect, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sessions]:
    """Three sessions dropped one after another, each with a dispatcher of its own kind."""
    scratch = tmp_path_factory.mktemp("drawn")
    broken, slow, silent = (draw(scratch, seed) for seed in (11, 12, 13))
    before = stack.prefect.deployment(DISPATCH)
    kept = {name: before[name] for name in ("parameters", "job_variables")}
    cut = broken.image.read_bytes()[: broken.image.stat().st_size // 2]
    broken_path = drop(stack, broken, "broken", image=cut)
    running(stack, broken_path)
    try:
        stack.prefect.change_deployment(DISPATCH, parameters={"pace": HOUR})
        slow_path = stack.settings.n_drive / WORKSTATION / "written slowly"
        too_early, last_write = write_slowly(stack, slow, slow_path)
        running(stack, slow_path)
        silence = {"env": {"PREFECT_API_URL": deaf.api}}
        pace = {"pace": QUICK}
        stack.prefect.change_deployment(DISPATCH, parameters=pace, job_variables=silence)
        silent_path = drop(stack, silent, "silent")
        running(stack, silent_path)
    finally:
        stack.prefect.change_deployment(DISPATCH, **kept)
    dropped = ((broken_path, broken), (slow_path, slow), (silent_path, silent))
    yield Sessions(stack, *dropped, too_early, last_write)


def finalised(stack: Stack, guid: str) -> bool:
    (row,) = stack.rows(
        "SELECT count(*) = 3 AND count(finalised_at) = 3 AS all_are FROM track.asset"
        " WHERE guid = %(g)s OR parent_guid = %(g)s",
        g=guid,
    )
    return bool(row["all_are"])


def test_a_folder_still_being_written_is_not_taken(sessions: Sessions) -> None:
    assert sessions.too_early == []
    taken = sessions.stack.session(sessions.written_slowly[0])
    assert taken is not None
    waited = taken["opened_at"] - sessions.last_write
    assert waited.total_seconds() >= sessions.stack.settings.settle_seconds - 1


def test_the_road_completes_by_events_alone(sessions: Sessions) -> None:
    path, drawn = sessions.written_slowly
    session = sessions.stack.follow(path)
    (run,) = sessions.stack.prefect.runs_of("session", session)
    assert run["parameters"]["pace"] == HOUR
    assert finalised(sessions.stack, drawn.guid)


def test_the_road_completes_without_any_event(sessions: Sessions, deaf: DeafPrefect) -> None:
    path, drawn = sessions.silent
    session = sessions.stack.follow(path)
    (run,) = sessions.stack.prefect.runs_of("session", session)
    assert run["parameters"]["pace"] == QUICK
    assert deaf.refused > 0
    assert finalised(sessions.stack, drawn.guid)


def test_a_corrected_specimen_dropped_again_is_opened_again_and_finalised(
    sessions: Sessions,
) -> None:
    stack, (path, drawn) = sessions.stack, sessions.broken
    first = stack.follow(path)
    assert path.with_name("error_broken").is_dir()
    again = drop(stack, drawn, "corrected")
    second = stack.follow(again)
    assert first != second and finalised(stack, drawn.guid)
    (row,) = stack.rows("SELECT * FROM track.asset WHERE guid = %(g)s", g=drawn.guid)
    assert (row["session_id"], row["quarantine"]) == (second, None)
    assert again.with_name("imported_corrected").is_dir()
    archived = stack.erda / "NHMD" / "Vascular plants" / drawn.guid / drawn.image.name
    assert archived.read_bytes() == drawn.image.read_bytes()
