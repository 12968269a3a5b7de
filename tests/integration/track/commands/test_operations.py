"""What an operator does to single jobs, on the real database."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.sites import Site
from tests.support.world import World, install_sites, new
from track.commands import operations
from track.commands.operations import ResultRow
from track.commands.selection import CannotDo, Selection, select_jobs
from track.jobs import verbs
from track.jobs.attempts import find_attempt
from track.jobs.batches import mark_array
from track.jobs.batching import take_batches
from track.jobs.moves import Guard, StaleMove, move
from track.jobs.outputs import note_retrieved, retrieval
from track.jobs.site_load import unwanted
from track.schema.database import transact
from track.schema.states import State

CHAIN = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
SITES = [
    {"site": "local", "kind": "local", "root": "/tmp/nowhere"},
    {"site": "other", "kind": "local", "root": "/tmp/elsewhere"},
    {
        "site": "mute",
        "kind": "pull",
        "root": "/home/r",
        "python": "/usr/bin/python3",
        "block": "mute",
        "callback": "none",
    },
]


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, CHAIN)
    sites = [Site.model_validate(each) for each in SITES]
    await transact(engine, install_sites, sites)
    await made.register(new("g"))
    return made


async def queue(world: World, site: str = "local") -> int:
    (found,) = await world.claim()
    return await transact(
        world.engine,
        verbs.enqueue_at_site,
        found.job_id,
        site,
        dispatcher_id=world.dispatcher_id,
        actor="test",
    )


async def start(world: World, attempt_id: int) -> None:
    async def work(tx: Any) -> None:
        found = await find_attempt(tx, attempt_id)
        assert found is not None
        guard = Guard(attempt_id=attempt_id)
        await move(tx, found.job_id, State.QUEUED, State.RUNNING, actor="test", guard=guard)

    await transact(world.engine, work)


async def do(world: World, verb: Any, key: str = "load", *more: str) -> ResultRow:
    job_id = await world.job_id("g", key)
    done: ResultRow = await transact(
        world.engine, verb, job_id, *more, actor="operator:ib", why="because"
    )
    return done


async def open_attempts(world: World) -> int:
    return len(await world.sql("SELECT 1 FROM track.attempt WHERE closed_at IS NULL"))


async def test_a_failed_job_is_done_again_and_asking_twice_changes_nothing(world: World) -> None:
    job_id = await world.job_id("g", "load")
    await world.claim()
    await transact(world.engine, verbs.end, job_id, State.FAILED, actor="test", why="broke")
    first, second = await do(world, operations.resubmit), await do(world, operations.resubmit)
    assert (first.was, first.now, second.changed) == ("failed", "ready", False)
    actors = await world.sql("SELECT actor, why FROM track.history WHERE old = 'failed'")
    assert actors == [("operator:ib", "because")]


async def test_a_job_in_somebodys_hands_is_not_done_again(world: World) -> None:
    await queue(world)
    line = await do(world, operations.resubmit)
    assert not line.changed and "cancel it first" in line.note


async def test_resubmitting_the_ingest_of_a_quarantined_asset_opens_all_of_it(
    world: World,
) -> None:
    await world.sql("UPDATE track.job SET state = 'failed', reason = 'quarantined'")
    torn = {"file": "x: 1.tif", "problem": "broken; torn", "remedy": "look"}
    await world.sql(f"UPDATE track.asset SET quarantine = '{json.dumps(torn)}'")
    await do(world, operations.resubmit)
    assert await world.states("g") == {"load": State.READY, "ocr": State.WAITING}
    assert await world.sql("SELECT quarantine FROM track.asset") == [(None,)]
    said = await world.sql("SELECT old FROM track.history WHERE what = 'asset.reopened'")
    assert said == [("x: 1.tif: broken; torn; look",)]


async def test_a_skipped_stage_lets_the_next_one_run(world: World) -> None:
    await do(world, operations.skip)
    assert await world.states("g") == {"load": State.EXCLUDED, "ocr": State.READY}
    assert not (await do(world, operations.skip)).changed


async def test_what_waits_is_cancelled_at_once(world: World) -> None:
    assert (await do(world, operations.cancel, "ocr")).now == State.CANCELLED
    assert (await do(world, operations.cancel)).now == State.CANCELLED
    assert "nothing to stop" in (await do(world, operations.cancel)).note


async def test_a_queued_job_without_a_start_is_cancelled_at_once(world: World) -> None:
    attempt_id = await queue(world)
    assert (await do(world, operations.cancel)).now == State.CANCELLED
    found = await transact(world.engine, find_attempt, attempt_id)
    assert found is not None and not found.current and found.cancel_requested


async def test_a_running_job_is_cancelled_by_its_site(world: World) -> None:
    attempt_id = await queue(world)
    await start(world, attempt_id)
    first, second = await do(world, operations.cancel), await do(world, operations.cancel)
    assert first.now == State.RUNNING and "local is asked" in first.note
    assert "asked already" in second.note
    guard = Guard(attempt_id=attempt_id)
    job_id = await world.job_id("g", "load")
    ended = await transact(
        world.engine,
        verbs.try_again,
        job_id,
        actor="driver",
        why="gone",
        uses_try=False,
        guard=guard,
    )
    assert ended == State.CANCELLED


async def test_where_no_node_can_ask_us_only_the_driver_cancels_what_it_has_taken(
    world: World,
) -> None:
    await queue(world, "mute")
    await world.sql("UPDATE track.attempt SET batch_id = 1")
    assert (await do(world, operations.cancel)).now == State.QUEUED
    assert "alone can say" in (await do(world, operations.move_to, "load", "other")).note


@pytest.mark.parametrize(
    "verb",
    [
        verbs.finish,
        partial(verbs.try_again, why="later", uses_try=False),
        partial(verbs.end, new=State.FAILED, why="refused"),
    ],
    ids=["finish", "try_again", "end"],
)
async def test_a_claimed_job_is_cancelled_and_its_dispatcher_can_do_nothing_with_it(
    world: World, verb: Callable[..., Awaitable[object]]
) -> None:
    (found,) = await world.claim()
    assert (await do(world, operations.cancel)).now == State.CANCELLED
    guard = Guard(dispatcher_id=world.dispatcher_id)
    with pytest.raises(StaleMove):
        await transact(world.engine, verb, found.job_id, actor="test", guard=guard)
    assert (await world.states("g"))["load"] == State.CANCELLED


async def test_what_came_back_is_finished(world: World) -> None:
    attempt_id = await queue(world)
    await start(world, attempt_id)
    job_id = await world.job_id("g", "load")
    await transact(world.engine, verbs.mark_returned, job_id, attempt_id=attempt_id, actor="a")
    line = await do(world, operations.cancel)
    assert line.now == State.RETURNED and "stage that follows" in line.note


async def test_a_queued_job_moves_to_another_site_and_keeps_its_tries(world: World) -> None:
    await queue(world)
    first = await do(world, operations.move_to, "load", "other")
    assert (first.was, first.now) == ("local", "other")
    assert "there already" in (await do(world, operations.move_to, "load", "other")).note
    assert await open_attempts(world) == 1
    assert await world.sql("SELECT tries FROM track.job WHERE attempt_id IS NOT NULL") == [(0,)]


async def test_a_stage_bound_to_its_sites_is_not_moved_elsewhere(world: World) -> None:
    await queue(world)
    await world.sql("UPDATE track.stage SET sites = '[\"local\"]'")
    assert "only at local" in (await do(world, operations.move_to, "load", "other")).note


async def test_a_closed_site_takes_nothing(world: World) -> None:
    await queue(world)
    await world.sql("UPDATE track.site SET open = false WHERE name = 'other'")
    with pytest.raises(CannotDo, match="switched off"):
        await do(world, operations.move_to, "load", "other")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Selection(guid="nobody"), "guid: no asset 'nobody'"),
        (Selection(guid="g", stage="lod"), "did you mean 'load'"),
        (Selection(stage="ocrr"), "did you mean 'ocr'"),
        (Selection(pipeline="Q"), "there are: P"),
    ],
)
async def test_an_unknown_name_is_answered_with_the_nearest(
    world: World, wanted: Selection, says: str
) -> None:
    with pytest.raises(CannotDo, match=says):
        await transact(world.engine, select_jobs, wanted)


async def test_a_selection_narrows_by_everything_given(world: World) -> None:
    await world.register(new("h"))
    every = await transact(world.engine, select_jobs, Selection(pipeline="P"))
    ready = await transact(
        world.engine,
        select_jobs,
        Selection(session=world.session_id),
        {State.READY},
    )
    one = await transact(world.engine, select_jobs, Selection("h", "ocr"))
    assert (len(every), len(ready), one) == (4, 2, [await world.job_id("h", "ocr")])


async def batched(world: World, attempt_id: int) -> None:
    """A driver takes the attempt."""
    taken = await transact(world.engine, take_batches, "local", members=1, size=1)
    await transact(world.engine, mark_array, taken[0], "77")


async def test_an_attempt_declared_lost_is_done_again_without_losing_a_try(world: World) -> None:
    attempt_id = await queue(world)
    await batched(world, attempt_id)
    await start(world, attempt_id)
    line = await do(world, operations.declare_lost)
    assert (line.was, line.now) == ("running", "ready")
    rows = await world.sql(
        "SELECT j.tries, t.outcome, t.message FROM track.job j"
        " JOIN track.attempt t ON t.job_id = j.id"
    )
    assert rows == [(0, "declared", "declared lost: because")]
    assert await open_attempts(world) == 0


async def test_what_may_be_left_of_a_lost_attempt_is_stopped_at_its_site(world: World) -> None:
    attempt_id = await queue(world)
    await batched(world, attempt_id)
    await start(world, attempt_id)
    assert await transact(world.engine, unwanted, "local") == []
    await do(world, operations.declare_lost)
    found = await transact(world.engine, unwanted, "local")
    assert [(each.attempt, each.external_id) for each in found] == [(attempt_id, "77_0")]


async def test_a_cancelled_attempt_declared_lost_is_cancelled(world: World) -> None:
    attempt_id = await queue(world, "mute")
    await world.sql(
        "INSERT INTO track.batch (key, site, stage_id, resources, members)"
        " SELECT 'b', 'mute', stage_id, '{}', ARRAY[CAST(:a AS bigint)] FROM track.job"
        " WHERE attempt_id = :a",
        a=attempt_id,
    )
    await world.sql(
        "UPDATE track.attempt SET batch_id = (SELECT id FROM track.batch) WHERE id = :a",
        a=attempt_id,
    )
    assert (await do(world, operations.cancel)).now == "queued"
    assert (await do(world, operations.declare_lost)).now == "cancelled"


async def test_what_no_site_has_cannot_be_declared_lost(world: World) -> None:
    assert "no site has it" in (await do(world, operations.declare_lost)).note
    await queue(world)
    assert "has not taken it" in (await do(world, operations.declare_lost)).note


async def came_back(world: World) -> int:
    """A job whose output lies at a site that will never give it; its attempt."""
    attempt_id = await queue(world)
    await start(world, attempt_id)
    job_id = await world.job_id("g", "load")
    result = '{"outputs": [{"path": "cut.tif", "size_bytes": 1, "sha256": "0"}]}'
    await world.sql(
        "UPDATE track.attempt SET outcome = 'done', closed_at = now(),"
        " result = CAST(:result AS jsonb)",
        result=result,
    )
    await transact(world.engine, verbs.mark_returned, job_id, attempt_id=attempt_id, actor="a")
    return attempt_id


@pytest.mark.parametrize(
    ("verb", "now"),
    [
        (operations.resubmit, State.READY),
        (operations.declare_lost, State.READY),
        (operations.cancel, State.FAILED),
        (operations.skip, State.EXCLUDED),
    ],
)
async def test_a_job_whose_outputs_never_come_is_a_persons_to_decide(
    world: World, verb: Any, now: State
) -> None:
    await came_back(world)
    line = await do(world, verb)
    assert (line.was, line.now) == (State.RETURNED, now)
    assert "nobody waits for its outputs" in line.note
    job_id = await world.job_id("g", "load")
    async with world.engine.connect() as tx:
        assert await retrieval(tx, job_id) == "its outputs were given up: because"
    said = await world.sql("SELECT actor, why FROM track.history WHERE what = 'outputs.given_up'")
    assert said == [("operator:ib", "because")]
    assert await world.sql("SELECT tries FROM track.job WHERE id = :id", id=job_id) == [(0,)]


async def decide(world: World, *, again: bool) -> ResultRow:
    return await do(world, partial(operations.decide_outputs, again=again))


async def test_a_job_that_waits_for_no_outputs_is_left_alone(world: World) -> None:
    line = await decide(world, again=True)
    assert not line.changed and line.note == "it is ready, and no outputs of it are awaited"


async def test_a_job_may_be_done_without_its_outputs_which_it_warns_of(world: World) -> None:
    await came_back(world)
    line = await decide(world, again=False)
    assert (line.was, line.now) == ("outputs awaited", "done without them")
    job_id = await world.job_id("g", "load")
    async with world.engine.connect() as tx:
        assert await retrieval(tx, job_id) == "", "nothing is missing any more: it is finished"
    said = "SELECT state, warning FROM track.job WHERE id = :id"
    assert await world.sql(said, id=job_id) == [
        ("returned", "done without its outputs: because")
    ]  # fmt: skip
    again = await decide(world, again=False)
    assert not again.changed and "no outputs of it are awaited" in again.note


async def test_or_be_done_again_and_of_two_who_decide_at_once_one_is_told(world: World) -> None:
    await came_back(world)
    both = await asyncio.gather(decide(world, again=True), decide(world, again=False))
    assert sorted(each.changed for each in both) == [False, True]
    (told,) = [each for each in both if not each.changed]
    assert "no outputs of it are awaited" in told.note


async def test_one_whose_outputs_are_here_is_finished(world: World) -> None:
    attempt_id = await came_back(world)
    await transact(world.engine, note_retrieved, attempt_id)
    assert (await do(world, operations.cancel)).now == State.RETURNED
    assert "being done" in (await do(world, operations.resubmit)).note
