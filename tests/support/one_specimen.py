"""One plain specimen on the whole road, and what must be true of it whatever happened to it."""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from demo.specimens.sessions import write_sample_session
from tests.support.stack import Stack

WORKSTATION = "WORKHERB0001"
SEEDS = count(101)

Drop = Callable[[], Path]


def drop(stack: Stack, scratch: Path) -> Path:
    """Put one plain specimen, as a session of its own, on the N-Drive."""
    seed = next(SEEDS)
    drawn = write_sample_session(scratch, now=datetime.now().astimezone(), seed=seed, once=True)
    place = stack.settings.n_drive / WORKSTATION
    return shutil.copytree(drawn.path, place / f"new_{seed}").rename(place / f"specimen {seed}")


def dispatchers(stack: Stack, session: UUID) -> list[dict[str, Any]]:
    """The session's dispatchers, the first one first."""
    return stack.rows(
        "SELECT * FROM track.dispatcher WHERE session_id = %(s)s ORDER BY started_at", s=session
    )


def as_if_nothing_had_been(stack: Stack, session: UUID, but: int | None = None) -> None:
    """The session is finished, each effect happened once, and no job (but one) used up a try."""
    assets = stack.rows(
        "SELECT guid, finalised_at FROM track.asset WHERE session_id = %(s)s", s=session
    )
    assert len(assets) == 3 and all(asset["finalised_at"] for asset in assets)
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
