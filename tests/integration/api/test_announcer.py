"""Events: posted at once, again until accepted, and never lost while Prefect is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.announce.announcer import Announcer
from tests.support.callbacks import Cluster, until
from tests.support.events_server import EventsServer
from tests.support.ports import free_port
from tests.support.world import World
from track.records.inbox import Received, applied, receive
from track.records.wake import wake_session
from track.schema.database import transact


@asynccontextmanager
async def announcing(engine: AsyncEngine, url: str) -> AsyncIterator[Announcer]:
    announcer = Announcer(engine, url, tick_s=0.1, longest_pause_s=0.3)
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
    async with engine.connect() as connection:
        statement = (
            "SELECT count(*) FROM track.inbox WHERE event IS NOT NULL AND announced_at IS NULL"
        )
        return int((await connection.exec_driver_sql(statement)).scalar_one())


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
    row = await cluster.row("SELECT announced_at FROM track.inbox WHERE kind = 'start'")
    assert row["announced_at"] is not None


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


async def test_a_wake_is_announced_and_one_asked_again_is_still_owed(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    world = await World.make(
        engine, {"pipeline": "P", "stages": [{"key": "a", "run": "module load"}]}
    )
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    async with announcing(engine, prefect.url):
        await transact(engine, lambda tx: wake_session(tx, world.session_id))
        (event,) = await prefect.expect("specimen.session.wake")
        assert event["payload"] == {"session": str(world.session_id)}

        async def marked() -> bool:
            rows = await world.sql("SELECT wake_announced_at IS NOT NULL FROM track.session")
            return bool(rows[0][0])

        await until(marked)
        await world.sql("UPDATE track.session SET wake_requested_at = NULL")
        await transact(engine, lambda tx: wake_session(tx, world.session_id))
        first, second = await prefect.expect("specimen.session.wake", 2)
        assert first["id"] != second["id"]


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
