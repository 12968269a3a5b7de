"""A pipeline as a graph: its edges, what stands at each stage, and what it takes."""

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import HERE, World, new
from track.jobs import verbs
from track.jobs.attempts import close_attempt
from track.reports.stages import UsedEver, pipelines_seen
from track.schema.database import transact
from track.schema.states import State

SHEETS: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "crop", "run": "module crop", "needs": "load", "emits": "D"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
DERIVED: dict[str, object] = {
    "pipeline": "D",
    "stages": [
        {"key": "keep", "run": "refinery.create", "needs": {"stage": "P/load", "of": "parent"}},
    ],
}


async def test_stages_come_in_their_order_with_their_edges_and_what_they_emit(
    engine: AsyncEngine,
) -> None:
    await World.make(engine, SHEETS)
    (found,) = await transact(engine, pipelines_seen, "P")
    by_key = {stage.key: stage for stage in found.stages}
    assert next(iter(by_key)) == "load"
    assert [(up.stage, up.selector, up.accept) for up in by_key["ocr"].upstream] == [
        ("load", "", "")
    ]
    assert by_key["crop"].emits == "D"
    assert [stage.active for stage in found.stages] == [True, True, True]


async def test_counts_are_those_of_moving_jobs_and_of_the_kept_totals(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, SHEETS)
    await world.register(*(new(f"g{n}") for n in range(4)))
    claims = await world.claim()
    await transact(engine, verbs.finish_all, [claims[0].job_id], actor="test")
    await transact(engine, verbs.end, claims[1].job_id, State.FAILED, actor="test", why="broken")
    attempt = await world.enqueue(claims[2].job_id, HERE.name)
    await transact(engine, close_attempt, attempt, "done", seconds=3, cpu_s=2, max_rss_mb=10)
    (found,) = await transact(engine, pipelines_seen, "P")
    load = found.stages[0]
    assert load.jobs == {State.DONE: 1, State.FAILED: 1, State.QUEUED: 1, State.CLAIMED: 1}
    assert load.in_process == 2
    assert load.ever == UsedEver(1, 3.0, 2.0, 10.0)
    assert load.usage is not None and load.usage.seconds.mean == 3.0
    assert found.jobs(State.FAILED) == 1
    assert await transact(engine, pipelines_seen, "no such") == []
