"""The order of locks: who locks a job has the edges already, so an edit waits for nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.at_site import complete, queue, start, until_blocked
from tests.support.world import World, edit, new
from track.commands import legacy, operations
from track.jobs.attempts import find_attempt, lock_attempt
from track.jobs.edges import lock_edges
from track.jobs.locked import locked_job
from track.schema.database import transact
from track.schema.tables import stage

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}

Locking = Callable[[AsyncConnection, int, int], Awaitable[Any]]

WAYS: dict[str, Locking] = {
    "standing": lambda tx, job, _: locked_job(tx, job),
    "operator": lambda tx, job, _: operations.cancel(tx, job, actor="o", why="stop"),
    "attempt": lambda tx, _, attempt: find_attempt(tx, attempt, lock=True),
    "callback": lambda tx, _, attempt: lock_attempt(tx, attempt),
    "script": lambda tx, _, attempt: legacy.bind_job(tx, "g", stage.c.key == "load", attempt),
}


@pytest.mark.parametrize("way", WAYS)
async def test_who_waits_for_an_edit_holds_no_job(engine: AsyncEngine, way: str) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    (claim,) = await world.claim()
    attempt = await queue(world, claim)
    async with engine.begin() as tx:
        await lock_edges(tx, to_edit=True)
        locking = WAYS[way]
        other = asyncio.create_task(
            transact(engine, lambda them: locking(them, claim.job_id, attempt))
        )
        await until_blocked(engine, other)
        mine = text("SELECT id FROM track.job WHERE id = :id FOR UPDATE NOWAIT")
        assert (await tx.execute(mine, {"id": claim.job_id})).first() is not None
    await other


async def test_an_edit_waits_for_no_job_that_somebody_holds(engine: AsyncEngine) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    (claim,) = await world.claim()
    attempt = await queue(world, claim)
    await start(world, attempt)
    async with engine.begin() as tx:
        mine = text("SELECT id FROM track.job WHERE id = :id FOR UPDATE")
        await tx.execute(mine, {"id": claim.job_id})
        async with asyncio.timeout(60):
            again = {"key": "again", "run": "module load", "needs": ["load"]}
            await edit(engine, {"pipeline": "P", "stages": [*PIPELINE["stages"], again]})  # type: ignore[misc]
    await complete(world, attempt)
