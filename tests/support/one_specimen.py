"""A plain specimen, or a few, on the whole road; what must be true whatever happened to them."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any
from uuid import UUID

from demo.specimens.sessions import write_sample_session
from tests.support.stack import Stack

WORKSTATION = "WORKHERB0001"
DISPATCH = "dispatch/session"
SEEDS = count(101)

Drop = Callable[[], Path]


def drop(stack: Stack, scratch: Path, specimens: int = 1) -> Path:
    """Put a plain specimen, or a few, as a session of its own, on the N-Drive."""
    first, now = next(SEEDS), datetime.now().astimezone()
    place = stack.settings.n_drive / WORKSTATION
    growing = place / f"new_{first}"
    for n, seed in enumerate([first, *islice(SEEDS, specimens - 1)]):
        taken = now - timedelta(minutes=n)
        drawn = write_sample_session(scratch / str(seed), now=taken, seed=seed, once=True)
        shutil.copytree(drawn.path, growing, dirs_exist_ok=True)
    return growing.rename(place / f"specimen {first}")


def dispatchers(stack: Stack, session: UUID) -> list[dict[str, Any]]:
    """The session's dispatchers, the first one first."""
    return stack.rows(
        "SELECT * FROM track.dispatcher WHERE session_id = %(s)s ORDER BY started_at", s=session
    )


def sizes(stack: Stack, session: UUID) -> list[int]:
    """How many jobs each subflow of the session showed."""
    runs = [str(each["flow_run_id"]) for each in dispatchers(stack, session)]
    return [
        len(each["parameters"]["jobs"]) for run in runs for each in stack.prefect.subflows_of(run)
    ]


def as_if_nothing_had_been(
    stack: Stack, session: UUID, but: int | None = None, specimens: int = 1
) -> None:
    """The session is finished, each effect happened once, and no job (but one) used up a try."""
    assets = stack.rows(
        "SELECT guid, finalised_at FROM track.asset WHERE session_id = %(s)s", s=session
    )
    assert len(assets) == 3 * specimens and all(asset["finalised_at"] for asset in assets)
    jobs = stack.rows(
        "SELECT j.id, j.state, j.tries FROM track.job j"
        " JOIN track.asset a ON a.guid = j.asset_guid WHERE a.session_id = %(s)s",
        s=session,
    )
    assert {job["state"] for job in jobs} <= {"done", "excluded"}
    assert {job["id"]: job["tries"] for job in jobs if job["tries"]} == ({but: 1} if but else {})
    ids = [job["id"] for job in jobs]
    done = stack.rows(
        "SELECT count(*) AS n FROM track.history"
        " WHERE job_id = ANY(%(ids)s) AND what = 'job.state' AND new = 'done' GROUP BY job_id",
        ids=ids,
    )
    assert {row["n"] for row in done} == {1}
    attempts = stack.rows("SELECT * FROM track.attempt WHERE job_id = ANY(%(ids)s)", ids=ids)
    assert all(attempt["closed_at"] for attempt in attempts)
    ends = Counter(attempt["job_id"] for attempt in attempts if attempt["outcome"] == "done")
    assert set(ends.values()) == {1}
    created = stack.archive_rows(
        "SELECT asset_guid, event FROM ars.event WHERE event LIKE 'CREATE%%'"
        " AND asset_guid = ANY(%(guids)s)",
        guids=[asset["guid"] for asset in assets],
    )
    once = Counter((row["asset_guid"], row["event"]) for row in created)
    events = ("CREATE_ASSET_METADATA", "CREATE_ASSET")
    assert once == Counter((asset["guid"], event) for asset in assets for event in events)


@dataclass(frozen=True)
class Waves:
    """Sessions of two plain specimens, whose jobs Prefect is to show in waves."""

    stack: Stack
    scratch: Path

    def drop(self) -> Path:
        """Put one on the N-Drive."""
        return drop(self.stack, self.scratch, specimens=2)

    def as_if_nothing_had_been(self, session: UUID) -> None:
        """It is finished, each effect happened once, and some subflow showed several jobs."""
        as_if_nothing_had_been(self.stack, session, specimens=2)
        assert max(sizes(self.stack, session)) > 1
