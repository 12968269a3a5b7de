"""`refinery why` on a real database: one specimen, a session, everything, and what is unknown."""

import io
from collections.abc import Mapping

import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.why import ask, ask_printed, explained
from tests.support.at_site import kill, start
from tests.support.world import World, new
from track.commands.selection import CannotDo
from track.reports.printed import PrintedEnd
from track.reports.waiting_words import Waits

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "throttle": {"assets_in_flight": 1},
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.sql("UPDATE track.session SET registered_at = now()")
    return made


def shown(found: list[Waits], printed: Mapping[int, PrintedEnd] | None = None) -> list[str]:
    """The lines as a wide terminal has them, single-spaced."""
    console = Console(file=io.StringIO(), width=300)
    console.print(explained(found, printed))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [" ".join(line.split()) for line in text.splitlines()]


async def test_a_specimen_shows_every_stage_that_is_not_over(world: World, database: str) -> None:
    await world.register(new("g"))
    load, turn, ocr, wait = shown(await ask(database, "g"))
    assert load.startswith("g load ready (turn), since ") and turn.endswith("taken in its turn")
    assert ocr.startswith("g ocr waiting (")
    assert wait == "waits for load of itself, which is ready"
    await world.finish_all()
    assert shown(await ask(database, "g")) == ["nothing stands still: all of it is over"]


async def test_many_are_counted_by_what_they_wait_for(world: World, database: str) -> None:
    await world.register(*(new(f"g{n:02}") for n in range(50)))
    await world.claim()
    for what in ("", str(world.session_id)):
        held, room, moving, _ = shown(await ask(database, what))
        assert held.startswith("49 jobs P/load ready (room), the longest since ")
        assert room == "waits for room: 1 of 1 specimens of P are in flight"
        assert moving.startswith("1 jobs P/load claimed (work), ")


async def test_one_specimen_shows_what_it_printed_whose_last_try_was_killed(
    world: World, database: str
) -> None:
    await world.register(new("g"))
    (load,) = await world.claim()
    attempt = await world.enqueue(load.job_id, "alpha")
    await start(world, attempt)
    await kill(world, attempt, "no label\nis there")
    found = await ask(database, "g")
    lines = shown(found, await ask_printed(database, found))
    assert lines[2:5] == ["attempt 1 at alpha as n1, failed, printed last:", "no label", "is there"]
    await world.register(new("h"))
    assert await ask_printed(database, await ask(database, "")) == {}


async def test_an_unknown_name_is_refused(world: World, database: str) -> None:
    for unknown in ("G-1", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(CannotDo, match=r"no (asset|session)"):
            await ask(database, unknown)


async def test_a_session_without_registered_specimens_is_refused_with_the_reason(
    world: World, database: str
) -> None:
    await world.sql("UPDATE track.session SET registered_at = NULL")
    with pytest.raises(CannotDo, match="not registered yet"):
        await ask(database, str(world.session_id))


async def test_a_session_in_which_all_wait_for_others_is_not_over(
    world: World, database: str
) -> None:
    await world.register(new("g"))
    await world.sql("UPDATE track.job SET state = 'waiting'")
    lines = shown(await ask(database, str(world.session_id)))
    assert lines[3] == "waits for load of itself, which is waiting"


async def test_a_guid_that_could_be_read_as_a_sessions_id_is_a_guid(
    world: World, database: str
) -> None:
    guid = "7ea-b-1c-14-32-00-0-001-00-000-02de17-00000"
    await world.register(new(guid))
    assert shown(await ask(database, guid))[0].startswith(f"{guid} load ready")


async def test_a_quarantined_specimen_is_listed_once(world: World, database: str) -> None:
    await world.register(new("g"))
    await world.sql(
        "UPDATE track.job j SET state = 'failed',"
        " reason = CASE s.key WHEN 'load' THEN 'g.tif: torn' ELSE 'quarantined: g.tif: torn' END"
        " FROM track.stage s WHERE s.id = j.stage_id"
    )
    head, why = shown(await ask(database, "g"))
    assert head.startswith("g load failed (person)") and why.startswith("g.tif: torn")
