"""Killing processes of a running system at a moment that its database vouches for.

The victims are stopped first, then the database is asked again: what it says of processes
that cannot move is still true when they are killed.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

import psycopg

from demo.lab.victims import KINDS, kill, service
from refinery.local.service import descendants
from tests.support.stack import Stack

MAX_SECONDS = 240.0
HELD = """
    SELECT j.id, s.key, j.state FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.session e ON e.id = a.session_id
    WHERE e.opened_as = %(path)s AND j.state = %(state)s
      AND (s.key = ANY(%(stages)s) OR %(stages)s = '{}')
"""

Moment = Callable[[], dict[str, Any] | None]
"""The job that makes this the moment, or None while it is not."""


def holds(stack: Stack, path: object, job_state: str, *stages: str) -> Moment:
    """A job of the session opened as `path` is in that state (at one of these stages)."""

    def look() -> dict[str, Any] | None:
        rows = stack.rows(HELD, path=str(path), state=job_state, stages=list(stages))
        return rows[0] if rows else None

    return look


def kill_at(stack: Stack, moment: Moment, victim: str) -> dict[str, Any]:
    """Kill when the moment has come and lasts while the victims stand still; its job.

    PostgreSQL cannot be asked while it stands still: it goes on until it is killed, and
    everybody else stands still instead.
    """
    stand = KINDS["everything" if victim == "postgres" else victim]
    deadline = time.monotonic() + MAX_SECONDS
    while time.monotonic() < deadline:
        found = moment()
        pids = KINDS[victim](stack.settings) if found else []
        if not found or not pids:
            time.sleep(0.01)
            continue
        heads = service(stack.settings, "postgres")
        database = {*heads, *(child.pid for head in heads for child in descendants(head))}
        still = sorted(set(stand(stack.settings)) - database)
        kill(still, signal.SIGSTOP)
        try:
            if (again := moment()) is not None and again["id"] == found["id"]:
                kill(pids)
                return again
        finally:
            kill(still, signal.SIGCONT)
    raise AssertionError(f"the moment to kill {victim} never came")


def wait_for_database(stack: Stack) -> None:
    """Return when the database answers again."""
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        try:
            stack.rows("SELECT 1")
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not come back"
            time.sleep(0.1)
