"""From a callback to a parked session until its next stage is in its site's queue.

The whole system as `refinery up` starts it: the callback asks for a dispatcher, the event is
sent to Prefect, Prefect's automation makes a run, the worker starts its process, the dispatcher
takes its lease and goes on. Here its patience is so short that it parks every time.
"""

import asyncio
import statistics
import time
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery import connections
from tests.benchmarks.by_hand import call, define, of_length, open_with, queued
from tests.benchmarks.rows import Row
from tests.support.stack import Stack, running_stack
from track.records.wake import wake_session
from track.schema.database import make_engine, transact

DISPATCH = "dispatch/session"
RESTLESS = {"pace": {"tick_s": 0.5, "recheck_s": 1, "linger_s": 0.2}}
SAMPLES = 6
GOAL_S = 15.0
MAX_SECONDS = 300.0
PARKED = text("""
    SELECT count(*) FILTER (WHERE ended_why = 'parked') AS parked,
           count(*) FILTER (WHERE ended_at IS NULL) AS live
    FROM track.dispatcher WHERE session_id = :session
""")


async def measure(*, quick: bool = False) -> list[Row]:
    """The median and the longest of the waits; `quick`: one of them."""
    samples = 1 if quick else SAMPLES
    with running_stack("benchmarks") as stack:
        stack.prefect.change_deployment(DISPATCH, parameters=RESTLESS)
        engine = make_engine(stack.addresses.database)
        try:
            async with asyncio.timeout(MAX_SECONDS):
                waits = await _waits(stack, engine, samples)
        finally:
            await engine.dispose()
    what = f"callback to a parked session → next stage queued ({samples} samples)"
    return [
        Row(f"{what}, p50", statistics.median(waits), target=GOAL_S),
        Row(f"{what}, longest", max(waits)),
    ]


async def _waits(stack: Stack, engine: AsyncEngine, samples: int) -> list[float]:
    """Seconds from each answer to the next stage's time of queueing, by the same clock."""
    keys = connections.token_keys(stack.settings)
    await define(engine, (samples + 1,))
    session = await open_with(engine, of_length(samples + 1), assets=1)
    await transact(engine, wake_session, session)
    row = await _next(engine, session)
    waits = []
    async with httpx.AsyncClient(base_url=stack.addresses.clusters, timeout=30) as http:
        for n in range(samples):
            native: dict[str, Any] = {"native_id": f"b{row['id']}", "nonce": uuid4().hex}
            await call(http, keys, row, "start", native)
            await _until_parked(engine, session, n + 1)
            await call(http, keys, row, "complete", native | {"result": {}})
            answered = time.time()
            row = await _next(engine, session)
            waits.append(row["queued_at"].timestamp() - answered)
    return waits


async def _next(engine: AsyncEngine, session: UUID) -> RowMapping:
    """The attempt that is queued next, which only a dispatcher can have done."""
    while not (rows := await queued(engine, session)):
        await asyncio.sleep(0.1)
    return rows[0]


async def _until_parked(engine: AsyncEngine, session: UUID, times: int) -> None:
    while True:
        async with engine.connect() as connection:
            row = (await connection.execute(PARKED, {"session": session})).one()
        if row.parked >= times and not row.live:
            return
        await asyncio.sleep(0.1)
