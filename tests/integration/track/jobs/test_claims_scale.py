"""A claim, and a look at what a session waits for, read few jobs however many are ready."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc import protocol
from hpc.callers import RunnerCaller
from schemas.attempts import Complete, Result, Start
from schemas.sites import Site
from tests.support.world import World, install_sites, new
from track.commands.switches import set_attention, set_priority, switch_site, switch_stage
from track.jobs import at_site, verbs
from track.jobs.batches import read_batches
from track.jobs.batching import take_batches
from track.jobs.claims import claim, returned
from track.jobs.outlook import Outlook, outlook
from track.jobs.outputs import note_retrieved
from track.jobs.sites import choose_sites
from track.records.mos import may_lack_metadata, unpushed_relatives
from track.schema.database import transact

MANY = 6_000
FEW_ROWS = 2_500
"""Far fewer than are ready."""

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "throttle": {"assets_in_flight": 4},
    "stages": [
        {"key": "first", "run": "module load", "on": "here"},
        {"key": "second", "run": "module clean", "needs": "first"},
        {"key": "upload", "run": "module upload", "needs": "second"},
    ],
}
FILL = """
    WITH assets AS (
        INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, admitted_at, attention)
        SELECT :name || n, :session, p.id, 'x', CASE WHEN :admitted THEN now() END, :attention
        FROM generate_series(1, :many) n, track.pipeline p WHERE p.name = :pipeline
        RETURNING guid, session_id, pipeline_id
    ), files AS (
        INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes, site)
        SELECT guid, 'x.tif', 'tif', 0, 1, :site FROM assets
    )
    INSERT INTO track.job (asset_guid, session_id, stage_id, state, available_at)
    SELECT a.guid, a.session_id, s.id, CASE s.key WHEN :ready THEN 'ready' ELSE 'waiting' END,
           now() + make_interval(secs => :later)
    FROM assets a JOIN track.stage s ON s.pipeline_id = a.pipeline_id
"""
READ = text("SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables")
"""Rows that this transaction has read so far."""


class Crowd:
    """A session with very many jobs, and what is read of them."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def add(self, ready: str, *, later: float = 0, **of: Any) -> None:
        """Very many specimens with this stage ready, in `later` seconds."""
        given = {
            "name": "m",
            "admitted": False,
            "attention": None,
            "site": "here",
            "pipeline": "P",
            **of,
        }
        given |= {"session": self.world.session_id, "many": MANY, "ready": ready, "later": later}
        await self.world.sql(FILL, **given)
        async with self.world.engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("VACUUM ANALYZE"))

    async def read(self, work: Callable[[AsyncConnection], Awaitable[Any]]) -> tuple[Any, int]:
        """What `work` returns, and how many rows it read."""
        async with self.world.engine.begin() as tx:
            before = (await tx.execute(READ)).scalar_one()
            found = await work(tx)
            return found, (await tx.execute(READ)).scalar_one() - before

    async def claim(self, limit: int = 8, **narrowed: Any) -> tuple[list[str], int]:
        """The guids of what is claimed, and the rows read for it."""
        mine = (self.world.session_id, self.world.dispatcher_id)
        found, rows = await self.read(lambda tx: claim(tx, *mine, limit=limit, **narrowed))
        return [each.guid for each in found], rows

    async def outlook(self) -> tuple[Outlook, int]:
        """What is before the session, and the rows read for it."""
        return await self.read(lambda tx: outlook(tx, self.world.session_id))


@pytest.fixture
async def crowd(engine: AsyncEngine) -> Crowd:
    world = await World.make(engine, PIPELINE)
    sites = [
        Site.model_validate({"site": name, "kind": "local", "root": "/nowhere"})
        for name in ("here", "there")
    ]
    await transact(engine, install_sites, sites)
    return Crowd(world)


async def test_a_claim_among_very_many_reads_few(crowd: Crowd) -> None:
    await crowd.add("second", admitted=True)
    claims, rows = await crowd.claim(limit=64)
    assert len(claims) == 64
    assert rows < FEW_ROWS
    claims, rows = await crowd.claim(limit=1, guid="m6000")
    assert (claims, rows < 200) == (["m6000"], True)


