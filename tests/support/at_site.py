"""A job at a site, by hand: queued, started, brought back; and two transactions in one order."""

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc import protocol
from hpc.callers import RunnerCaller
from hpc.ends import Meaning
from hpc.protocol import AttemptReply
from hpc.sites.collect import report
from schemas.attempts import Complete, Fail, Result, Start
from tests.support.world import World
from track.jobs.attempts import Attempt
from track.jobs.claims import Claim
from track.schema.database import transact

WHO = {"native_id": "n1", "nonce": "x"}


async def queue(world: World, found: Claim, site: str = "alpha") -> int:
    """Hand a claimed job to a site; its attempt."""
    return await world.enqueue(found.job_id, site)


async def start(world: World, attempt: int, fence: int = 1, **who: str) -> Attempt:
    """Ask for the start of an attempt."""
    caller, body = RunnerCaller(attempt, fence), Start(**(WHO | who))
    reply = await transact(world.engine, protocol.start, caller, body)
    assert reply.attempt is not None
    return reply.attempt


async def complete(
    world: World, attempt: int, fence: int = 1, result: dict[str, Any] | None = None, **who: str
) -> AttemptReply:
    """Bring an attempt's result."""
    body = Complete(**(WHO | who), result=Result.model_validate(result or {}))
    return await transact(world.engine, protocol.complete, RunnerCaller(attempt, fence), body)


async def fail(world: World, attempt: int, status: str = "RETRY", fence: int = 1) -> AttemptReply:
    """Say that an attempt failed."""
    body = Fail(**WHO, fail_status=status, message="no luck")
    return await transact(world.engine, protocol.fail, RunnerCaller(attempt, fence), body)


async def kill(world: World, attempt: int, printed: str | None = None) -> None:
    """Have a driver report that an attempt's runner was killed, and what was printed till then."""
    end = Meaning("failed", True, "its runner was killed")
    await transact(world.engine, report, attempt, end, actor="driver:test", printed=printed)


async def describe(world: World, *guids: str, **more: Any) -> None:
    """Give assets a document each."""
    await world.describe(*guids, **{"workstation_name": "W", **more})


async def until_blocked(engine: AsyncEngine, *tasks: asyncio.Task[Any]) -> None:
    """Return when as many transactions as there are tasks wait for a lock of another one."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60), engine.connect() as connection:
        while True:
            for task in tasks:
                assert not task.done(), "it did not wait at all"
            if (await connection.execute(waiting)).scalar_one() >= len(tasks):
                return
            await connection.rollback()
            await asyncio.sleep(0.01)


async def deadlocks(tx: AsyncConnection) -> int:
    """How often PostgreSQL had to end a deadlock in this database."""
    await tx.execute(text("SELECT pg_stat_force_next_flush()"))
    counted = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int((await tx.execute(counted)).scalar_one())
