"""`refinery why` on a real database: one specimen, a session, everything, and what is unknown."""

import io

import pytest
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.why import ask, told
from tests.support.world import World, new
from track.selection import CannotDo
from track.waiting_words import Waits

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


def shown(found: list[Waits]) -> list[str]:
    """The lines as a wide terminal has them, single-spaced."""
    console = Console(file=io.StringIO(), width=300)
    console.print(told(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [" ".join(line.split()) for line in text.splitlines()]


async def test_a_specimen_shows_every_stage_that_is_not_over(world: World, database: str) -> None:
    await world.register(new("g"))
    heads, load, ocr = shown(await ask(database, "g"))
    assert heads == "specimen stage state waits for since why"
    assert load.startswith("g load ready turn ") and load.endswith("is taken in its turn")
    assert ocr.endswith("waits for load of itself, which is ready")
    await world.finish_all()
    assert shown(await ask(database, "g")) == ["nothing stands still: all of it is over"]


async def test_many_are_counted_by_what_they_wait_for(world: World, database: str) -> None:
    await world.register(*(new(f"g{n:02}") for n in range(50)))
    await world.claim()
    for what in ("", str(world.session_id)):
        heads, held, moving = shown(await ask(database, what))
        assert heads.startswith("jobs stage state waits for longest since why")
        assert held.startswith("49 P/load ready room ")
        assert held.endswith("waits for room: 1 of 1 specimens of P are in flight")
        assert moving.startswith("1 P/load claimed work ")


async def test_what_nobody_knows_is_refused(world: World, database: str) -> None:
    for unknown in ("G-1", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(CannotDo, match=r"no (asset|session)"):
            await ask(database, unknown)


async def test_a_session_whose_specimens_nobody_registered_says_so(
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
    assert lines[2].endswith("waits for load of itself, which is waiting")