async def test_what_waits_to_be_let_in_is_not_read_through_nor_hides_what_is_in_flight(
    crowd: Crowd,
) -> None:
    await crowd.world.register(*(new(f"g{n}") for n in range(4)))
    claims, _ = await crowd.claim()
    assert sorted(claims) == ["g0", "g1", "g2", "g3"]
    await crowd.add("first")
    # One of those in flight tries its first stage again, after all others.
    await crowd.world.sql(
        "UPDATE track.job SET state = 'ready', priority = -1, dispatcher_id = NULL"
        " WHERE asset_guid = 'g2' AND state = 'claimed'"
    )
    seen, rows = await crowd.outlook()
    assert (seen.ready > 0, rows < FEW_ROWS) == (True, True)
    claims, rows = await crowd.claim()
    assert (claims, rows < FEW_ROWS) == (["g2"], True)
    claims, rows = await crowd.claim()
    assert (claims, rows < FEW_ROWS) == ([], True)
    seen, rows = await crowd.outlook()
    assert (seen.ready, seen.room > 0, rows < FEW_ROWS) == (0, True, True)


async def test_one_in_flight_of_the_same_urgency_is_found_behind_all_that_wait_to_be_let_in(
    crowd: Crowd,
) -> None:
    await crowd.world.register(*(new(f"g{n}") for n in range(4)))
    await crowd.claim()
    await crowd.add("first")
    await crowd.world.sql(
        "UPDATE track.job SET state = 'ready', dispatcher_id = NULL, available_at = now()"
        " WHERE asset_guid = 'g2' AND state = 'claimed'"
    )
    seen, rows = await crowd.outlook()
    assert (seen.ready > 0, rows < FEW_ROWS) == (True, True)
    claims, rows = await crowd.claim()
    assert (claims, rows < FEW_ROWS) == (["g2"], True)


async def test_what_is_put_off_is_not_read(crowd: Crowd) -> None:
    await crowd.add("first", later=3600)
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == ([], True)
    await crowd.world.register(new("due", priority=-1))
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == (["due"], True)
    seen, rows = await crowd.outlook()
    assert (seen.ready, seen.later > 0, rows < 200) == (0, True, True)


async def test_what_a_person_holds_is_read_once_and_comes_back_when_that_ends(
    crowd: Crowd,
) -> None:
    await crowd.add("first", attention="look")
    await crowd.world.register(new("free"))
    claims, _ = await crowd.claim()
    assert claims == ["free"]
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == ([], True)
    seen, rows = await crowd.outlook()
    assert (seen.ready, seen.room, seen.later, rows < 200) == (0, 0, 0, True)
    await transact(crowd.world.engine, set_attention, "m77", None, actor="t")
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == (["m77"], True)


async def test_what_a_person_holds_and_was_put_off_is_no_reason_to_wait_for_its_time(
    crowd: Crowd,
) -> None:
    await crowd.add("first", later=3600, attention="look")
    for _ in range(2):
        seen, rows = await crowd.outlook()
        assert (seen.quiet, seen.next_at) == (True, None)
    assert rows < 200


async def test_what_is_switched_off_or_has_no_site_is_not_read(crowd: Crowd) -> None:
    await crowd.add("first")
    await transact(crowd.world.engine, switch_site, "here", False, actor="t")
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == ([], True)
    seen, rows = await crowd.outlook()
    assert (seen.without_site > 0, seen.may_park, rows < FEW_ROWS) == (True, True, True)
    await transact(crowd.world.engine, switch_site, "here", True, actor="t")
    await transact(crowd.world.engine, switch_stage, "first", "P", False, actor="t")
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == ([], True)
    seen, rows = await crowd.outlook()
    assert (seen.quiet, rows < 200) == (True, True)


