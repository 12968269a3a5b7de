"""What reconcile announces of the system as a whole: at the change, and not every minute."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.reconcile import reconcile
from schemas import events
from schemas.alarm_patience import AlarmPatience
from tasks.upkeep.alarms import raise_alarms, watch_archive
from tests.support.archive import Archive
from tests.support.world import World, new
from track.jobs.leases import CONNECT
from track.records.outbox import due
from track.schema.database import make_engine, transact

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
SOON = AlarmPatience(pause_s=0.05)
ROOM = 1e9
"""GB that no disk has free."""


class Killed(Exception):
    """Ends a look at a line."""


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.register(new("g"))
    await made.sql("UPDATE track.session SET registered_at = now()")
    return made


async def look(world: World, free_gb: float = 0) -> list[dict[str, Any]]:
    """The events that one look owes Prefect, but for those that people read: each line has one."""
    await world.sql("DELETE FROM track.outbox")
    lines = await raise_alarms(world.engine, free_gb, SOON)
    found = [each.event for each in await transact(world.engine, due, 100)]
    read = [each for each in found if each["event"].startswith("specimen.alarm.")]
    assert len(lines) == len(read)
    return [each for each in found if each not in read]


async def test_reconcile_says_what_it_announced(world: World) -> None:
    state = await reconcile(free_gb=ROOM, alarms=SOON, return_state=True)
    assert state.name == "Repaired" and "alarms 1" in str(state.message)


async def test_an_archive_that_is_away_is_announced_once_and_its_return_too(
    world: World, archive: Archive
) -> None:
    await archive.block().save("default", overwrite=True)
    assert await look(world) == []
    archive.fault("status", status=503, path_regex="health", count=None)
    try:
        (down,) = await look(world)
        assert await look(world) == []
    finally:
        archive.heal()
    assert (down["event"], down["payload"]["archive"]) == (events.ARCHIVE_DOWN, "ars")
    assert (
        archive.base_url in down["payload"]["why"]
        and "nothing is lost" in down["payload"]["remedy"]
    )
    (up,) = await look(world)
    assert up["event"] == events.ARCHIVE_UP


async def test_a_look_that_is_killed_before_it_tells_of_the_return_has_let_the_work_go_on(
    world: World, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.block().save("default", overwrite=True)
    archive.fault("status", status=503, path_regex="health", count=None)
    try:
        assert len(await look(world)) == 1
    finally:
        archive.heal()
    await world.sql("UPDATE track.job SET available_at = now() + interval '1 hour', pauses = 3")

    async def killed(*_: object) -> list[str]:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("tasks.upkeep.alarms.set_alarms", killed)
        with pytest.raises(Killed):
            await watch_archive(world.engine, SOON)
    assert await world.sql("SELECT FROM track.job WHERE available_at > now()") == []
    (up,) = await look(world)
    assert up["event"] == events.ARCHIVE_UP


async def test_one_dropped_answer_of_the_archive_is_no_alarm(
    world: World, archive: Archive
) -> None:
    await archive.block().save("default", overwrite=True)
    archive.fault("status", status=503, path_regex="health", count=1)
    assert await look(world) == []


async def test_a_disk_that_fills_up_is_announced_until_there_is_clearly_room_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"store": 6.0}
    monkeypatch.setattr("tasks.upkeep.alarms._free", lambda places: free)
    assert await look(world, free_gb=5) == []
    free["store"] = 4.0
    (filling,) = await look(world, free_gb=5)
    assert filling["event"] == events.STORAGE_FILLING
    assert filling["payload"]["why"].startswith("only 4.0 GB are free under /")
    for now in (4.0, 5.5):  # a little more than enough is not well yet
        free["store"] = now
        assert await look(world, free_gb=5) == []
    free["store"] = 7.0
    assert len(await raise_alarms(world.engine, 5, SOON)) == 1  # it is well again
    free["store"] = 4.0
    assert len(await look(world, free_gb=5)) == 1


async def test_places_on_one_disk_are_told_of_once(world: World) -> None:
    (filling,) = await look(world, free_gb=ROOM)
    assert filling["payload"]["storage"] == "store"


async def test_a_service_that_was_heard_of_and_is_gone_is_announced_once(
    world: World, database: str
) -> None:
    service = make_engine(database, service="watch")
    try:
        async with service.connect():
            assert await look(world) == []
    finally:
        await service.dispose()
    (silent,) = await look(world)
    assert silent["event"] == events.SERVICE_SILENT
    assert silent["payload"]["service"] == "watch"
    assert await look(world) == []
    again = make_engine(database, service="watch")
    try:
        async with again.connect():
            assert (
                len(await world.sql("SELECT 1 FROM track.history WHERE what LIKE 'alarm.%'")) == 2
            )
            await reconcile(alarms=SOON, return_state=True)
    finally:
        await again.dispose()
    assert [event["event"] for event in await look(world)] == [events.SERVICE_SILENT]


async def test_a_dispatcher_that_came_to_its_end_is_no_silent_service(
    world: World, database: str
) -> None:
    address = database.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(address, **CONNECT):  # type: ignore[arg-type]
        assert await look(world) == []
    assert await look(world) == []


async def test_a_pool_that_no_worker_serves_is_announced(world: World) -> None:
    async with get_client() as client:
        pool = await client.create_work_pool(WorkPoolCreate(name="unserved", type="process"))
        flow_id = await client.create_flow_from_name("for an unserved pool")
        made = await client.create_deployment(
            flow_id=flow_id, name="waits", work_pool_name=pool.name, entrypoint="a.py:b"
        )
        try:
            (silent,) = await look(world)
            assert await look(world) == []
        finally:
            await client.delete_deployment(made)
            await client.delete_work_pool(pool.name)
    assert silent["payload"]["service"] == "worker of unserved"
    assert silent["payload"]["why"] == "no worker of pool unserved is alive"


@pytest.mark.parametrize(
    "broken", ["watch_services", "watch_archive", "watch_sites", "watch_agents", "watch_overdue"]
)
async def test_whichever_look_fails_the_others_are_told_of_and_it_is_raised(
    broken: str, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    went_on = []

    async def fails(*_: object, **__: object) -> list[str]:
        raise Killed

    async def last(*_: object) -> list[str]:
        went_on.append("stages")
        return []

    monkeypatch.setattr(f"tasks.upkeep.alarms.{broken}", fails)
    monkeypatch.setattr("tasks.upkeep.alarms.watch_stages", last)
    with pytest.raises(Killed):
        await raise_alarms(world.engine, ROOM, SOON)
    assert went_on == ["stages"]
    told = [each.event["event"] for each in await transact(world.engine, due, 100)]
    assert events.STORAGE_FILLING in told
    assert caplog.text.count("a look for alarms failed") == 1
