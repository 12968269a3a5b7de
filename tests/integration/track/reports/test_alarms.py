"""What is announced when it begins, and not again: overdue jobs, failing stages, alarms."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import (
    ALARM_BEGAN,
    ALARM_CONTINUES,
    ALARM_ENDED,
    ARCHIVE_DOWN,
    ARCHIVE_UP,
    STAGE_FAILING,
)
from tests.support.world import World, new
from track.commands import healing, switches
from track.jobs import verbs
from track.records.outbox import announce_changed, due
from track.reports.alarm_messages import Subject
from track.reports.alarms import is_on, last_said, services_heard, set_alarm
from track.reports.degraded import watch_sites
from track.reports.failing import watch_stages
from track.reports.overdue import announce_overdue, watch_overdue
from track.reports.unattended import ASKED, unattended
from track.schema import database as database_module
from track.schema.database import make_engine, transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load", "resources": {"time": "00:10"}},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
ARCHIVE = Subject("archive", "ars")


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
    event, told = await events(world)
    assert (event["event"], told["event"]) == (STAGE_FAILING, ALARM_BEGAN)
    assert event["resource"] == {"prefect.resource.id": "specimen.stage.P/load"}
    assert event["payload"]["why"] == line and "operate/switch" in event["payload"]["remedy"]
    await ends(world, *(f"well{n}" for n in range(6)), failed=False)
    assert await transact(world.engine, watch_stages) == []  # neither failing nor well yet
    await ends(world, *(f"fine{n}" for n in range(18)), failed=False)
    assert await transact(world.engine, watch_stages) == ["stage P/load does not fail any more"]
    await ends(world, *(f"bad{n}" for n in range(12)), failed=True)
    assert len(await transact(world.engine, watch_stages)) == 1
    begun = [STAGE_FAILING, ALARM_BEGAN]
    assert await names(world) == [*begun, ALARM_ENDED, *begun]


async def test_failures_of_an_hour_ago_raise_no_alarm_and_end_one(world: World) -> None:
    await ends(world, *"abcdef", failed=True)
    assert len(await transact(world.engine, watch_stages)) == 1
    await world.sql("UPDATE track.job SET updated_at = now() - interval '2 hours'")
    await world.sql(
        "UPDATE track.history SET at = now() - interval '2 hours' WHERE what = 'job.state'"
    )
    assert len(await transact(world.engine, watch_stages)) == 1
    assert await transact(world.engine, watch_stages) == []


async def say(world: World, trouble: str | None, subject: Subject = ARCHIVE) -> str | None:
    return await transact(world.engine, set_alarm, subject, trouble, "wait")


async def days_pass(world: World, days: int) -> None:
    """As if all that was said had been said so much earlier."""
    await world.sql("UPDATE track.history SET at = at - make_interval(days => :d)", d=days)


async def test_an_alarm_is_told_when_it_begins_and_when_it_ends(world: World) -> None:
    assert await say(world, None) is None  # nothing was ever wrong
    assert await say(world, "no answer") == ALARM_BEGAN
    assert await say(world, "no answer at all") is None
    assert await say(world, None) == ALARM_ENDED
    assert await say(world, None) is None
    assert await say(world, "no answer") == ALARM_BEGAN
    begun, over = [ARCHIVE_DOWN, ALARM_BEGAN], [ARCHIVE_UP, ALARM_ENDED]
    assert await names(world) == [*begun, *over, *begun]
    found = await events(world)
    assert len({event["id"] for event in found}) == len(found)
    down, told, up, end = found[:4]
    assert down["payload"]["remedy"] == "wait" and "remedy" not in up["payload"]
    assert told["resource"] == {"prefect.resource.id": "specimen.alarm.archive.ars"}
    assert told["payload"]["subject"].startswith("archive ars is down (since ")
    assert told["payload"]["body"].startswith("Why: no answer\nWhat to do: wait\nIt is so since ")
    assert end["payload"]["subject"] == "archive ars is up again (after 0 s)"
    assert end["payload"]["body"].endswith(": no answer")


async def test_a_trouble_that_lasts_is_told_again_once_a_day_with_its_beginning(
    world: World,
) -> None:
    assert await say(world, "no answer") == ALARM_BEGAN
    for _ in range(3):
        await days_pass(world, 1)
        assert await say(world, "still no answer") == ALARM_CONTINUES
        assert await say(world, "still no answer") is None
    assert await say(world, None) == ALARM_ENDED
    ((since,),) = await world.sql(
        "SELECT at FROM track.history WHERE what = 'alarm.archive.ars' ORDER BY id LIMIT 1"
    )
    *_, last, _, end = await events(world)
    assert last["payload"]["since"] == end["payload"]["since"] == since.isoformat()  # type: ignore[attr-defined]
    assert "archive ars is still down (since 20" in last["payload"]["subject"]
    assert end["payload"]["subject"] == "archive ars is up again (after 3 d)"


async def test_many_who_look_at_once_tell_one_thing(world: World) -> None:
    for trouble in ("no answer", None):
        told = await asyncio.gather(*(say(world, trouble) for _ in range(8)))
        assert len([event for event in told if event]) == 1
    await say(world, "no answer")
    await days_pass(world, 1)
    told = await asyncio.gather(*(say(world, "no answer") for _ in range(8)))
    assert [event for event in told if event] == [ALARM_CONTINUES]


async def test_the_words_of_others_come_as_one_line_without_what_steers_a_display(
    world: World,
) -> None:
    evil = "a\r\nBcc: all@museum.dk\u202e\x1b[31m" + "x" * 9000
    await say(world, evil, Subject("service", "watch"))
    _, told = await events(world)
    head, body = told["payload"]["subject"], told["payload"]["body"]
    assert "\n" not in head and len(body.splitlines()) == 3
    assert body.isprintable() or {each for each in body if not each.isprintable()} == {"\n"}
    assert "a Bcc: all@museum.dk" in body and len(body) < 1000


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


async def overdue(world: World, *guids: str) -> None:
    """These specimens run at the site for a day."""
    await world.register(*(new(guid) for guid in guids))
    for claim in await world.claim(limit=1000):
        if claim.stage == "load" and claim.guid in guids:
            await world.enqueue(claim.job_id, "here")
    await world.sql("UPDATE track.job SET state = 'running' WHERE state = 'queued'")
    await world.sql("UPDATE track.attempt SET started_at = now() - interval '1 day'")


async def told(world: World) -> list[str]:
    """The headlines of what people are told, in order, up to their time."""
    found = [event["payload"].get("subject") for event in await events(world)]
    return [words.partition(" (")[0] for words in found if words]


async def test_however_many_jobs_are_overdue_people_are_told_of_their_site_once(
    world: World,
) -> None:
    await overdue(world, *(f"g{n}" for n in range(30)))
    assert len(await transact(world.engine, announce_overdue)) == 30
    (line,) = await transact(world.engine, watch_overdue)
    assert line.startswith("30 overdue at here, most of them P/load; ")
    assert await transact(world.engine, watch_overdue) == []
    await world.sql("UPDATE track.attempt SET started_at = now()")
    assert await transact(world.engine, watch_overdue) == ["no job at here is overdue any more"]
    assert await told(world) == [
        "jobs at here are overdue",
        "jobs at here are not overdue any more",
    ]


async def degrade(world: World, why: str | None) -> list[str]:
    await world.sql("UPDATE track.site SET degraded = :why", why=why)
    return await transact(world.engine, watch_sites, drivers_away=False)


async def test_a_site_that_is_down_with_all_its_jobs_is_one_message(world: World) -> None:
    await overdue(world, "a", "b", "c")
    assert await degrade(world, "no route") == ["site here: no route"]
    assert await transact(world.engine, watch_overdue) == []
    assert await degrade(world, "no route") == []
    assert await degrade(world, None) == ["site here: it works again"]
    assert await told(world) == ["site here is degraded", "site here works again"]
    assert len(await transact(world.engine, watch_overdue)) == 1  # they still are


async def test_nothing_new_is_told_of_a_site_that_is_switched_off(world: World) -> None:
    await world.sql("UPDATE track.site SET open = false")
    assert await degrade(world, "no route") == []
    await world.sql("UPDATE track.site SET open = true")
    assert len(await degrade(world, "no route")) == 1
    await world.sql("UPDATE track.site SET open = false")
    assert len(await degrade(world, None)) == 1


async def test_a_site_that_nobody_drives_is_no_trouble_of_its_own_while_the_drivers_are_away(
    world: World,
) -> None:
    await world.sql("UPDATE track.site SET degraded = 'nobody drives it', seen_at = NULL")
    assert await transact(world.engine, watch_sites, drivers_away=True) == []
    assert len(await transact(world.engine, watch_sites, drivers_away=False)) == 1


async def test_a_module_that_a_site_cannot_run_is_told_of(world: World) -> None:
    await world.sql("""UPDATE track.site SET lacks = '{"ocr": {"why": "no such library"}}'""")
    (line,) = await transact(world.engine, watch_sites, drivers_away=False)
    assert line == "site here: it cannot run module ocr: no such library"


async def test_sessions_that_no_dispatcher_comes_to_are_told_of_after_five_minutes(
    world: World,
) -> None:
    await world.sql("DELETE FROM track.dispatcher")
    await world.sql("UPDATE track.session SET wake_requested_at = now()")
    for _ in range(ASKED):
        assert await transact(world.engine, unattended) is None
        await transact(world.engine, healing.request_dispatcher, world.session_id)
    trouble = await transact(world.engine, unattended)
    assert trouble and trouble.startswith("1 sessions have work and no dispatcher comes")
    await world.dispatch()
    assert await transact(world.engine, unattended) is None
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")  # it came, and was asked again
    assert await transact(world.engine, unattended) is None


async def test_a_service_that_nobody_uses_gives_signs_of_life(
    world: World, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "SIGN_S", 0.1)
    service = make_engine(database, service="board")
    giving = asyncio.create_task(database_module.give_signs_of_life(service))
    try:
        asked_at: set[float] = set()
        async with asyncio.timeout(30):
            while len(asked_at) < 3:  # one connection, which asks again and again
                for heard in await transact(world.engine, services_heard):
                    asked_at.add(round(time.monotonic() - heard.silent_s, 1))
                await asyncio.sleep(0.02)
    finally:
        giving.cancel()
        await asyncio.wait([giving])
        await service.dispose()


async def minutes_pass(world: World, minutes: int) -> None:
    """As if all that was said and seen had been so much earlier."""
    await world.sql("UPDATE track.history SET at = at - make_interval(mins => :m)", m=minutes)


async def test_what_comes_and_goes_ten_times_is_two_troubles_and_not_ten(world: World) -> None:
    for _ in range(10):
        await say(world, "no route")
        await minutes_pass(world, 1)
        await say(world, None)
        await minutes_pass(world, 1)
    said = ["archive ars is down", "archive ars is up again", "archive ars is down"]
    assert await told(world) == said, "the second trouble has not ended for good"
    assert await transact(world.engine, is_on, ARCHIVE)
    assert await say(world, None) is None
    await minutes_pass(world, 10)
    assert await say(world, None) == ALARM_ENDED
    assert await say(world, None) is None
    assert await told(world) == [*said, "archive ars is up again"]
    begun, end = [each["payload"] for each in await events(world) if "body" in each["payload"]][2:]
    assert "once it has been well for ten minutes" in begun["body"]
    assert "(after 17 min)" in end["subject"], "it ended when it was seen to be well"


async def test_what_comes_and_goes_for_days_is_told_of_once_a_day(world: World) -> None:
    for trouble in ("no route", None, "no route"):
        await say(world, trouble)
    for _ in range(2):
        for _ in range(47):
            await minutes_pass(world, 30)
            await say(world, None)
            await minutes_pass(world, 1)
            await say(world, "no route")
        await minutes_pass(world, 30)
        await say(world, "no route")
    continued = [words for words in await told(world) if words == "archive ars is still down"]
    assert len(continued) == 2


async def test_a_trouble_long_after_another_ends_at_once(world: World) -> None:
    for _ in range(3):
        assert await say(world, "no route") == ALARM_BEGAN
        assert await say(world, None) == ALARM_ENDED
        await minutes_pass(world, 61)


async def test_many_who_look_at_what_comes_and_goes_note_it_once(world: World) -> None:
    for trouble in ("no route", None, "no route"):
        await say(world, trouble)
    for trouble in (None, "no route", None):
        assert set(await asyncio.gather(*(say(world, trouble) for _ in range(8)))) == {None}
    await minutes_pass(world, 10)
    ends = await asyncio.gather(*(say(world, None) for _ in range(8)))
    assert [event for event in ends if event] == [ALARM_ENDED]
    assert len(await world.sql("SELECT FROM track.history WHERE what = 'alarm.archive.ars'")) == 7
