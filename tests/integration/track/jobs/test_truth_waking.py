"""Parking against a callback, with real row locks: whichever comes first, somebody is asked."""

import asyncio

from sqlalchemy import func, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.at_site import complete, deadlocks, queue, start, until_blocked
from tests.support.world import World, new
from track.jobs import verbs
from track.jobs.leases import Lease
from track.jobs.outlook import outlook
from track.records.wake import wake_session
from track.schema.database import transact
from track.schema.tables import dispatcher

ONE = {"pipeline": "P", "stages": [{"key": "a", "run": "module load"}]}
WOKEN = "SELECT wake_requested_at IS NOT NULL FROM track.session"


async def at_sites(engine: AsyncEngine, assets: int = 1) -> tuple[World, list[int]]:
    """A session all of whose jobs run at a site, with a dispatcher's row."""
    world = await World.make(engine, ONE)
    await world.register(*(new(f"g{n:03}") for n in range(assets)))
    attempts = [await queue(world, found) for found in await world.claim(limit=assets)]
    for attempt in attempts:
        await start(world, attempt)
    return world, attempts


async def held(database: str, world: World) -> Lease:
    """A real lease in place of the dispatcher's bare row."""
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    lease = Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    return lease


async def look_once_more(world: World) -> None:
    """What a dispatcher does after its release."""

    async def look(tx: AsyncConnection) -> None:
        if (await outlook(tx, world.session_id)).needs_dispatcher:
            await wake_session(tx, world.session_id)

    await transact(world.engine, look)


async def test_a_callback_before_the_release_is_seen_by_the_look_after_it(
    engine: AsyncEngine, database: str
) -> None:
    world, (attempt,) = await at_sites(engine)
    lease = await held(database, world)
    await complete(world, attempt)
    assert await world.sql(WOKEN) == [(False,)], "the dispatcher that lives sees to it"
    await asyncio.to_thread(lease.release, "parked")
    await look_once_more(world)
    assert await world.sql(WOKEN) == [(True,)]


async def test_a_callback_after_the_release_asks_by_itself(
    engine: AsyncEngine, database: str
) -> None:
    world, (attempt,) = await at_sites(engine)
    lease = await held(database, world)
    await asyncio.to_thread(lease.release, "parked")
    await look_once_more(world)
    assert await world.sql(WOKEN) == [(False,)]
    await complete(world, attempt)
    assert await world.sql(WOKEN) == [(True,)]


async def test_a_release_waits_for_a_callback_that_has_read_the_lease(
    engine: AsyncEngine, database: str
) -> None:
    world, (attempt,) = await at_sites(engine)
    lease = await held(database, world)
    job_id = await world.job_id("g000", "a")
    async with engine.begin() as tx:
        await verbs.mark_returned(tx, job_id, attempt_id=attempt, actor="test")
        releasing = asyncio.create_task(asyncio.to_thread(lease.release, "parked"))
        await until_blocked(engine, releasing)
    await releasing
    assert await world.sql(WOKEN) == [(False,)]
    await look_once_more(world)
    assert await world.sql(WOKEN) == [(True,)]


async def test_a_callback_waits_for_a_release_and_then_finds_nobody(engine: AsyncEngine) -> None:
    world, (attempt,) = await at_sites(engine)
    async with engine.begin() as releasing:
        await releasing.execute(text("UPDATE track.session SET wake_requested_at = NULL"))
        await releasing.execute(text("UPDATE track.dispatcher SET ended_at = now()"))
        callback = asyncio.create_task(complete(world, attempt))
        await until_blocked(engine, callback)
    await callback
    assert await world.sql(WOKEN) == [(True,)]


async def test_a_dispatcher_that_just_comes_answers_a_callback_that_finds_nobody(
    engine: AsyncEngine,
) -> None:
    world, (attempt,) = await at_sites(engine)
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    row = {
        "id": func.gen_random_uuid(),
        "session_id": world.session_id,
        "host": "h",
        "process": 1,
        "alive_until": func.now() + func.make_interval(0, 0, 0, 0, 1),
    }
    async with engine.begin() as taking:
        await taking.execute(text("SELECT 1 FROM track.session FOR NO KEY UPDATE"))
        await taking.execute(insert(dispatcher).values(row))
        callback = asyncio.create_task(complete(world, attempt))
        await until_blocked(engine, callback)
    await callback
    assert await world.sql(WOKEN) == [(False,)]


async def test_many_callbacks_to_a_parked_session_ask_once_and_never_for_each_others_lock(
    engine: AsyncEngine,
) -> None:
    world, attempts = await at_sites(engine, assets=40)
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    await world.sql("CREATE TABLE asked (at timestamptz)")
    await world.sql(
        "CREATE FUNCTION note_wake() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF OLD.wake_requested_at IS NULL AND NEW.wake_requested_at IS NOT NULL THEN"
        " INSERT INTO asked VALUES (now()); END IF; RETURN NEW; END $$"
    )
    await world.sql(
        "CREATE TRIGGER t BEFORE UPDATE ON track.session FOR EACH ROW EXECUTE FUNCTION note_wake()"
    )
    await asyncio.gather(*(complete(world, attempt) for attempt in attempts))
    assert await world.sql("SELECT count(*) FROM asked") == [(1,)]
    async with engine.connect() as tx:
        assert await deadlocks(tx) == 0


async def test_a_lease_that_ran_out_while_a_callback_waited_does_not_count(
    engine: AsyncEngine,
) -> None:
    world, (attempt,) = await at_sites(engine)
    async with engine.begin() as tx:
        await tx.execute(text("SELECT now()"))  # its time stands still from here
        await world.sql(
            "UPDATE track.dispatcher SET alive_until = clock_timestamp() + interval '1 ms'"
        )
        async with asyncio.timeout(60):
            expired = "SELECT 1 FROM track.dispatcher WHERE alive_until < clock_timestamp()"
            while not await world.sql(expired):
                await asyncio.sleep(0.01)
        job_id = await world.job_id("g000", "a")
        await verbs.mark_returned(tx, job_id, attempt_id=attempt, actor="test")
    assert await world.sql(WOKEN) == [(True,)]
