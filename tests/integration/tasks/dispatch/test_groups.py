"""What befalls many jobs of a dispatcher at once is one transaction, and each its own affair."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.dispatch.groups import GroupedMoves
from tasks.dispatch.held_job import HeldJob
from tasks.errors import Quarantined
from tests.support.world import World, new
from track.jobs.claims import Claim
from track.jobs.moves import StaleMove

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "a", "run": "refinery.ingest"},
        {"key": "b", "run": "refinery.create", "needs": "a"},
    ],
}
WAVE = 60
MOVES = """
    SELECT new, count(*), count(DISTINCT at) FROM track.history
    WHERE what = 'job.state' AND old = 'claimed' GROUP BY new ORDER BY new
"""
STATES = """
    SELECT s.key, j.state, count(*) FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    GROUP BY s.key, j.state ORDER BY s.key, j.state
"""


async def wave(engine: AsyncEngine) -> tuple[World, list[HeldJob]]:
    """A world, and its first stage's jobs in their subflows' hands."""
    world = await World.make(engine, PIPELINE)
    await world.register(*(new(f"g{n:03}") for n in range(WAVE)))
    moves = GroupedMoves(engine, world.dispatcher_id, "dispatcher")
    return world, [HeldJob(each, moves) for each in await world.claim(limit=WAVE)]


async def put_off(job: HeldJob) -> None:
    await job.retry("the archive is away", delay_s=30.0, grows_to_s=300.0)


async def test_a_wave_of_which_half_fails_for_one_reason_is_two_transactions(
    engine: AsyncEngine,
) -> None:
    world, jobs = await wave(engine)
    half = WAVE // 2
    await asyncio.gather(
        *(put_off(each) for each in jobs[:half]), *(each.finish() for each in jobs[half:])
    )
    assert await world.sql(MOVES) == [("done", half, 1), ("ready", half, 1)]
    assert await world.sql(STATES) == [
        ("a", "done", half),
        ("a", "ready", half),
        ("b", "ready", half),
        ("b", "waiting", half),
    ]
    pauses = "SELECT DISTINCT pauses, tries FROM track.job WHERE available_at > now()"
    assert await world.sql(pauses) == [(1, 0)]


async def test_each_fails_and_is_quarantined_for_its_own_reason(engine: AsyncEngine) -> None:
    world, jobs = await wave(engine)
    third = WAVE // 3

    def broken(claim: Claim) -> Quarantined:
        return Quarantined(f"{claim.guid}.tif", "it is cut off", "send it again")

    await asyncio.gather(
        *(each.fail(f"{each.claim.guid} is refused") for each in jobs[:third]),
        *(each.quarantine(broken(each.claim)) for each in jobs[third : 2 * third]),
    )
    assert await world.sql(MOVES) == [("failed", 2 * third, 2)]
    told = """
        SELECT count(*) FILTER (WHERE position(j.asset_guid IN j.reason) > 0), count(*),
               count(DISTINCT a.quarantine)
        FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
        WHERE j.state = 'failed' AND j.stage_id = (SELECT id FROM track.stage WHERE key = 'a')
    """
    assert await world.sql(told) == [(2 * third, 2 * third, third)]
    left = "SELECT count(*) FROM track.asset WHERE admitted_at IS NOT NULL AND released_at IS NULL"
    assert await world.sql(left) == [(third,)], "what failed leaves its throttle"


async def test_what_another_dispatcher_has_by_now_costs_no_other_anything(
    engine: AsyncEngine,
) -> None:
    world, jobs = await wave(engine)
    lost = [each.claim.job_id for each in jobs[:5]]
    taken = "UPDATE track.job SET dispatcher_id = :other WHERE id = ANY(:lost)"
    await world.sql(taken, other=uuid4(), lost=lost)
    for ask in (put_off, lambda job: job.fail("no")):
        mine, jobs = [*jobs[:5], *jobs[5:10]], [*jobs[:5], *jobs[10:]]
        ends = await asyncio.gather(*map(ask, mine), return_exceptions=True)
        assert [isinstance(each, StaleMove) for each in ends] == [True] * 5 + [False] * 5
    held = "SELECT count(*) FROM track.job WHERE id = ANY(:lost) AND state = 'claimed'"
    assert await world.sql(held, lost=lost) == [(5,)]
    assert await world.sql(MOVES) == [("failed", 5, 1), ("ready", 5, 1)]


async def test_one_that_is_put_off_twice_at_once_is_put_off_once(engine: AsyncEngine) -> None:
    world, (job, *_) = await wave(engine)
    await asyncio.gather(put_off(job), put_off(job))
    assert await world.sql(MOVES) == [("ready", 1, 1)]
    with pytest.raises(StaleMove):
        await put_off(job)
