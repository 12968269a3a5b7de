"""A session of more jobs than a statement of PostgreSQL takes parameters (65,535)."""

import time

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.world import World, new
from track.commands import switches
from track.commands.operations import queued_at
from track.commands.selection import Selection, select_jobs
from track.jobs.moves import lock, move_all
from track.jobs.takeover import release_jobs
from track.schema.database import transact
from track.schema.states import State

SPECIMENS = 5462
STAGES = 12
WELL_UNDER_A_MINUTE = 60.0


def herbarium() -> dict[str, object]:
    keys = [f"s{n}" for n in range(STAGES)]
    stages = [
        {"key": key, "run": "module load", "needs": keys[max(0, n - 1) : n]}
        for n, key in enumerate(keys)
    ]
    return {"pipeline": "P", "stages": stages}


async def test_a_session_of_thousands_is_registered_and_every_verb_works_on_it(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, herbarium())
    began = time.monotonic()
    found = await world.register(*(new(f"g{n:05}") for n in range(SPECIMENS)))
    assert time.monotonic() - began < WELL_UNDER_A_MINUTE
    assert (len(found.new), found.reopened, found.known) == (SPECIMENS, [], [])
    assert await world.sql("SELECT count(*) FROM track.job") == [(SPECIMENS * STAGES,)]
    assert await world.sql(
        "SELECT s.key, count(*) FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
        " WHERE j.state = 'ready' GROUP BY 1"
    ) == [("s0", SPECIMENS)]
    told = "SELECT count(*) FROM track.history WHERE what = 'asset.registered'"
    assert await world.sql(told) == [(SPECIMENS,)]
    assert len(await world.claim(limit=SPECIMENS)) == SPECIMENS

    async def everywhere(tx: AsyncConnection) -> tuple[int, int, int]:
        jobs = await select_jobs(tx, Selection(session=world.session_id))
        await lock(tx, jobs)
        lines = await switches.set_priority(tx, 5, session_id=world.session_id, actor="test")
        failed = await move_all(
            tx, jobs, State.WAITING, State.FAILED, actor="test", why="all at once"
        )
        return len(jobs), len(lines), len(failed)

    counts = await transact(engine, everywhere)
    assert counts == (SPECIMENS * STAGES, SPECIMENS, SPECIMENS * (STAGES - 1))
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    given_back = await transact(engine, release_jobs, world.session_id, actor="test")
    assert len(given_back) == SPECIMENS
    assert await transact(engine, queued_at, "here") == []


async def test_registering_again_changes_nothing(engine: AsyncEngine) -> None:
    world = await World.make(engine, herbarium())
    await world.register(*(new(f"g{n}") for n in range(20)))
    jobs = await world.sql("SELECT id, state FROM track.job ORDER BY id")
    found = await world.register(*(new(f"g{n}") for n in range(30)))
    assert (len(found.new), found.reopened, len(found.known)) == (10, [], 20)
    assert (await world.sql("SELECT id, state FROM track.job ORDER BY id"))[: len(jobs)] == jobs
