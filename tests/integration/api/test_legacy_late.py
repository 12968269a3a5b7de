"""Calls of existing scripts that come late: nothing is captured, nothing lost without a word."""

from typing import Any

import pytest

from tests.support.callbacks import Cluster, bearer
from track.schema.states import State

SHEET: dict[str, Any] = {
    "job": "barcode",
    "status": "DONE",
    "barcodes": ["00123456"],
    "asset_subject": "specimen",
    "MSO": False,
    "MOS": False,
    "label": False,
}


async def again(cluster: Cluster, guid: str, stage: str) -> int:
    """The next attempt of a job that is to be tried again."""
    await cluster.world.sql("UPDATE track.job SET available_at = now()")
    return await cluster.queue(guid, stage)


async def lose(cluster: Cluster, guid: str, stage: str, attempt: int) -> None:
    """The driver says that an attempt ended without a word."""
    job_id = await cluster.world.job_id(guid, stage)
    await cluster.world.sql(
        "UPDATE track.attempt SET closed_at = now(), outcome = 'lost' WHERE id = :a", a=attempt
    )
    await cluster.world.sql("UPDATE track.job SET state = 'ready' WHERE id = :j", j=job_id)


async def late_words(cluster: Cluster, guid: str) -> list[str]:
    """What history says came too late for an asset."""
    rows = await cluster.rows(
        "SELECT why FROM track.history WHERE what = 'job.late' AND asset_guid = :g ORDER BY id",
        g=guid,
    )
    return [row["why"] for row in rows]


async def test_a_late_start_of_the_first_attempt_does_not_capture_the_second(
    cluster: Cluster,
) -> None:
    """The second one's own job was then stale for ever."""
    for told in ("queue_job", "start_job", "failed_job"):
        await cluster.asset(told)
        await cluster.queue(told, "ocr")
        if told != "failed_job":
            await cluster.job_call(told, told, "ocr", "77")
        await cluster.job_call("failed_job", told, "ocr", "77", fail_status="RETRY")
        second = await again(cluster, told, "ocr")
        await cluster.job_call("start_job", told, "ocr", "77")
        await cluster.job_call("queue_job", told, "ocr", "77")
        await cluster.job_call("failed_job", told, "ocr", "77", fail_status="ERROR")
        assert (await cluster.job(told, "ocr"))["state"] == State.QUEUED, told
        await cluster.job_call("start_job", told, "ocr", "78")
        assert (await cluster.attempt(second))["started_by"] == "78"
        assert (await cluster.job(told, "ocr"))["state"] == State.RUNNING


