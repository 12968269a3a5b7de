"""Calls about an attempt whose records left: refused in a plain word, and nothing moves."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from tasks.upkeep.records import RecordsSweep
from tests.support.callbacks import Cluster
from track.commands import operations
from track.schema.database import transact

WHO = {"native_id": "n1", "nonce": "x"}
CALLS: dict[str, dict[str, Any]] = {
    "start": WHO,
    "submitted": {"native_id": "n1"},
    "complete": WHO | {"result": {}},
    "fail": WHO | {"fail_status": "RETRY", "message": "late"},
    "token": {},
}
STANDS = "SELECT id, state, attempt_id FROM track.job ORDER BY id"


async def test_an_attempt_that_left_is_refused_and_its_jobs_last_one_is_as_before(
    cluster: Cluster, tmp_path: Path
) -> None:
    await cluster.asset("g")
    earlier = await cluster.queue("g", "barcode")
    await cluster.start(earlier)
    await cluster.own(earlier, "fail", CALLS["fail"])
    world = cluster.world
    await world.sql("UPDATE track.job SET available_at = now()")
    last = await cluster.queue("g", "barcode")
    await cluster.start(last)
    await cluster.own(last, "complete", CALLS["complete"])
    await world.sql("UPDATE track.job SET state = 'done'")
    await world.sql("UPDATE track.asset SET finalised_at = now() - interval '401 days'")
    sweep = RecordsSweep(cluster.engine, tmp_path, timedelta(days=400), False)
    assert [page.rows > 0 async for page in sweep.pages()] == [True]
    before = await world.sql(STANDS)
    assert [row["id"] for row in await cluster.rows("SELECT id FROM track.attempt")] == [last]
    for verb, body in CALLS.items():
        await cluster.own(earlier, verb, body, 409, fence=1)
    again = await cluster.own(last, "complete", CALLS["complete"])
    assert again["applied"] == "stale"  # it was applied once; that it was, is in the file
    queued = await cluster.job_call("queue_job", "g", "barcode", "n1")
    assert "error" not in str(queued).lower()
    assert await world.sql(STANDS) == before


async def test_a_job_that_is_done_again_gets_a_number_and_a_fence_never_used(
    cluster: Cluster, tmp_path: Path
) -> None:
    await cluster.asset("g")
    numbers = set()
    for _ in range(2):
        attempt = await cluster.queue("g", "assetLoader")
        numbers.add((await cluster.attempt(attempt))["n"])
        await cluster.start(attempt)
        await cluster.own(attempt, "complete", CALLS["complete"])
        job = await cluster.world.job_id("g", "assetLoader")
        await cluster.finish_returned(job)
        await cluster.world.sql("UPDATE track.job SET state = 'done'")
        await cluster.world.sql(
            "UPDATE track.asset SET finalised_at = now() - interval '401 days',"
            " records_left_at = NULL, reopened_at = NULL"
        )
        sweep = RecordsSweep(cluster.engine, tmp_path, timedelta(days=400), False)
        assert [page.rows > 0 async for page in sweep.pages()] == [True]
        asked: Any = {"actor": "operator:ib", "why": "again"}
        await transact(cluster.engine, operations.resubmit, job, **asked)
    assert numbers == {1, 2}
