"""Prefect's server and its workers killed at once: what they had taken on and forgot is done."""

import httpx
import pytest

from demo.lab.victims import kill, service
from refinery.local.service import descendants
from tests.support.one_specimen import Drop, as_if_nothing_had_been
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(900)

BUSY = ["PENDING", "RUNNING"]


def kill_prefect(stack: Stack) -> None:
    """The server, the workers, and every run that they have started."""
    names = ("worker", "worker-housekeeping")
    workers = [pid for name in names for pid in service(stack.settings, name)]
    runs = [child.pid for worker in workers for child in descendants(worker)]
    kill([*service(stack.settings, "prefect"), *workers, *runs])


def reconciles(stack: Stack, *states: str) -> set[str]:
    """The runs of reconcile that are in one of these states; none while the server is away."""
    try:
        found = stack.prefect.all(
            "flow_runs",
            flows={"name": {"any_": ["reconcile"]}},
            flow_runs={"state": {"type": {"any_": list(states)}}},
        )
    except httpx.HTTPError:
        return set()
    return {run["id"] for run in found}


def test_a_session_and_a_run_of_reconcile_that_were_taken_and_forgotten_are_done_all_the_same(
    stack: Stack, drop: Drop
) -> None:
    path = drop()
    owed = "SELECT FROM track.outbox WHERE event ->> 'event' = 'specimen.session.ready'"

    def both_taken() -> bool:
        stack.prefect.start("reconcile/every-minute")
        taken = bool(stack.session(path)) and not stack.rows(owed)
        return taken and bool(reconciles(stack, *BUSY))

    stack.until(both_taken, "the session's event, and a run of reconcile")
    before = reconciles(stack, "COMPLETED")
    kill_prefect(stack)
    as_if_nothing_had_been(stack, stack.follow(path))
    stack.until(lambda: bool(reconciles(stack, "COMPLETED") - before), "another run of reconcile")
