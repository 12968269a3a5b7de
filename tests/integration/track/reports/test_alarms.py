"""What is announced when it begins, and not again: overdue jobs, failing stages, alarms."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import ARCHIVE_DOWN, ARCHIVE_UP
from tests.support.world import World, new
from track.commands import switches
from track.jobs import verbs
from track.records.outbox import announce_changed, due
from track.reports.alarms import Subject, last_said, services_heard, set_alarm
from track.reports.failing import watch_stages
from track.reports.overdue import announce_overdue
from track.schema.database import make_engine, transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load", "resources": {"time": "00:10"}},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
ARCHIVE = Subject("archive", "ars", ARCHIVE_DOWN, ARCHIVE_UP)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await World.make(engine, PIPELINE)


async def events(world: World) -> list[dict[str, Any]]:
    """What Prefect is to be told of, in its order."""
    return [each.event for each in await transact(world.engine, due, 100)]


async def names(world: World) -> list[str]:
    return [event["event"] for event in await events(world)]


async def queued(world: World) -> int:
    await world.register(new("g"))
    (claim,) = await world.claim()
    return await world.enqueue(claim.job_id, "here")


async def test_only_a_reason_that_never_passes_makes_a_queued_job_overdue_within_minutes(
    world: World,
) -> None:
    attempt = await queued(world)
    await world.sql(
        "UPDATE track.attempt SET queued_at = now() - interval '11 minutes' WHERE id = :a",
        a=attempt,
    )
    for word in ("Priority", "Resources", "QOSMaxJobsPerUserLimit", "ReqNodeNotAvail", "None"):
        await _reason(world, word)
        assert await transact(world.engine, announce_overdue) == []
    for word in ("BadConstraints", "QOSMaxWallDurationPerJobLimit", "PartitionTimeLimit"):
        await world.sql("DELETE FROM track.inbox")
        await _reason(world, word)
        (line,) = await transact(world.engine, announce_overdue)
        assert word in line


async def _reason(world: World, word: str) -> None:
    await world.sql(
        "UPDATE track.job SET reason = 'it waits in the queue of here: ' || :w"
        " WHERE state = 'queued'",
        w=word,
    )


async def test_a_job_that_runs_too_long_is_announced_once(world: World) -> None:
    attempt = await queued(world)
    await world.sql("UPDATE track.job SET state = 'running'")
    await world.sql("UPDATE track.attempt SET started_at = now() - interval '20 minutes'")
    assert await transact(world.engine, announce_overdue) == []
    await world.sql("UPDATE track.attempt SET started_at = now() - interval '30 minutes'")
    (line,) = await transact(world.engine, announce_overdue)
    assert line.startswith("load of g is overdue: runs at here since ")
    assert await transact(world.engine, announce_overdue) == []
    (event,) = await events(world)
    assert event["event"] == "hpc.job.overdue"
    assert event["resource"] == {"prefect.resource.id": "specimen.asset.g"}
    payload = event["payload"]
    assert (payload["attempt"], payload["stage"], payload["state"]) == (attempt, "load", "running")
    assert "22 min were due" in payload["why"] and "operate/lost" in payload["remedy"]
    ((what, job),) = await world.sql(
        "SELECT what, attempt_id FROM track.history WHERE what = 'job.overdue'"
    )
    assert (what, job) == ("job.overdue", attempt)


async def test_a_job_that_a_queue_has_had_for_a_day_is_overdue_and_again_once_it_runs_too_long(
    world: World,
) -> None:
    await queued(world)
    assert await transact(world.engine, announce_overdue) == []
    await world.sql("UPDATE track.attempt SET queued_at = now() - interval '25 hours'")
    assert len(await transact(world.engine, announce_overdue)) == 1
    await world.sql("UPDATE track.job SET state = 'running'")
    await world.sql("UPDATE track.attempt SET started_at = now() - interval '3 hours'")
    assert len(await transact(world.engine, announce_overdue)) == 1
    ids = {event["id"] for event in await events(world)}
    assert len(ids) == 2


async def ends(world: World, *guids: str, failed: bool) -> None:
    """These specimens' first stage ends, as done or as failed."""
    await world.register(*(new(guid) for guid in guids))
    for claim in await world.claim(limit=100):
        if claim.stage != "load" or claim.guid not in guids:
            continue
        if failed:
            job_id = claim.job_id

            async def fails(tx: AsyncConnection, job_id: int = job_id) -> None:
                await verbs.end(tx, job_id, State.FAILED, actor="test", why="no such library")

            await transact(world.engine, fails)
        else:
            await world.finish(claim)


