"""Many jobs are done again as one would be, in a few statements for all of them."""

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands import operations
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "a", "run": "module load"},
        {"key": "b", "run": "module ocr", "needs": "a"},
    ],
}


async def failed(engine: AsyncEngine, specimens: int) -> tuple[World, list[int]]:
    """A world, and its first jobs, which have all failed."""
    world = await World.make(engine, PIPELINE)
    await world.register(*(new(f"g{n:04}") for n in range(specimens)))
    ids = [each.job_id for each in await world.claim(limit=specimens)]
    why = dict.fromkeys(ids, "the disk was full")
    await transact(engine, verbs.end_all, why, State.FAILED, actor="test")
    return world, ids


async def statements(world: World, ids: list[int]) -> int:
    """How many it takes to do these jobs again."""
    count = 0

    @event.listens_for(world.engine.sync_engine, "before_cursor_execute")
    def counts(*_: object) -> None:
        nonlocal count
        count += 1

    lines = await transact(world.engine, operations.resubmit_all, ids, actor="o", why="again")
    event.remove(world.engine.sync_engine, "before_cursor_execute", counts)
    assert [(each.was, each.now) for each in lines] == [("failed", "ready")] * len(ids)
    return count


async def test_two_hundred_failed_jobs_take_as_many_statements_as_two(engine: AsyncEngine) -> None:
    world, ids = await failed(engine, 202)
    few = await statements(world, ids[:2])
    assert await statements(world, ids[2:]) == few
    assert len(await world.claim(limit=300)) == 202


async def test_a_page_may_hold_what_is_done_what_waits_and_what_is_in_quarantine(
    engine: AsyncEngine,
) -> None:
    world, ids = await failed(engine, 4)
    in_quarantine = """
        UPDATE track.asset SET quarantine = '{"file": "f", "problem": "p", "remedy": "r"}'
        WHERE guid = 'g0000'
    """
    await world.sql(in_quarantine)
    await transact(engine, operations.resubmit, ids[1], actor="o", why="")
    (done,) = await world.claim(limit=1)
    await world.finish(done)
    lines = await transact(engine, operations.resubmit_all, ids, actor="o", why="again")
    assert [(each.guid, each.was, each.now) for each in lines] == [
        ("g0000", "failed", "ready"),
        ("g0001", "done", "ready"),
        ("g0002", "failed", "ready"),
        ("g0003", "failed", "ready"),
    ]
    left = "SELECT count(*) FROM track.asset WHERE quarantine IS NOT NULL"
    assert await world.sql(left) == [(0,)]
    built_on = (
        "SELECT j.state FROM track.job j JOIN track.stage s ON s.id = j.stage_id AND s.key = 'b'"
    )
    assert await world.sql(built_on) == [("waiting",)] * 4


async def test_asked_again_it_changes_nothing(engine: AsyncEngine) -> None:
    world, ids = await failed(engine, 3)
    await statements(world, ids)
    lines = await transact(engine, operations.resubmit_all, ids, actor="o", why="again")
    assert not any(each.changed for each in lines)
    again = "SELECT count(*) FROM track.history WHERE old = 'failed' AND new = 'waiting'"
    assert await world.sql(again) == [(3,)]
