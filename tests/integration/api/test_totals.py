"""Counts that grow for ever: fresh while they are quick, and never waited for long."""

import asyncio
import math
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.totals import Totals

COUNT = text("SELECT count(*) AS n FROM track.pipeline")
SLOW = text("SELECT nextval('turn') AS n, pg_sleep(0.4)")
PIPELINE = text(
    "INSERT INTO track.pipeline (name, definition, definition_hash) VALUES (:n, '{}', '')"
)


async def add(engine: AsyncEngine, name: str) -> None:
    async with engine.begin() as tx:
        await tx.execute(PIPELINE, {"n": name})


async def test_a_quick_count_is_made_each_time(engine: AsyncEngine) -> None:
    total = Totals(engine, COUNT)
    assert total.age_s == math.inf and list(total.rows[0]) == []
    for n, name in enumerate("ab", 1):
        await add(engine, name)
        await total.refresh()
        assert total.rows[0][0].n == n
    await total.close()


async def test_a_slow_count_is_not_waited_for_and_is_used_again(engine: AsyncEngine) -> None:
    async with engine.begin() as tx:
        await tx.execute(text("CREATE SEQUENCE turn"))
    total = Totals(engine, SLOW)
    begun = time.monotonic()
    await total.refresh(patience_s=0.02)
    assert time.monotonic() - begun < 0.4 and list(total.rows[0]) == []
    await total.refresh(patience_s=60)
    assert total.rows[0][0].n == 1
    await asyncio.gather(total.refresh(), total.refresh())
    assert total.rows[0][0].n == 1 and total.age_s < math.inf
    await total.close()


async def test_a_count_under_way_is_ended_with_the_application(engine: AsyncEngine) -> None:
    total = Totals(engine, text("SELECT pg_sleep(60)"))
    await total.refresh(patience_s=0.05)
    await asyncio.wait_for(total.close(), 20)