async def test_a_queue_that_is_full_for_another_job_does_not_send_a_known_one_away(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    await cluster.job_call("queue_job", "g", "ocr", "77")
    await cluster.job_call("queue_job", "g", "ocr", "-1")
    assert (await cluster.job("g", "ocr"))["state"] == State.QUEUED


async def test_the_id_its_script_submitted_is_known_whoever_called_before(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    (batch_id,) = (
        await cluster.world.sql(
            "INSERT INTO track.batch (key, site, stage_id, members, state, external_id)"
            " SELECT 'b1', 's1', stage_id, '{}', 'submitted', '78' FROM track.job WHERE id = :j"
            " RETURNING id",
            j=await cluster.world.job_id("g", "ocr"),
        )
    )[0]
    await cluster.world.sql(
        "UPDATE track.attempt SET batch_id = :b WHERE id = :a", b=batch_id, a=attempt
    )
    await cluster.job_call("start_job", "g", "ocr", "66")
    await cluster.job_call("failed_job", "g", "ocr", "78", fail_status="ERROR")
    assert (await cluster.job("g", "ocr"))["state"] == State.FAILED


async def test_barcodes_that_follow_done_are_taken(cluster: Cluster) -> None:
    """They were once dropped with 200."""
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("update_asset", guid="g", job="barcode", status="DONE", data={})
    await cluster.script("barcode", guid="g", **SHEET)
    assert (await cluster.metadata("g"))[1]["barcode"] == ["00123456"]
    assert await cluster.inbox("barcode") == ["applied"]
    job = await cluster.job("g", "barcode")
    assert (job["state"], job["warning"]) == (State.RETURNED, None)


async def test_barcodes_that_follow_the_end_of_their_job_still_leave_stages_out(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("update_asset", guid="g", job="barcode", status="DONE", data={})
    job_id = await cluster.world.job_id("g", "barcode")
    await cluster.finish_returned(job_id)
    assert (await cluster.job("g", "ocr"))["state"] == State.READY
    target = SHEET | {"asset_subject": "device target", "barcodes": []}
    await cluster.script("barcode", guid="g", **target)
    states = await cluster.world.states("g")
    assert (states["ocr"], states["derivative"]) == (State.EXCLUDED, State.EXCLUDED)
    assert states["clean_up"] == State.READY
    assert (await cluster.metadata("g"))[1]["asset_subject"] == "device target"


CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "update_asset": (
        "ocr",
        {"guid": "g", "job": "ocr", "status": "DONE", "data": {"tags": {"ocr": "x"}}},
        "metadata (tags)",
    ),
    "barcode": ("barcode", {"guid": "g", **SHEET}, "00123456"),
    "derivative": (
        "derivative",
        {"asset_guid": "g_400", "parent_guid": "g", "file_format": "tif"},
        "derivative ",
    ),
    "fail_derivative_creation": ("derivative", {"guid": "g", "ppi": 72}, "72 ppi"),
}


@pytest.mark.parametrize("kind", CALLS)
async def test_a_stale_call_that_carries_data_warns_on_its_job(cluster: Cluster, kind: str) -> None:
    """It was once answered 200, and what it brought was nowhere."""
    stage, body, words = CALLS[kind]
    for guid in ("never-begun", "lost", "another-attempt"):
        named = {
            name: value.replace("g", guid, 1) if str(value) in ("g", "g_400") else value
            for name, value in body.items()
        }
        await cluster.asset(guid)
        headers = {}
        if guid != "never-begun":
            attempt = await cluster.queue(guid, stage)
            await lose(cluster, guid, stage, attempt)
            if guid == "another-attempt":
                await again(cluster, guid, stage)
                headers = bearer(attempt, 1)
        before = await cluster.metadata(guid)
        for _ in range(2):
            answer = await cluster.http.post(f"/dev/api/v1/{kind}", json=named, headers=headers)
            assert (answer.status_code, answer.json()) == (200, None)
        warning = (await cluster.job(guid, stage))["warning"]
        assert words in warning and "was not taken" in warning
        assert await late_words(cluster, guid) == [warning]
        assert await cluster.metadata(guid) == before
    assert await cluster.inbox(kind) == ["stale"] * 3


async def test_a_file_of_a_derivative_that_comes_for_a_lost_attempt_warns(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "derivative")
    await cluster.script("derivative", asset_guid="g_400", parent_guid="g", file_format="tif")
    await lose(cluster, "g", "derivative", attempt)
    facts = {"name": "g_400.tif", "type": "tif", "check_sum": 1, "file_size": 2}
    await cluster.script("derivative_file_info", guid="g_400", **facts)
    assert "g_400.tif" in (await cluster.job("g", "derivative"))["warning"]
    assert not await cluster.rows("SELECT 1 FROM track.file WHERE asset_guid = 'g_400'")


async def test_a_failure_that_follows_done_warns(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    await cluster.job_call("start_job", "g", "ocr", "77")
    await cluster.script("update_asset", guid="g", job="ocr", status="DONE", data={})
    failure = {"fail_status": "ERROR", "hpc_message": "disk full"}
    await cluster.job_call("failed_job", "g", "ocr", "77", **failure)
    job = await cluster.job("g", "ocr")
    assert job["state"] == State.RETURNED
    assert "disk full" in job["warning"]


async def test_data_under_another_status_than_done_is_missed_aloud(cluster: Cluster) -> None:
    for kind in ("barcode", "update_asset"):
        stage, body, _ = CALLS[kind]
        await cluster.asset(kind)
        await cluster.queue(kind, stage)
        await cluster.script(kind, **(body | {"guid": kind, "status": "RUNNING"}))
        job = await cluster.job(kind, stage)
        assert job["state"] == State.QUEUED
        assert "RUNNING" in job["warning"]