async def test_what_is_bound_to_a_site_that_takes_nothing_does_not_hide_what_another_takes(
    crowd: Crowd,
) -> None:
    await crowd.add("upload", admitted=True)
    await transact(crowd.world.engine, switch_site, "here", False, actor="t")
    await crowd.world.register(new("there"))
    await crowd.world.sql("UPDATE track.asset SET admitted_at = now() WHERE guid = 'there'")
    await crowd.world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes, site)"
        " VALUES ('there', 'x.tif', 'tif', 0, 1, 'there')"
    )
    await crowd.world.sql(
        "UPDATE track.job j SET state = CASE s.key WHEN 'upload' THEN 'ready' ELSE 'done' END,"
        " priority = -1 FROM track.stage s WHERE s.id = j.stage_id AND j.asset_guid = 'there'"
    )
    claims, _ = await crowd.claim()
    assert claims == ["there"]
    claims, rows = await crowd.claim()
    assert (claims, rows < 200) == ([], True)
    seen, rows = await crowd.outlook()
    assert (seen.without_site > 0, seen.ready, rows < 200) == (True, 0, True)
    await transact(crowd.world.engine, switch_site, "here", True, actor="t")
    claims, rows = await crowd.claim()
    assert (len(claims), rows < FEW_ROWS) == (8, True)


CHILDREN: dict[str, Any] = {
    "pipeline": "CHILD",
    "throttle": {"assets_in_flight": 4},
    "stages": [{"key": "create", "run": "refinery.create"}],
}


async def test_a_derivative_is_not_hidden_by_specimens_of_its_own_pipeline(crowd: Crowd) -> None:
    emitting = PIPELINE["stages"] + [{"key": "derive", "run": "module derive", "emits": "CHILD"}]
    await World.make(crowd.world.engine, CHILDREN, PIPELINE | {"stages": emitting})
    await crowd.world.register(new("g"), *(new(f"c{n}", "CHILD") for n in range(4)))
    claims, _ = await crowd.claim()
    assert sorted({*claims}) == ["c0", "c1", "c2", "c3", "g"]
    await crowd.add("create", pipeline="CHILD")
    await crowd.world.register(new("child", "CHILD", parent_guid="g", priority=-1))
    await crowd.world.sql("UPDATE track.job SET priority = 0")
    claims, rows = await crowd.claim()
    assert (claims, rows < FEW_ROWS) == (["child"], True)


CAME_BACK = """
    WITH back AS (
        UPDATE track.job SET state = 'returned' WHERE asset_guid LIKE :of AND state = 'ready'
        RETURNING id
    ), attempts AS (
        INSERT INTO track.attempt (job_id, n, fence, site, outcome, result)
        SELECT id, 1, 1, 'there', 'done', CAST(:result AS jsonb) FROM back
    ) SELECT count(*) FROM back
"""
AT_THEM = "UPDATE track.job j SET attempt_id = t.id FROM track.attempt t WHERE t.job_id = j.id"


async def test_what_came_back_is_found_among_very_many_that_wait_for_their_outputs(
    crowd: Crowd,
) -> None:
    await crowd.add("second", admitted=True)
    await crowd.world.sql(CAME_BACK, of="m2%", result='{"outputs": [{"path": "x"}]}')
    await crowd.world.sql(CAME_BACK, of="m3001", result='{"outputs": []}')
    await crowd.world.sql(AT_THEM)

    async def back() -> tuple[list[tuple[object, ...]], int]:
        found, rows = await crowd.read(lambda tx: returned(tx, crowd.world.session_id, limit=2))
        return [(each.guid, each.stage, each.position, each.returned) for each in found], rows

    assert (await back())[0] == [("m3001", "second", 1, True)]
    found, rows = await back()
    assert (found, rows < 200) == ([("m3001", "second", 1, True)], True)
    seen, rows = await crowd.outlook()
    assert (seen.returned, seen.at_sites > 0, rows < FEW_ROWS) == (1, True, True)
    job = await crowd.world.job_id("m2000", "second")
    ((attempt,),) = await crowd.world.sql("SELECT id FROM track.attempt WHERE job_id = :j", j=job)
    await transact(crowd.world.engine, note_retrieved, int(str(attempt)))
    found, rows = await back()
    assert ({each[0] for each in found}, rows < 200) == ({"m2000", "m3001"}, True)


