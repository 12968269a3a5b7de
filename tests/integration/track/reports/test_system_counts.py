"""The numbers of the whole system are those that a look at everything gives."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.events import ARCHIVE_DOWN, SERVICE_SILENT
from schemas.quarantine import QuarantineEntry
from tests.support.world import HERE, World, new
from track.commands.assets import quarantine_all
from track.jobs import verbs
from track.reports.alarms import Subject, note_known, set_alarm
from track.reports.system_counts import SystemCounts, system_counts
from track.schema.database import make_engine, ping, transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "load"},
    ],
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await World.make(engine, PIPELINE)


async def counted(world: World) -> SystemCounts:
    return await transact(world.engine, system_counts)


async def test_an_empty_system_has_a_number_for_everything(world: World) -> None:
    found = await counted(world)
    states = {"unregistered", "waiting_for_a_dispatcher", "parked", "at_work"}
    assert found.sessions.keys() == states and found.sessions["at_work"] == 1
    kinds = ("failed", "cancelled", "quarantined", "attention")
    assert found.needs_person == dict.fromkeys(kinds, 0)
    assert (found.overdue, found.unarchived_s, found.alarms) == ({}, 0, {})
    assert found.database_bytes > 1_000_000


async def test_a_session_is_counted_by_what_it_does(world: World) -> None:
    insert = """
        INSERT INTO track.session (path, opened_as, listing_hash, workstation, registered_at,
                                   parked_at, wake_requested_at, finished_at)
        VALUES ('/a', '/a', 'h', 'W', now(), now(), NULL, NULL),
               ('/b', '/b', 'h', 'W', now(), NULL, now(), NULL),
               ('/c', '/c', 'h', 'W', now(), NULL, NULL, now())
    """
    await world.sql(insert)
    found = (await counted(world)).sessions
    assert (found["parked"], found["waiting_for_a_dispatcher"]) == (1, 1)
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    assert (await counted(world)).sessions["at_work"] == 0


async def test_what_needs_a_person_is_counted_by_asset_and_quarantine_is_no_failure(
    world: World,
) -> None:
    await world.register(*(new(f"g{n}") for n in range(5)))
    bad, failed, cancelled, held, _ = await world.claim()
    who: Any = {"dispatcher_id": world.dispatcher_id, "actor": "test"}
    entry = QuarantineEntry("g0.tif", "is cut short", "scan it again")
    await transact(world.engine, quarantine_all, {bad.job_id: entry}, **who)
    why: Any = {"actor": "test", "why": "x"}
    await transact(world.engine, verbs.end, failed.job_id, State.FAILED, **why)
    await transact(world.engine, verbs.end, cancelled.job_id, State.CANCELLED, **why)
    held_now = "UPDATE track.asset SET attention = 'two sheets', admitted_at = now()"
    await world.sql(f"{held_now} WHERE guid = :guid", guid=held.guid)
    kinds = {"failed": 1, "cancelled": 1, "quarantined": 1, "attention": 1}
    assert (await counted(world)).needs_person == kinds


async def test_the_oldest_that_is_not_proven_counts_until_it_is(world: World) -> None:
    await world.register(new("old"), new("young"))
    aged = "UPDATE track.asset SET created_at = now() - interval '2 hours' WHERE guid = 'old'"
    await world.sql(aged)
    assert 7200 <= (await counted(world)).unarchived_s < 7300
    done = "UPDATE track.job SET state = 'done' WHERE asset_guid = :guid"
    await world.sql(done, guid="old")
    assert (await counted(world)).unarchived_s < 100
    await world.sql(done, guid="young")
    assert (await counted(world)).unarchived_s == 0


async def test_a_job_that_its_site_has_for_too_long_is_counted_there(world: World) -> None:
    await world.register(new("g"), new("h"))
    for found in await world.claim():
        await world.enqueue(found.job_id, HERE.name)
    assert (await counted(world)).overdue == {}
    await world.sql(
        "UPDATE track.attempt SET queued_at = now() - interval '2 days' WHERE job_id ="
        " (SELECT id FROM track.job WHERE asset_guid = 'g' AND state = 'queued')"
    )
    assert (await counted(world)).overdue == {HERE.name: 1}


async def test_sites_say_what_they_take_and_since_when_their_driver_is_silent(
    world: World,
) -> None:
    await world.sql(
        "UPDATE track.site SET degraded = 'its disk is full', seen_at = now() - interval '1 hour',"
        " expected_at = now() - interval '1 day'"
    )
    (site,) = (await counted(world)).sites
    assert (site.site, site.open, site.degraded) == (HERE.name, True, True)
    assert 3600 <= site.driver_silent_s < 3700
    await world.sql("UPDATE track.site SET kind = 'pull', open = false")
    (site,) = (await counted(world)).sites
    assert (site.open, site.driver_silent_s) == (False, None)


async def test_copies_are_counted_once_their_time_is_up(world: World) -> None:
    await world.register(new("g"))
    await world.sql(
        "INSERT INTO track.retention (kind, asset_guid, location, due_at) VALUES"
        " ('ndrive', 'g', '/n', now() - interval '1 hour'),"
        " ('store', 'g', '/s', now() + interval '1 hour')"
    )
    (copies,) = (await counted(world)).prune_due
    assert (copies.kind, copies.copies) == ("ndrive", 1) and 3600 <= copies.oldest_s < 3700


async def test_alarms_say_what_was_announced_last(world: World) -> None:
    archive = Subject("archive", "ars", ARCHIVE_DOWN)
    async with world.engine.begin() as tx:
        await set_alarm(tx, archive, "it does not answer")
        await note_known(tx, Subject("stage", "P/ocr.fine", SERVICE_SILENT))
    assert (await counted(world)).alarms == {
        ("archive", "ars"): True,
        ("stage", "P/ocr.fine"): False,
    }
    async with world.engine.begin() as tx:
        await set_alarm(tx, archive, None)
    assert (await counted(world)).alarms["archive", "ars"] is False


async def test_a_service_is_heard_or_known_to_be_away_and_a_worker_is_none(
    world: World, database: str
) -> None:
    async with world.engine.begin() as tx:
        for name in ("watch", "sites", "worker of refinery"):
            await note_known(tx, Subject("service", name, SERVICE_SILENT))
    watch = make_engine(database, service="watch")
    try:
        await ping(watch)
        found = (await counted(world)).services
    finally:
        await watch.dispose()
    assert found.keys() == {"watch", "sites"} and found["sites"] is None
    assert found["watch"] is not None and found["watch"] < 60
