"""Real leases: one dispatcher per session, whatever is cut, and nothing for a dead one."""

import asyncio
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.at_site import complete, queue, start, until_blocked
from tests.support.world import World, new
from track.jobs import leases
from track.jobs.claims import claim, take_returned
from track.jobs.leases import Lease, LeaseLost, LeaseTaken, SilentHolder, session_key
from track.jobs.takeover import release_jobs
from track.records.wake import wake_session
from track.schema.database import transact
from track.schema.states import State

ONE = {"pipeline": "P", "stages": [{"key": "a", "run": "module load"}]}
CUT = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
    WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = :high AND objid::bigint = :low
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A lease that is renewed often."""
    monkeypatch.setattr(leases, "RENEW_S", 0.1)
    yield


async def nobody(engine: AsyncEngine) -> World:
    world = await World.make(engine, ONE)
    await world.sql("DELETE FROM track.dispatcher")
    return world


async def cut(world: World) -> None:
    key = session_key(world.session_id)
    await world.sql(CUT, high=(key >> 32) & 0xFFFFFFFF, low=key & 0xFFFFFFFF)


async def test_a_session_has_one_dispatcher_until_it_releases(
    engine: AsyncEngine, database: str
) -> None:
    world = await nobody(engine)
    first, second = (Lease(database, world.session_id) for _ in range(2))
    await asyncio.to_thread(first.take, lambda: None)
    with pytest.raises(LeaseTaken):
        await asyncio.to_thread(second.take, lambda: None)
    await asyncio.to_thread(first.release, "parked")
    await asyncio.to_thread(second.take, lambda: None)
    await asyncio.to_thread(second.release, "parked")
    ended = await world.sql("SELECT ended_why FROM track.dispatcher WHERE ended_at IS NOT NULL")
    assert ended == [("parked",), ("parked",)]


async def test_of_many_that_come_at_once_one_gets_the_session(
    engine: AsyncEngine, database: str
) -> None:
    world = await nobody(engine)
    many = [Lease(database, world.session_id) for _ in range(6)]
    answers = await asyncio.gather(
        *(asyncio.to_thread(lease.take, lambda: None) for lease in many), return_exceptions=True
    )
    assert [isinstance(answer, LeaseTaken) for answer in answers].count(False) == 1
    for lease in many:
        await asyncio.to_thread(lease.release, "over")


async def test_a_cut_connection_loses_the_lease_and_its_time_is_waited_for(
    engine: AsyncEngine, database: str
) -> None:
    world = await nobody(engine)
    lost = threading.Event()
    lease, heir = Lease(database, world.session_id), Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lost.set)
    async with lease.guard():
        pass
    await cut(world)
    with pytest.raises(SilentHolder):
        await asyncio.to_thread(heir.take, lambda: None)
    assert await asyncio.to_thread(lost.wait, 60)
    with pytest.raises(LeaseLost):
        async with lease.guard():
            raise AssertionError("nothing may begin")
    alive = "SELECT 1 FROM track.dispatcher WHERE alive_until > clock_timestamp()"
    await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '1 s'")
    await asyncio.to_thread(heir.take, lambda: None)
    assert len(await world.sql(alive)) == 1, "only the heir's own"
    await asyncio.to_thread(lease.release, "lost")
    await asyncio.to_thread(heir.release, "over")


async def test_a_process_that_stood_still_writes_nothing_outside(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await nobody(engine)
    monkeypatch.setattr(leases, "TTL_S", 2.0)
    monkeypatch.setattr(leases, "RENEW_S", 60.0)  # its renewing thread stands still too
    lease = Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    async with asyncio.timeout(60):
        while True:
            try:
                async with lease.guard():
                    await asyncio.sleep(0.05)
            except LeaseLost:
                break
    await asyncio.to_thread(lease.release, "over")


async def test_a_write_under_way_is_cut_off_where_a_successor_may_begin(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await nobody(engine)
    monkeypatch.setattr(leases, "TTL_S", 3.0)
    monkeypatch.setattr(leases, "RENEW_S", 60.0)
    lease, heir = Lease(database, world.session_id), Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    begun = asyncio.Event()

    async def write() -> None:
        async with lease.guard():
            begun.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await begun.wait()
    await cut(world)
    async with asyncio.timeout(60):
        while True:
            try:
                await asyncio.to_thread(heir.take, lambda: None)
                break
            except SilentHolder:
                await asyncio.sleep(0.02)
    for _ in range(10):  # a loop that was held up gets to what was due before
        await asyncio.sleep(0)
    assert writing.done()
    with pytest.raises(LeaseLost):
        await writing
    for each in (lease, heir):
        await asyncio.to_thread(each.release, "over")


async def test_near_the_end_of_a_lease_no_write_begins(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await nobody(engine)
    monkeypatch.setattr(leases, "TTL_S", 0.9)  # less than what anything is begun with
    lease = Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    with pytest.raises(LeaseLost):
        async with lease.guard():
            raise AssertionError("nothing may begin")
    await asyncio.to_thread(lease.release, "over")


async def test_a_write_longer_than_a_lease_goes_on_while_it_is_renewed(
    engine: AsyncEngine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TTL_S", 4.0)
    world = await nobody(engine)
    lease = Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    began = time.monotonic()
    async with lease.guard():
        while time.monotonic() < began + leases.TTL_S + 0.5:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(lease.release, "over")


async def test_a_dispatcher_whose_time_is_over_claims_nothing(engine: AsyncEngine) -> None:
    world = await World.make(engine, ONE)
    await world.register(new("g"), new("h"))
    (found,) = await world.claim(limit=1)
    attempt = await queue(world, found)
    await start(world, attempt)
    await complete(world, attempt)
    await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '1 s'")
    assert await world.claim() == []
    mine = world.dispatcher_id
    assert not await transact(engine, take_returned, [found.job_id], mine)
    heir = await world.dispatch()
    assert await transact(engine, take_returned, [found.job_id], heir)


async def test_take_over_waits_for_a_claim_that_is_under_way_and_ends_the_one_before(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, ONE)
    await world.register(new("g"), new("h"))
    old = world.dispatcher_id
    async with engine.begin() as tx:
        (found,) = await claim(tx, world.session_id, old, limit=1)
        await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '1 s'")
        heir = await world.dispatch()
        over = asyncio.create_task(
            transact(
                engine,
                lambda other: release_jobs(other, world.session_id, actor="heir", keep=heir),
            )
        )
        await until_blocked(engine, over)
    assert await over == [found.job_id]
    assert (await world.states(found.guid))["a"] == State.READY
    rows = await world.sql("SELECT started_at, ended_at FROM track.dispatcher ORDER BY started_at")
    (_, ended_at), (began_at, _) = rows
    assert ended_at == began_at
    await world.sql(
        "UPDATE track.dispatcher SET alive_until = now() + interval '1 h' WHERE id = :id", id=old
    )
    async with engine.begin() as tx:
        assert await claim(tx, world.session_id, old, limit=1) == []


async def test_nothing_is_taken_from_a_slow_dispatcher_that_still_holds_the_lock(
    engine: AsyncEngine, database: str
) -> None:
    world = await World.make(engine, ONE)
    await world.register(new("g"))
    await world.claim()
    await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '1 s'")
    url = database.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as slow:
        slow.execute("SELECT pg_advisory_lock(%s)", (session_key(world.session_id),))
        release = lambda: transact(  # noqa: E731
            engine, release_jobs, world.session_id, actor="reconcile"
        )
        assert await release() == []
        slow.execute("SELECT pg_advisory_unlock(%s)", (session_key(world.session_id),))
        assert len(await release()) == 1


async def test_a_wake_asked_for_while_a_dispatcher_was_late_does_not_silence_the_next(
    engine: AsyncEngine, database: str
) -> None:
    world = await nobody(engine)
    lease = Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    async with engine.begin() as tx:
        late = "UPDATE track.dispatcher SET alive_until = now() - interval '1 s'"
        await tx.execute(text(late))
        assert await wake_session(tx, world.session_id)
    await asyncio.to_thread(lease.release, "parked")
    assert await transact(engine, wake_session, world.session_id)


async def test_a_stranger_claims_nothing(engine: AsyncEngine) -> None:
    world = await World.make(engine, ONE)
    await world.register(new("g"))
    async with engine.begin() as tx:
        assert await claim(tx, world.session_id, uuid4(), limit=1) == []