async def test_what_is_left_aside_for_its_outputs_and_done_again_is_claimed(crowd: Crowd) -> None:
    await crowd.world.register(new("m2"))
    await crowd.world.sql(CAME_BACK, of="m2", result='{"outputs": [{"path": "x"}]}')
    await crowd.world.sql(AT_THEM)
    assert (await crowd.read(lambda tx: returned(tx, crowd.world.session_id)))[0] == []
    job, again = await crowd.world.job_id("m2", "first"), {"actor": "t", "why": "lost"}
    await transact(crowd.world.engine, verbs.try_again, job, uses_try=False, delay_s=0, **again)
    assert (await crowd.claim())[0] == ["m2"]


QUEUE = (
    "UPDATE track.job j SET state = 'queued' FROM track.stage s"
    " WHERE s.id = j.stage_id AND s.key = 'second'",
    "INSERT INTO track.attempt (job_id, n, fence, site)"
    " SELECT id, 1, 1, 'here' FROM track.job WHERE state = 'queued'",
    "UPDATE track.job j SET attempt_id = t.id FROM track.attempt t WHERE t.job_id = j.id",
)


@pytest.mark.parametrize("analysed", [False, True])
async def test_a_driver_that_takes_a_few_reads_few_of_a_long_queue(
    crowd: Crowd, analysed: bool
) -> None:
    await crowd.add("second", admitted=True)
    for statement in QUEUE:
        await crowd.world.sql(statement)
    if analysed:
        await crowd.world.sql("ANALYZE track.attempt, track.job")
    urgent = dict(priority=1, guid="m4711", actor="test")
    await transact(crowd.world.engine, set_priority, **urgent)
    taken, rows = await crowd.read(
        lambda tx: take_batches(tx, "here", members=8, size=8, batches=1)
    )
    (found,) = await transact(crowd.world.engine, read_batches, taken)
    assert len(found.members) == 8 and found.members[0].guid == "m4711"
    assert rows < 200


async def test_choosing_sites_reads_nothing_of_what_other_specimens_have_done_there(
    crowd: Crowd,
) -> None:
    await crowd.add("second", admitted=True)
    for statement in QUEUE:
        await crowd.world.sql(statement)
    await crowd.world.sql("UPDATE track.attempt SET outcome = 'done', closed_at = now()")
    jobs = [row["id"] for row in await crowd.world.rows("SELECT id FROM track.job LIMIT 5")]
    chosen, rows = await crowd.read(lambda tx: choose_sites(tx, jobs))
    assert set(chosen.values()) == {"here"}
    assert rows < 200


async def test_no_step_of_a_job_on_its_way_reads_of_the_others(crowd: Crowd) -> None:
    world = crowd.world
    await crowd.add("second", admitted=True)
    await world.describe("m1")
    (found,) = await world.claim(guid="m1")
    job, by = [found.job_id], {"actor": "test"}
    who, us = {"native_id": "n", "nonce": "x"}, world.dispatcher_id
    queued, *reads = await crowd.read(lambda tx: at_site.submit_all(tx, job, us, **by))
    caller = RunnerCaller(queued[found.job_id], 1)
    steps: list[Callable[[AsyncConnection], Awaitable[Any]]] = [
        lambda tx: protocol.start(tx, caller, Start(**who)),
        lambda tx: protocol.complete(tx, caller, Complete(**who, result=Result())),
        lambda tx: at_site.take_back_all(tx, job, us),
        lambda tx: may_lack_metadata(tx, job),
        lambda tx: unpushed_relatives(tx, "m1"),
        lambda tx: verbs.finish_all(tx, job, **by),
    ]
    for step in steps:
        reads.append((await crowd.read(step))[1])
    assert (await world.states("m1"))["upload"] == "ready"
    assert max(reads) < 200
