"""What the doctor asks Prefect: whether its pools give runs a place, and when reconcile ran."""

from datetime import UTC, datetime
from typing import Any

import httpx

DEADLINE_S = 15.0

LATE_S = 60.0
"""A run that has waited this long for its place is worth a word; less is a burst."""

RECONCILED_S = 300.0
"""Reconcile runs every minute; one that has not for so long does not run."""

MAX_RUNS = 200
"""Runs that Prefect's API gives at once."""


def work_pool(api: str, name: str) -> str:
    """How a pool does, in a line. Raises RuntimeError with the remedy, or httpx.HTTPError."""
    found = httpx.get(f"{api}/work_pools/{name}", timeout=DEADLINE_S, trust_env=False)
    if found.status_code == httpx.codes.NOT_FOUND:
        raise RuntimeError("there is none: 'refinery up' makes it")
    found.raise_for_status()
    waiting = late(api, name)
    if found.json()["is_paused"]:
        command = f"prefect work-pool resume {name}"
        raise RuntimeError(f"it is paused, {waiting or 'and nothing starts'}: run '{command}'")
    workers = ask(api, f"work_pools/{name}/workers")
    online = sum(each["status"] == "ONLINE" for each in workers)
    if not online:
        raise RuntimeError(
            f"no worker is online, {waiting or 'and nothing starts'}: see 'refinery logs' of it; "
            "'refinery up' starts one for each pool"
        )
    if waiting:
        raise RuntimeError(
            f"{waiting}: every place is taken. Look which runs hold them (Prefect's page of the "
            "pool), or raise flow_runs in refinery.toml"
        )
    return f"{online} worker{'s' * (online > 1)} online, nothing waits for a place"


def late(api: str, pool: str) -> str:
    """How many runs of a pool wait for a place, and since when the oldest does; empty: none."""
    runs = ask(
        api,
        "flow_runs",
        work_pools={"name": {"any_": [pool]}},
        flow_runs={"state": {"name": {"any_": ["Late"]}}},
        sort="EXPECTED_START_TIME_ASC",
    )
    waited = max((_ago_s(run["expected_start_time"]) for run in runs), default=0.0)
    if waited < LATE_S:
        return ""
    many = f"{MAX_RUNS} or more" if len(runs) == MAX_RUNS else str(len(runs))
    return f"{many} of its runs are late, the oldest by {waited / 60:.0f} min"


def reconcile(api: str) -> str:
    """When reconcile ran last. Raises RuntimeError when that is too long ago."""
    if not ask(api, "deployments", flows={"name": {"any_": ["reconcile"]}}):
        return "this project has none"
    runs = ask(
        api,
        "flow_runs",
        flows={"name": {"any_": ["reconcile"]}},
        flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}},
        sort="END_TIME_DESC",
        limit=1,
    )
    if not runs:
        remedy = "look whether its pool has a worker and its schedule is active"
        raise RuntimeError(
            f"it has never run to its end: right after a start wait a minute, else {remedy}"
        )
    ago = _ago_s(runs[0]["end_time"])
    if ago > RECONCILED_S:
        raise RuntimeError(
            f"it ran last {ago / 60:.0f} min ago and should every minute: look at the runs of "
            "reconcile/every-minute, at its schedule, and at the pool for housekeeping"
        )
    return f"ran {ago:.0f} s ago"


def ask(api: str, what: str, **filters: Any) -> list[dict[str, Any]]:
    """What Prefect's API answers to a filter. Raises httpx.HTTPError."""
    body = {"limit": MAX_RUNS} | filters
    answer = httpx.post(f"{api}/{what}/filter", json=body, timeout=DEADLINE_S, trust_env=False)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def _ago_s(when: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()
