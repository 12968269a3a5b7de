"""The look at reconcile, which looks at everything else: is it run, and does it come to its end?

It is done where the announcer runs, in the clusters' API, whose own silence reconcile tells of.
Prefect knows when reconcile ended last; while Prefect is away nobody could be told anyhow.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from track.reports.alarm_messages import Subject
from track.reports.alarms import RECONCILE, set_alarms

log = logging.getLogger(__name__)

RECONCILED_S = 300.0
"""Reconcile runs every minute; one that has not for so long does not run."""

EVERY_S = 30.0

SUBJECT = Subject("service", RECONCILE)
REMEDY = (
    "until it runs no other alarm begins or ends: refinery doctor; look at the runs of "
    "reconcile/every-minute, at its schedule, and at the worker of the pool for housekeeping"
)


async def watch_reconcile(
    engine: AsyncEngine, prefect_api: str, headers: Mapping[str, str] | None = None
) -> None:
    """Have it told when reconcile runs no more, and when it runs again; until cancelled."""
    began = time.monotonic()
    client = httpx.AsyncClient(
        base_url=prefect_api, headers=dict(headers or {}), timeout=10, trust_env=False
    )
    async with client as http:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await look_at_reconcile(engine, http, up_s=time.monotonic() - began)
            except (httpx.HTTPError, ValueError, KeyError, SQLAlchemyError, OSError) as error:
                log.info("when reconcile ran last is not known: %s", error)


async def look_at_reconcile(
    engine: AsyncEngine, http: httpx.AsyncClient, *, up_s: float, silent_s: float = RECONCILED_S
) -> list[str]:
    """Ask Prefect once when it ended last; a line when that is told.

    Nothing is said of it until this process, and so the system, has been `up_s` > `silent_s`.
    Raises httpx.HTTPError when Prefect does not answer.
    """
    if not await _ask(http, "deployments", flows={"name": {"any_": ["reconcile"]}}):
        return []
    runs = await _ask(
        http,
        "flow_runs",
        flows={"name": {"any_": ["reconcile"]}},
        flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}},
        sort="END_TIME_DESC",
    )
    ago_s = _ago_s(runs[0]["end_time"]) if runs else up_s
    if ago_s > silent_s >= up_s:
        return []
    trouble = f"it ran to its end last {ago_s / 60:.0f} min ago, and should every minute"
    if not runs:
        trouble = "it has never run to its end"
    return await set_alarms(engine, {SUBJECT: trouble if ago_s > silent_s else None}, REMEDY)


async def _ask(http: httpx.AsyncClient, what: str, **filters: object) -> list[dict[str, str]]:
    answer = await http.post(f"/{what}/filter", json={"limit": 1} | filters)
    answer.raise_for_status()
    found: list[dict[str, str]] = answer.json()
    return found


def _ago_s(when: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()
