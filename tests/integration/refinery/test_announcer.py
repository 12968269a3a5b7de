"""Events: posted at once, again until accepted, and never lost while Prefect is away."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.announcer import Announcer
from schemas.events import (
    ALARM_BEGAN,
    ALARM_ENDED,
    ALARMS_TOLD,
    NAMESPACE,
    SESSION_READY,
    SESSION_WAKE,
    session_event,
)
from tests.support.callbacks import Cluster, until
from tests.support.events_server import EventsServer
from tests.support.serving import free_port
from tests.support.world import World
from track.records.inbox import Received, applied, receive
from track.records.outbox import backlog
from track.records.sessions import open_session
from track.records.wake import wake_session
from track.reports.alarm_messages import Subject
from track.reports.alarms import set_alarm
from track.schema.database import make_engine, transact


@asynccontextmanager
async def announcing(
    engine: AsyncEngine, url: str, tick_s: float = 0.1, together_s: float = 0.0
) -> AsyncIterator[Announcer]:
    announcer = Announcer(engine, url, tick_s=tick_s, longest_pause_s=0.3, together_s=together_s)
    task = asyncio.create_task(announcer.run())
    try:
        yield announcer
    finally:
        announcer.stop()
        await task


async def owe(engine: AsyncEngine, *names: str) -> None:
    """Write callbacks with an event each."""

    async def work(tx: object) -> None:
        for name in names:
            row = await receive(tx, Received(name, "/x", "k", {}))  # type: ignore[arg-type]
            assert row is not None
            event = {"event": name, "resource": {"prefect.resource.id": "r"}}
            await applied(tx, row, "applied", event)  # type: ignore[arg-type]

    await transact(engine, work)


async def owed(engine: AsyncEngine) -> int:
    return (await transact(engine, backlog)).events


async def paid(engine: AsyncEngine) -> bool:
    return await owed(engine) == 0


async def test_a_callback_is_announced_at_once_with_all_its_names(
    cluster: Cluster, prefect: EventsServer
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.start(attempt)
    (event,) = await prefect.expect("hpc.job.started")
    assert event["resource"] == {"prefect.resource.id": "specimen.asset.g"}
    roles = {each["prefect.resource.role"] for each in event["related"]}
    assert roles == {"session", "pipeline", "site"}
    assert event["payload"]["attempt"] == attempt
    age = datetime.now(UTC) - datetime.fromisoformat(event["occurred"])
    assert abs(age.total_seconds()) < 60
    await until(lambda: paid(cluster.engine))
    assert await cluster.inbox("start") == ["applied"]


async def test_prefect_being_away_loses_nothing(engine: AsyncEngine) -> None:
    port = free_port()
    async with announcing(engine, f"http://127.0.0.1:{port}/api") as announcer:
        await owe(engine, "a", "b")

        async def complained() -> bool:
            return bool(announcer.last_error)

        await until(complained)
        assert await owed(engine) == 2
        async with EventsServer.serve(port) as back:
            await back.expect("b")
            await until(lambda: paid(engine))
            assert [event["event"] for event in back.events] == ["a", "b"]


async def test_an_answer_that_is_not_204_is_asked_again(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    prefect.status = 503
    async with announcing(engine, prefect.url):
        await owe(engine, "a")
        await asyncio.wait_for(prefect.came.wait(), 60)
        assert await owed(engine) == 1
        prefect.status = 204
        await prefect.expect("a")
        await until(lambda: paid(engine))


async def test_one_list_holds_at_most_fifty(engine: AsyncEngine, prefect: EventsServer) -> None:
    await owe(engine, *(f"e{n}" for n in range(120)))
    async with announcing(engine, prefect.url):
        await until(lambda: paid(engine))
    assert [len(each) for each in prefect.lists] == [50, 50, 20]


async def test_an_event_prefect_rejects_does_not_hold_the_others(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    prefect.poison = "bad"
    async with announcing(engine, prefect.url):
        await owe(engine, "a", "bad", "b", "c")
        await prefect.expect("c")
        await owe(engine, "d")
        await prefect.expect("d")
        assert {event["event"] for event in prefect.events} == {"a", "b", "c", "d"}

        async def one_left() -> bool:
            return await owed(engine) == 1

        await until(one_left)


async def test_what_prefect_accepted_before_a_kill_is_sent_again_with_the_same_id(
    engine: AsyncEngine, prefect: EventsServer, database: str
) -> None:
    """It waits for the lock of the row that it has sent, and dies before it can delete it."""
    await transact(engine, a_session)
    async with engine.connect() as holder:
        await holder.execute(text("SELECT FROM track.outbox FOR UPDATE"))
        context = multiprocessing.get_context("spawn")
        victim = context.Process(target=announce_until_killed, args=(database, prefect.url))
        victim.start()
        try:
            (first,) = await prefect.expect(SESSION_READY)
        finally:
            victim.kill()
            await asyncio.to_thread(victim.join)
    assert await owed(engine) == 1
    async with announcing(engine, prefect.url):
        _, again = await prefect.expect(SESSION_READY, 2)
        await until(lambda: paid(engine))
    assert again["id"] == first["id"]


def announce_until_killed(database: str, url: str) -> None:
    asyncio.run(Announcer(make_engine(database), url).run())


async def a_session(tx: Any, path: str = "/n/W/s") -> UUID | None:
    return await open_session(tx, path=path, workstation="W", listing_hash="h", actor="t")


async def test_a_session_opened_without_an_announcer_is_announced_by_the_next_one(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    """And one opened later at once: the clock does not tick in this test."""
    early = await transact(engine, a_session)
    async with announcing(engine, prefect.url, tick_s=3600):
        (event,) = await prefect.expect(SESSION_READY)
        late = await transact(engine, a_session, "/n/W/late")
        _, second = await prefect.expect(SESSION_READY, 2)
    for session_id, found, path in ((early, event, "/n/W/s"), (late, second, "/n/W/late")):
        payload = {"session": str(session_id), "path": path, "workstation": "W"}
        event_id = uuid5(NAMESPACE, f"{session_id}/{SESSION_READY}")
        expected = session_event(SESSION_READY, str(session_id), payload=payload, id=event_id)
        assert found == expected | {"occurred": found["occurred"]}


async def parked(engine: AsyncEngine) -> World:
    world = await World.make(
        engine, {"pipeline": "P", "stages": [{"key": "a", "run": "module load"}]}
    )
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    return world


async def ask_again(world: World) -> None:
    await world.sql("UPDATE track.session SET wake_requested_at = NULL")
    assert await transact(world.engine, wake_session, world.session_id)


async def test_a_wake_is_the_event_that_the_schema_makes_and_one_asked_again_is_sent_again(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    world = await parked(engine)
    async with announcing(engine, prefect.url):
        await ask_again(world)
        (first,) = await prefect.expect(SESSION_WAKE)
        payload = {"session": str(world.session_id)}
        expected = session_event(
            SESSION_WAKE, world.session_id, payload=payload, id=UUID(first["id"])
        )
        assert first == expected | {"occurred": first["occurred"]}
        await until(lambda: paid(engine))
        await ask_again(world)
        _, second = await prefect.expect(SESSION_WAKE, 2)
        assert first["id"] != second["id"]


async def test_wakes_asked_for_while_prefect_is_away_are_one_for_each_session(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    world, other = await parked(engine), await parked(engine)
    await transact(engine, wake_session, other.session_id)
    for _ in range(5):
        await ask_again(world)
    assert await owed(engine) == 2
    async with announcing(engine, prefect.url):
        events = await prefect.expect(SESSION_WAKE, 2)
    sessions = {event["payload"]["session"] for event in events}
    assert sessions == {str(world.session_id), str(other.session_id)}


async def test_a_wake_asked_for_while_the_last_one_is_being_deleted_is_neither_lost_nor_waits(
    engine: AsyncEngine,
) -> None:
    world = await parked(engine)
    await ask_again(world)
    async with engine.begin() as announcer:
        await announcer.execute(text("DELETE FROM track.outbox"))
        async with asyncio.timeout(60):
            await ask_again(world)
    assert await owed(engine) == 1


async def test_it_listens_again_after_its_connection_is_cut(
    engine: AsyncEngine, prefect: EventsServer, database: str
) -> None:
    async with announcing(engine, prefect.url):
        await owe(engine, "a")
        await prefect.expect("a")
        address = database.replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as other:
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await engine.dispose()
        await owe(engine, "b")
        await prefect.expect("b")


async def alarm(engine: AsyncEngine, site: str, trouble: str | None = "no route") -> None:
    """Have it told that a site is in trouble, or well."""
    assert await transact(engine, set_alarm, Subject("site", site), trouble)


def people(prefect: EventsServer) -> list[str]:
    """The subjects of what people are told, without their times."""
    found = [each["payload"] for each in prefect.events if each["event"] == ALARMS_TOLD]
    return [each["subject"].partition(" (")[0] for each in found]


async def test_alarms_wait_for_each_other_and_nothing_waits_for_them(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    for site in ("a", "b"):
        await alarm(engine, site)
    for turn in ("first", "second"):  # each is killed meanwhile
        async with announcing(engine, prefect.url, together_s=3600):
            await owe(engine, turn)
            await prefect.expect(turn)
            assert people(prefect) == []
            if turn == "second":
                await alarm(engine, "a", None)
    async with engine.begin() as tx:
        await tx.execute(text("UPDATE track.outbox SET created_at = now()"))
    async with announcing(engine, prefect.url, together_s=1):
        await until(lambda: paid(engine))
    assert people(prefect) == [
        "3 alarms: site a is degraded; site b is degraded; site a works again"
    ]
    assert "together" not in str(prefect.events), "Prefect never sees the mark"
    names = [each["event"] for each in prefect.events]
    assert [names.count(each) for each in (ALARM_BEGAN, ALARM_ENDED, ALARMS_TOLD)] == [2, 1, 1]


async def test_alarms_of_a_time_without_prefect_are_one_message_when_it_is_back(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    prefect.status = 503
    async with announcing(engine, prefect.url, together_s=0) as announcer:
        await owe(engine, "a")

        async def complained() -> bool:
            return bool(announcer.last_error)

        await until(complained)
        for trouble in ("no route", None):
            await alarm(engine, "far", trouble)
            for _ in range(2):  # it is asked in vain meanwhile
                prefect.came.clear()
                await asyncio.wait_for(prefect.came.wait(), 60)
        prefect.status = 204
        await until(lambda: paid(engine))
    assert people(prefect) == ["2 alarms: site far is degraded; site far works again"]


async def test_an_alarm_that_has_waited_is_told_at_once_by_the_next_announcer(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    await alarm(engine, "far")
    async with engine.begin() as tx:
        await tx.execute(text("UPDATE track.outbox SET created_at = now() - interval '1 hour'"))
    async with announcing(engine, prefect.url, together_s=1800):
        await prefect.expect(ALARMS_TOLD)
