"""A museum's day in numbers, and how each part of the system does."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import HERE, World, new
from track.commands.site_health import degrade
from track.commands.switches import set_attention
from track.jobs import verbs
from track.jobs.endings import note_ends
from track.reports import days
from track.reports.by_hour import Arrivals
from track.reports.health import Condition, SystemPart, parts
from track.reports.period import NoSuchPeriod, read_report
from track.reports.today import DAYS, read_today
from track.schema.database import make_engine, ping, transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Six images of a session: archived, failed, quarantined, held, and two under way."""
    made = await World.make(engine, PIPELINE)
    await made.register(*(new(f"g{n}") for n in range(6)))
    await transact(engine, note_ends, ["g0"])
    claims = {each.guid: each.job_id for each in await made.claim()}
    for guid in ("g1", "g2"):
        await transact(engine, verbs.end, claims[guid], State.FAILED, actor="test", why="broken")
    quarantine = """{"file": "g2.tif", "problem": "it is empty", "remedy": "copy it again"}"""
    await made.sql(f"UPDATE track.asset SET quarantine = '[{quarantine}]' WHERE guid = 'g2'")
    await transact(engine, set_attention, "g3", "look at its label", actor="test")
    await made.sql("UPDATE track.asset SET created_at = now() - interval '30 d' WHERE guid = 'g4'")
    return made


async def test_a_day_says_what_came_what_moves_and_what_waits_for_whom(world: World) -> None:
    found = await transact(world.engine, read_today)
    assert found.day == days.today()
    assert found.came == Arrivals(sessions=1, images=6, archived=1)
    assert found.under_way == 3
    assert dict(found.persons.assets) == {"failed": 1, "quarantined": 1, "attention": 1}
    assert (found.persons.in_all, found.persons.more) == (3, False)
    assert found.oldest is not None
    assert (found.oldest.guid, found.oldest.session_id) == ("g4", world.session_id)
    assert not found.oldest.with_person
    assert len(found.throughput) == DAYS and found.throughput[-1] == (found.day, found.came)
    assert all(counts == Arrivals() for _, counts in found.throughput[:-1])


async def test_an_image_that_failed_is_not_archived_either(world: World) -> None:
    await world.sql("UPDATE track.asset SET created_at = now() - interval '40 d' WHERE guid = 'g1'")
    oldest = (await transact(world.engine, read_today)).oldest
    assert oldest is not None and (oldest.guid, oldest.with_person) == ("g1", True)


async def test_a_day_begins_at_midnight_in_the_museum(world: World) -> None:
    begins = days.days(days.today(), days.today()).begins
    await world.sql("DELETE FROM track.asset_hour")
    hours = {begins - timedelta(hours=1): 2, begins: 3}
    for hour, images in hours.items():
        await world.sql(
            "INSERT INTO track.asset_hour VALUES (:hour, 0, :images, 0, 0, 0)",
            hour=hour,
            images=images,
        )
    found = await transact(world.engine, read_today)
    assert [counts.images for _, counts in found.throughput[-2:]] == [2, 3]


async def say(
    world: World, what: str, state: str, why: str, *, days_ago: int = 0, old: str | None = None
) -> None:
    """Have it in the history that an alarm was told of."""
    await world.sql(
        "INSERT INTO track.history (at, actor, what, old, new, why) VALUES"
        " (now() - make_interval(days => :days), 'reconcile', :what, :old, :new, :why)",
        days=days_ago,
        what=f"alarm.{what}",
        old=old,
        new=state,
        why=why,
    )


async def test_each_part_says_how_it_does_and_since_when(world: World, database: str) -> None:
    engine = world.engine
    await say(world, "archive.ars", "on", "it answered 500", days_ago=2)
    await say(world, "archive.ars", "on", "it answers 503", days_ago=1, old="on")
    for name in ("watch", "reconcile", "worker of dispatchers"):
        await say(world, f"service.{name}", "off", "heard of")
    await transact(engine, degrade, HERE.name, "its disk is full")
    board = make_engine(database, service="board")
    await ping(board)
    found = {(each.kind, each.name): each for each in await transact(engine, parts)}
    await board.dispose()
    conditions = {name: each.condition for name, each in found.items()}
    assert conditions == {
        ("archive", "ars"): Condition.DEGRADED,
        ("service", "board"): Condition.WELL,
        ("service", "reconcile"): Condition.WELL,  # it has a connection now and then
        ("service", "watch"): Condition.SILENT,  # nothing of that name is connected
        ("worker", "dispatchers"): Condition.WELL,
        ("site", HERE.name): Condition.DEGRADED,
    }
    ars, here = found["archive", "ars"], found["site", "here"]
    assert (ars.why, here.why) == ("it answers 503", "its disk is full")
    assert ars.since is not None and here.since is not None
    assert timedelta(days=2) <= datetime.now(UTC) - ars.since < timedelta(days=2, minutes=5)
    assert datetime.now(UTC) - here.since < timedelta(minutes=5)


async def test_a_site_that_is_off_is_no_trouble_and_one_that_nobody_drives_is(
    world: World,
) -> None:
    await world.sql("UPDATE track.site SET open = false")
    (site,) = await transact(world.engine, parts)
    assert (site.condition, site.is_well) == (Condition.OFF, True)
    ago = "now() - interval '1 day'"
    await world.sql(f"UPDATE track.site SET open = true, seen_at = {ago}, expected_at = {ago}")
    (site,) = await transact(world.engine, parts)
    assert isinstance(site, SystemPart) and site.condition == Condition.SILENT
    assert site.since is not None and not site.is_well


async def test_a_report_of_a_session_a_day_and_a_month_agree(world: World) -> None:
    session = await transact(world.engine, read_report, str(world.session_id))
    day = await transact(world.engine, read_report, days.today().isoformat())
    month = await transact(world.engine, read_report, days.today().isoformat()[:7])
    assert session.received == day.received == month.received == Arrivals(1, 6, 0, 1, 0)
    assert (session.waiting, session.persons) == (3, 3)
    # One was dated back to before this month.
    assert (day.waiting, day.persons) == (month.waiting, month.persons) == (2, 3)
    assert session.about.endswith("of W")


@pytest.mark.parametrize("what", ["2026-13", "2026-02-30", "0000-01"])
async def test_a_day_that_is_in_no_calendar_is_refused(world: World, what: str) -> None:
    with pytest.raises(ValueError, match="in no calendar"):
        await transact(world.engine, read_report, what)


async def test_what_is_no_session_is_refused_with_what_to_say(world: World) -> None:
    with pytest.raises(ValueError, match="neither a session nor a day"):
        await transact(world.engine, read_report, "yesterday")
    with pytest.raises(NoSuchPeriod, match="there is no session"):
        await transact(world.engine, read_report, "00000000-0000-0000-0000-000000000000")


def test_a_day_has_as_many_hours_as_the_clock_of_the_museum() -> None:
    lengths = {
        day: days.days(day, day).ends - days.days(day, day).begins
        for day in (date(2026, 3, 29), date(2026, 6, 1), date(2026, 10, 25))
    }
    assert [length // timedelta(hours=1) for length in lengths.values()] == [23, 24, 25]
    assert days.read_span("2026-12") == days.days(date(2026, 12, 1), date(2026, 12, 31))
    assert days.read_span("NHMD-1") is None
