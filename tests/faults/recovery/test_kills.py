"""Whatever process is killed in the middle of its work: the specimen ends as if nothing had been.

One system, one specimen per test. Each kill lands while the database vouches that its job
is claimed, queued or running; afterwards every effect has happened exactly once.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from tests.support import kills
from tests.support.one_specimen import Drop, Waves, as_if_nothing_had_been, dispatchers
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(600)

LIVE = ("PENDING", "RUNNING", "CANCELLING")


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


def test_dispatchers_and_prefects_server_killed_on_a_sessions_road(
    stack: Stack, waves: Waves
) -> None:
    path = waves.drop()
    at = partial(kills.holds, stack, path)
    kills.kill_at(stack, at("claimed", "create", "upload", "synchronise"), "dispatcher")
    kills.kill_at(stack, at("running", "barcode", "ocr"), "dispatcher")
    kills.kill_at(stack, at("running", "cropping", "derivative"), "prefect")
    session = stack.follow(path)
    waves.as_if_nothing_had_been(session)
    rows = dispatchers(stack, session)
    assert len(rows) >= 3
    for before, after in pairwise(rows):
        assert before["ended_at"] <= after["started_at"]


def test_postgresql_killed_while_a_runner_works(stack: Stack, drop: Drop) -> None:
    path = drop()
    killed = kills.kill_at(stack, kills.holds(stack, path, "running"), "postgres")
    kills.wait_for_database(stack)
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
    """Prefect is told the truth by reconcile, which is asked for here rather than waited for."""
    sessions = {str(row["id"]) for row in stack.rows("SELECT id FROM track.session")}

    def left() -> list[str]:
        runs = stack.prefect.all("flow_runs", flow_runs={"state": {"type": {"any_": list(LIVE)}}})
        return [
            run["name"]
            for run in runs
            if "jobs" in run["parameters"] or run["parameters"].get("session") in sessions
        ]

    def asked() -> bool:
        stack.prefect.start("reconcile/every-minute", patience_s=15)
        return not left()

    stack.until(asked, "runs of dead dispatchers")


def moved_on_only_after_the_restart(stack: Stack, killed: dict[str, Any]) -> None:
    """PostgreSQL died while the job was where it was seen: its next move is younger than that."""
    (row,) = stack.rows(
        "SELECT min(at) > pg_postmaster_start_time() AS later FROM track.history"
        " WHERE job_id = %(j)s AND what = 'job.state' AND old = %(s)s",
        j=killed["id"],
        s=killed["state"],
    )
    assert row["later"]
