"""A stage added through the verb to a pipeline with a thousand specimens under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from flows import operate
from tasks.upkeep import definitions
from tests.integration.flows.test_operate import page
from tests.support.world import World, new
from track.commands.back_fill import PAGE, back_fill_page
from track.jobs import verbs
from track.records.sessions import open_session
from track.schema.database import transact

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
        {"key": "end", "run": "refinery.finalise", "needs": "ocr"},
    ],
}
CROP = "  - {key: crop, run: module crop, needs: load}\n"
WITHOUT_CROP = """
pipeline: P
stages:
  - {key: load, run: module load}
  - {key: ocr, run: module ocr, needs: load}
  - {key: end, run: refinery.finalise, needs: ocr}
"""
WITH_CROP = WITHOUT_CROP.replace("needs: ocr}", "needs: [ocr, crop]}") + CROP
DONE, EXCLUDED, FAILED, IN_PROCESS, WAITING = 400, 100, 100, 200, 200
ALL = DONE + EXCLUDED + FAILED + IN_PROCESS + WAITING
PAGES = 2 * (ALL // PAGE + 1)
"""Of jobs that come, then of what is judged."""

MOST_OF_A_PAGE = 25
"""Statements: so many, however many specimens a page has."""

OVER = (
    "UPDATE track.job SET state = 'done' WHERE session_id = :session",
    """UPDATE track.asset SET admitted_at = now(), released_at = now(), finalised_at = now()
       WHERE session_id = :session""",
    "UPDATE track.session SET finished_at = now(), path = '/n/imported_a' WHERE id = :session",
)
STATE = """
    UPDATE track.job j SET state = :state FROM track.stage s
    WHERE s.id = j.stage_id AND s.key = :stage AND j.asset_guid LIKE :guids
"""
STANDING = "SELECT xmin, * FROM track.job WHERE id <= :last ORDER BY id"
BY_STATE = """
    SELECT left(j.asset_guid, 1), j.state, count(*) FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id WHERE s.key = 'crop' GROUP BY 1, 2 ORDER BY 1, 2