async def test_a_stage_of_which_most_fail_is_announced_once_and_once_more_after_it_was_well(
    world: World,
) -> None:
    await ends(world, *"abcd", failed=True)
    assert await transact(world.engine, watch_stages) == []  # four are no pattern
    await ends(world, "e", failed=True)
    (line,) = await transact(world.engine, watch_stages)
    assert line == "5 of the last 5 of P/load failed, mostly: no such library"
    assert await transact(world.engine, watch_stages) == []
    (event,) = await events(world)
    assert event["event"] == "specimen.stage.failing"
    assert event["resource"] == {"prefect.resource.id": "specimen.stage.P/load"}
    assert event["payload"]["why"] == line and "operate/switch" in event["payload"]["remedy"]
    await ends(world, *(f"well{n}" for n in range(6)), failed=False)
    assert await transact(world.engine, watch_stages) == []  # neither failing nor well yet
    await ends(world, *(f"fine{n}" for n in range(18)), failed=False)
    assert await transact(world.engine, watch_stages) == ["stage P/load does not fail any more"]
    await ends(world, *(f"bad{n}" for n in range(12)), failed=True)
    assert len(await transact(world.engine, watch_stages)) == 1
    assert await names(world) == ["specimen.stage.failing"] * 2


async def test_failures_of_an_hour_ago_raise_no_alarm_and_end_one(world: World) -> None:
    await ends(world, *"abcdef", failed=True)
    assert len(await transact(world.engine, watch_stages)) == 1
    await world.sql("UPDATE track.job SET updated_at = now() - interval '2 hours'")
    await world.sql(
        "UPDATE track.history SET at = now() - interval '2 hours' WHERE what = 'job.state'"
    )
    assert len(await transact(world.engine, watch_stages)) == 1
    assert await transact(world.engine, watch_stages) == []


async def test_an_alarm_is_announced_when_it_begins_and_when_it_ends(world: World) -> None:
    async def say(trouble: str | None) -> bool:
        return await transact(world.engine, set_alarm, ARCHIVE, trouble, "wait")

    assert not await say(None)  # nothing was ever wrong
    assert await say("no answer")
    assert not await say("no answer at all")
    assert await say(None)
    assert not await say(None)
    assert await say("no answer")
    assert await names(world) == [ARCHIVE_DOWN, ARCHIVE_UP, ARCHIVE_DOWN]
    first, second, third = await events(world)
    assert first["payload"]["remedy"] == "wait" and "remedy" not in second["payload"]
    assert len({first["id"], second["id"], third["id"]}) == 3


async def test_an_alarm_that_was_not_committed_was_not_raised(world: World) -> None:
    async with world.engine.connect() as connection:
        assert await set_alarm(connection, ARCHIVE, "no answer")
        await connection.rollback()
    assert await transact(world.engine, last_said, ARCHIVE) is None
    assert await events(world) == []


async def test_attention_and_changed_pipelines_are_announced_with_their_commit(
    world: World,
) -> None:
    await world.register(new("g"))
    for note in ("blurred", "blurred", None):
        await transact(
            world.engine,
            switches.set_attention,
            "g",
            note,
            actor="operator:ib",  # type: ignore[misc]
        )
    await transact(world.engine, announce_changed, ["P"], by="operator:ib")
    held, released, changed = await events(world)
    assert held["payload"] == {"attention": "blurred", "by": "operator:ib"}
    assert released["payload"]["attention"] is None
    assert (changed["event"], changed["resource"]["prefect.resource.id"]) == (
        "specimen.pipeline.changed",
        "specimen.pipeline.P",
    )


async def test_a_service_is_heard_of_by_its_connection(world: World, database: str) -> None:
    assert await transact(world.engine, services_heard) == []
    service = make_engine(database, service="watch")
    try:
        async with service.connect():
            (heard,) = await transact(world.engine, services_heard)
            assert heard.name == "watch" and 0 <= heard.silent_s < 60
    finally:
        await service.dispose()
    async with asyncio.timeout(30):  # its server's side ends a moment later
        while await transact(world.engine, services_heard):
            await asyncio.sleep(0.02)
