"""Whatever process is killed in the middle of its work: the specimen ends as if nothing had been.

One system, one specimen per test. Each kill lands while the database vouches that its job
is claimed, queued or running; afterwards every effect has happened exactly once.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from demo.sessions import write_sample_session
from tests.support import kills
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(600)

WORKSTATION = "WORKHERB0001"
SEEDS = count(101)
LIVE = ("PENDING", "RUNNING", "CANCELLING")

Drop = Callable[[], Path]


@pytest.fixture
def drop(stack: Stack, tmp_path: Path) -> Drop:
    """Put one plain specimen, as a session of its own, on the N-Drive."""

    def dropped() -> Path:
        seed = next(SEEDS)
        now = datetime.now().astimezone()
        drawn = write_sample_session(tmp_path, now=now, seed=seed, once=True)
        place = stack.settings.n_drive / WORKSTATION
        path = place / f"kill {seed}"
        shutil.copytree(drawn.path, place / f"new_{seed}").rename(path)
        return path

    return dropped


def test_worker_api_site_driver_and_runner_killed_on_one_specimens_road(
    stack: Stack, drop: Drop
) -> None:
    path = drop()
    at = partial(kills.holds, stack, path)
    kills.kill_at(stack, at("claimed"), "worker")
    kills.kill_at(stack, at("running", "assetLoader", "barcode"), "api-clusters")
    kills.kill_at(stack, at("running", "ocr"), "sites")
    killed = kills.kill_at(stack, at("running", "derivative"), "runner")
    as_if_nothing_had_been(stack, stack.follow(path), but=killed["id"])
    ends = stack.rows(
        "SELECT outcome, exit_code FROM track.attempt WHERE job_id = %(j)s ORDER BY n",
        j=killed["id"],
    )
    assert [tuple(end.values()) for end in ends] == [("failed", -9), ("done", None)]


def test_dispatchers_and_prefects_server_killed_on_one_specimens_road(
    stack: Stack, drop: Drop
) -> None:
    path = drop()
    at = partial(kills.holds, stack, path)
    kills.kill_at(stack, at("claimed", "create", "upload", "synchronise"), "dispatcher")
    kills.kill_at(stack, at("running", "barcode", "ocr"), "dispatcher")
    kills.kill_at(stack, at("running", "cropping", "derivative"), "prefect")
    session = stack.follow(path)
    as_if_nothing_had_been(stack, session)
    rows = dispatchers(stack, session)
    assert len(rows) >= 3
    for before, after in pairwise(rows):
        assert before["ended_at"] <= after["started_at"]


def test_postgresql_killed_while_a_runner_works(stack: Stack, drop: Drop) -> None:
    path = drop()
    killed = kills.kill_at(stack, kills.holds(stack, path, "running"), "postgres")
    session = stack.follow(path)
    as_if_nothing_had_been(stack, session)
    moved_on_only_after_the_restart(stack, killed)


def test_the_whole_system_killed_and_started_again(stack: Stack, drop: Drop) -> None:
    path = drop()
    killed = kills.kill_at(stack, kills.holds(stack, path, "running"), "everything")
    again = stack.refinery("up", "--detach")
    assert again.returncode == 0, again.stderr
    as_if_nothing_had_been(stack, stack.follow(path))
    moved_on_only_after_the_restart(stack, killed)


def test_no_run_is_left_that_nobody_runs(stack: Stack) -> None:
    """Prefect is told the truth by the reconcile that comes every minute, sooner when asked."""
    sessions = {str(row["id"]) for row in stack.rows("SELECT id FROM track.session")}

    def left() -> list[str]:
        runs = stack.prefect.all("flow_runs", flow_runs={"state": {"type": {"any_": list(LIVE)}}})
        return [
            run["name"]
            for run in runs
            if "claim" in run["parameters"] or run["parameters"].get("session") in sessions
        ]

    stack.until(lambda: not left(), "runs of dead dispatchers")


def dispatchers(stack: Stack, session: UUID) -> list[dict[str, Any]]:
    return stack.rows(
        "SELECT * FROM track.dispatcher WHERE session_id = %(s)s ORDER BY started_at", s=session
    )


def moved_on_only_after_the_restart(stack: Stack, killed: dict[str, Any]) -> None:
    """PostgreSQL died while the job was where it was seen: its next move is younger than that."""
    (row,) = stack.rows(
        "SELECT min(at) > pg_postmaster_start_time() AS later FROM track.history"
        " WHERE job_id = %(j)s AND what = 'job.state' AND old = %(s)s",
        j=killed["id"],
        s=killed["state"],
    )
    assert row["later"]


def as_if_nothing_had_been(stack: Stack, session: UUID, but: int | None = None) -> None:
    """The session is finished, each effect happened once, and no job but one used up a try."""
    assets = stack.rows(
        "SELECT guid, finalised_at, attention FROM track.asset WHERE session_id = %(s)s", s=session
    )
    assert len(assets) == 3 and all(asset["finalised_at"] for asset in assets)
    jobs = stack.rows(
        "SELECT j.id, s.key, j.state, j.tries FROM track.job j"
        " JOIN track.stage s ON s.id = j.stage_id JOIN track.asset a ON a.guid = j.asset_guid"
        " WHERE a.session_id = %(s)s",
        s=session,
    )
    assert {job["state"] for job in jobs} <= {"done", "excluded"}
    assert {job["id"]: job["tries"] for job in jobs if job["tries"]} == ({but: 1} if but else {})
    ids = [job["id"] for job in jobs]
    done = stack.rows(
        "SELECT job_id, count(*) AS n FROM track.history"
        " WHERE job_id = ANY(%(ids)s) AND what = 'job.state' AND new = 'done' GROUP BY job_id",
        ids=ids,
    )
    assert {row["n"] for row in done} == {1}
    attempts = stack.rows("SELECT * FROM track.attempt WHERE job_id = ANY(%(ids)s)", ids=ids)
    assert all(attempt["closed_at"] for attempt in attempts)
    ends = Counter(attempt["job_id"] for attempt in attempts if attempt["outcome"] == "done")
    assert set(ends.values()) == {1}
    created_once(stack, [asset["guid"] for asset in assets])


def created_once(stack: Stack, guids: list[str]) -> None:
    """The archive was asked to create each asset once, and synchronised each once."""
    seen = Counter(
        (row["asset_guid"], row["event"])
        for row in stack.archive_rows(
            "SELECT asset_guid, event FROM ars.event WHERE asset_guid = ANY(%(guids)s)", guids=guids
        )
    )
    for guid in guids:
        assert (seen[guid, "CREATE_ASSET_METADATA"], seen[guid, "CREATE_ASSET"]) == (1, 1)