"""


class CutOff(BaseException):
    """What ends a process between two pages."""


async def a_thousand(engine: AsyncEngine) -> World:
    """Specimens of three sessions: one is over, one is at work, of one all have failed.

    By the first letter of the guid: done, excluded, failed, in process, waiting.
    """
    world = await World.make(engine, PIPELINE)
    at_work = world.session_id
    for letter, number in (("p", IN_PROCESS), ("e", EXCLUDED), ("w", WAITING)):
        await world.register(*(new(f"{letter}{n:03}") for n in range(number)))
        if letter == "p":
            taken = [found.job_id for found in await world.claim(limit=ALL)]
            who: Any = {"dispatcher_id": world.dispatcher_id, "actor": "test"}
            await transact(engine, verbs.enqueue_all, taken[: IN_PROCESS // 2], "here", **who)
    for stage, state in (("load", "excluded"), ("ocr", "ready")):
        await world.sql(STATE, stage=stage, state=state, guids="e%")
    for letter, number in (("d", DONE), ("f", FAILED)):
        world.session_id = await another_session(engine, letter)
        await world.register(*(new(f"{letter}{n:03}") for n in range(number)))
        if letter == "d":
            for statement in OVER:
                await world.sql(statement, session=world.session_id)
    await world.sql(STATE, stage="load", state="failed", guids="f%")
    world.session_id = at_work
    await world.sql("UPDATE track.session SET wake_requested_at = NULL")
    return world


async def another_session(engine: AsyncEngine, name: str) -> Any:
    asked = {"path": f"/n/{name}", "workstation": "W", "listing_hash": name, "actor": "test"}
    return await transact(engine, open_session, **asked)  # type: ignore[arg-type]


async def said(**parameters: Any) -> str:
    state: State[Any] = await operate.pipeline(by="ib", return_state=True, **parameters)
    assert state.is_completed(), state.message
    return str(state.message)


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(*given: Any) -> None:
        sent.append(given[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def crop_jobs(world: World) -> dict[str, tuple[object, ...]]:
    """The states of jobs of the new stage and how many, by the first letter of their guids."""
    return {str(row[0]): row[1:] for row in await world.sql(BY_STATE)}


async def asked_for(world: World) -> list[object]:
    """The folders of the sessions that a dispatcher was asked for."""
    asked = "SELECT opened_as FROM track.session WHERE wake_requested_at IS NOT NULL"
    return [row[0] for row in await world.sql(asked)]


async def test_a_stage_is_added_to_a_thousand_specimens_once_whatever_becomes_of_the_verb(
    blocks: Path, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await a_thousand(engine)
    ((last,),) = await world.sql("SELECT max(id) FROM track.job")
    file = tmp_path / "p.yaml"
    file.write_text(WITH_CROP)
    before = await world.sql(STANDING, last=last)

    told = await said(path=str(file), dry_run=True)
    assert f"1 re-parented, 1 added; {ALL:,} jobs to come" in told
    plan = await page("operate-pipeline-plan")
    assert (
        f"| module crop, needs load | {ALL:,} |" in plan and f"{DONE} specimens that were" in plan
    )
    assert f"| needs ocr | needs ocr, crop | {ALL - DONE} |" in plan
    assert await world.sql(STANDING, last=10 * ALL) == before

    async def two_pages(engine: AsyncEngine) -> None:
        for _ in range(2):
            await transact(engine, back_fill_page)
        raise CutOff

    with monkeypatch.context() as patch, pytest.raises(CutOff):
        patch.setattr(definitions, "back_fill", two_pages)
        await operate.pipeline(by="ib", path=str(file))
    assert sum(int(str(row[1])) for row in (await crop_jobs(world)).values()) == 2 * PAGE

    with statements() as sent:  # the second press goes on
        assert "left as it was" in await said(path=str(file))
    assert len(sent) <= PAGES * MOST_OF_A_PAGE
    assert await crop_jobs(world) == {
        "d": ("ready", DONE),
        "e": ("ready", EXCLUDED),
        "f": ("waiting", FAILED),
        "p": ("waiting", IN_PROCESS),
        "w": ("waiting", WAITING),
    }
    # What is done, under way or failed stays as it is. Of the sessions, only that asks for a
    # dispatcher which was over: one has its own, and nothing can be done where all have failed.
    assert await world.sql(STANDING, last=last) == before
    assert await asked_for(world) == ["/n/d"]
    of_assets = "SELECT DISTINCT left(guid, 1) FROM track.asset WHERE reopened_at IS NOT NULL"
    assert await world.sql(of_assets) == [("d",)]

    everything = await world.sql(STANDING, last=10 * ALL)
    with statements() as sent:  # the third changes nothing
        assert "left as it was (unchanged, 4 stages)" in await said(path=str(file))
    assert await world.sql(STANDING, last=10 * ALL) == everything and len(sent) <= MOST_OF_A_PAGE
    await its_end_comes_again(world, "d000")

    file.write_text(WITHOUT_CROP)
    with statements() as sent:
        assert "1 re-parented, 1 taken out" in await said(path=str(file))
    assert len(sent) <= PAGES * MOST_OF_A_PAGE
    ends = "SELECT state, count(*) FROM track.job WHERE asset_guid LIKE 'd%' AND stage_id = :end"
    ((end,),) = await world.sql("SELECT id FROM track.stage WHERE key = 'end'")
    assert dict(await world.sql(f"{ends} GROUP BY 1", end=end)) == {"done": 1, "ready": DONE - 1}


async def its_end_comes_again(world: World, guid: str) -> None:
    """Take a specimen that was over through its new stage: its end alone follows, once."""
    at_work = world.session_id
    ((world.session_id,),) = await world.sql(  # type: ignore[assignment]
        "SELECT session_id FROM track.asset WHERE guid = :guid", guid=guid
    )
    await world.dispatch()
    for stage in ("crop", "end"):
        (found,) = await world.claim(guid=guid)
        assert found.stage == stage
        await world.finish(found)
    assert await world.claim(guid=guid) == []
    assert set((await world.states(guid)).values()) == {"done"}
    world.session_id = at_work
