"""What existing scripts say about a job: queued, started, done, failed. Rows are what counts."""

import pytest

from tests.support.callbacks import Cluster, bearer
from track.schema.states import State


async def test_queue_and_start_and_done_bring_a_job_back(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    assert await cluster.job_call("queue_job", "g", "assetLoader", "77") is None
    assert (await cluster.attempt(attempt))["external_id"] == "77"
    assert (await cluster.job("g", "assetLoader"))["state"] == State.QUEUED
    await cluster.job_call("start_job", "g", "assetLoader", "77")
    assert (await cluster.attempt(attempt))["started_by"] == "77"
    assert (await cluster.job("g", "assetLoader"))["state"] == State.RUNNING
    assert await cluster.script("asset_ready", asset_guid="g") is None
    await cluster.script("update_asset", guid="g", job="assetLoader", status="DONE", data={})
    assert (await cluster.job("g", "assetLoader"))["state"] == State.RETURNED
    ended = await cluster.attempt(attempt)
    assert (ended["outcome"], ended["closed_at"] is None) == ("done", False)
    assert (await cluster.metadata("g"))[0] == 1
    assert await cluster.inbox("asset_ready") == ["recorded"]


async def test_a_job_id_that_does_not_match_is_stale(cluster: Cluster) -> None:
    """A late call of an earlier attempt was once applied to the next one."""
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    await cluster.job_call("queue_job", "g", "assetLoader", "77")
    await cluster.job_call("start_job", "g", "assetLoader", "66")
    assert (await cluster.job("g", "assetLoader"))["state"] == State.QUEUED
    await cluster.job_call("failed_job", "g", "assetLoader", "66", fail_status="ERROR")
    assert (await cluster.job("g", "assetLoader"))["state"] == State.QUEUED
    assert (await cluster.attempt(attempt))["started_by"] is None
    assert await cluster.inbox("start_job") == ["stale"]
    assert await cluster.inbox("failed_job") == ["stale"]


async def test_a_full_queue_sends_the_job_away_without_a_try(cluster: Cluster) -> None:
    """Job id -1 once left a job queued for ever."""
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    await cluster.job_call("queue_job", "g", "assetLoader", "-1")
    job = await cluster.job("g", "assetLoader")
    assert (job["state"], job["tries"]) == (State.READY, 0)
    later = "SELECT available_at > now() + interval '30 s' AS later FROM track.job WHERE id = :i"
    assert (await cluster.row(later, i=job["id"]))["later"]
    assert (await cluster.attempt(attempt))["outcome"] == "released"


async def test_a_full_queue_that_is_reported_late_changes_nothing(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "assetLoader")
    await cluster.job_call("start_job", "g", "assetLoader", "77")
    await cluster.job_call("queue_job", "g", "assetLoader", "-1")
    assert (await cluster.job("g", "assetLoader"))["state"] == State.RUNNING


@pytest.mark.parametrize("after", ["start", "finish"])
async def test_queued_after_start_or_finish_changes_no_state(cluster: Cluster, after: str) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    await cluster.job_call("start_job", "g", "assetLoader", "77")
    if after == "finish":
        await cluster.script("update_asset", guid="g", job="assetLoader", status="DONE", data={})
    before = (await cluster.job("g", "assetLoader"))["state"]
    await cluster.job_call("queue_job", "g", "assetLoader", "77")
    assert (await cluster.job("g", "assetLoader"))["state"] == before
    assert await cluster.inbox("queue_job") == ["applied" if after == "start" else "stale"]
    if after == "start":
        assert (await cluster.attempt(attempt))["external_id"] == "77"


async def test_a_second_start_of_another_job_does_not_take_the_first_ones_place(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "assetLoader")
    await cluster.job_call("start_job", "g", "assetLoader", "77")
    await cluster.job_call("start_job", "g", "assetLoader", "78")
    assert (await cluster.attempt(attempt))["started_by"] == "77"
    assert await cluster.inbox("start_job") == ["applied", "stale"]


async def test_only_what_the_stage_may_write_is_written_and_the_job_warns(
    cluster: Cluster,
) -> None:
    """Any caller could once write any key of the metadata."""
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    data = {"tags": {"ocr": "Ficaria verna", "secret": "x"}, "institution": "ELSEWHERE"}
    await cluster.script("update_asset", guid="g", job="ocr", status="DONE", data=data)
    revision, body = await cluster.metadata("g")
    assert revision == 2
    assert body["institution"] == "NHMD"
    assert body["tags"] == {"metadataTemplate": "v3", "ocr": "Ficaria verna"}
    job = await cluster.job("g", "ocr")
    assert job["state"] == State.RETURNED
    assert "institution" in job["warning"] and "tags.secret" in job["warning"]


async def test_done_without_data_does_not_ask_for_a_push(cluster: Cluster) -> None:
    """An empty `data` once set the flag that metadata must be pushed."""
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    await cluster.script("update_asset", guid="g", job="ocr", status="DONE", data={})
    assert (await cluster.metadata("g"))[0] == 1
    assert (await cluster.job("g", "ocr"))["state"] == State.RETURNED


async def test_the_same_done_again_changes_nothing(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    body = {"guid": "g", "job": "ocr", "status": "DONE", "data": {"tags": {"ocr": "x"}}}
    await cluster.script("update_asset", **body)
    count = "SELECT count(*) AS n FROM track.history"
    before = await cluster.row(count)
    await cluster.script("update_asset", **body)
    assert await cluster.row(count) == before
    assert (await cluster.metadata("g"))[0] == 2
    assert await cluster.inbox("update_asset") == ["applied"]


async def test_an_error_fails_the_job(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.script("update_asset", guid="g", job="ocr", status="ERROR", data={})
    assert (await cluster.job("g", "ocr"))["state"] == State.FAILED
    assert (await cluster.attempt(attempt))["outcome"] == "failed"


async def test_metadata_that_cannot_be_read_fails_the_job_with_the_reason(
    cluster: Cluster,
) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    await cluster.script(
        "update_asset", guid="g", job="ocr", status="DONE", data={"tags": "no mapping"}
    )
    job = await cluster.job("g", "ocr")
    assert job["state"] == State.FAILED
    assert "tags" in job["reason"]


async def test_an_unknown_status_is_noted_and_changes_nothing(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    await cluster.script("update_asset", guid="g", job="ocr", status="RUNNING", data={})
    assert (await cluster.job("g", "ocr"))["state"] == State.QUEUED
    assert await cluster.inbox("update_asset") == ["recorded"]


async def test_an_unknown_job_is_refused_and_writes_nothing(cluster: Cluster) -> None:
    """An unknown job name once wrote the metadata all the same, or was a crash."""
    await cluster.asset("g")
    data = {"tags": {"ocr": "x"}}
    answer = await cluster.script(
        "update_asset", 422, guid="g", job="nonsense", status="DONE", data=data
    )
    assert "assetLoader" in answer["error"]
    assert (await cluster.metadata("g"))[0] == 1
    body = {"guid": "g", "job_name": "nonsense", "job_id": "1", "timestamp": "2026-11-21T10:00:00Z"}
    assert "nonsense" not in (await cluster.script("queue_job", 422, **body))["error"]


async def test_a_job_without_an_attempt_takes_no_call(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.script("update_asset", guid="g", job="ocr", status="DONE", data={"tags": {}})
    assert (await cluster.job("g", "ocr"))["state"] == State.WAITING
    assert await cluster.inbox("update_asset") == ["stale"]


@pytest.mark.parametrize(
    ("word", "state", "tries", "outcome"),
    [
        ("RETRY", State.READY, 1, "failed"),
        ("ERROR", State.FAILED, 0, "failed"),
        ("PAUSED", State.READY, 0, "released"),
        ("WHATEVER", State.RUNNING, 0, None),
    ],
)
async def test_a_failed_job_gets_the_state_of_its_status(
    cluster: Cluster, word: str, state: State, tries: int, outcome: str | None
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.job_call("start_job", "g", "ocr", "5")
    await cluster.job_call(
        "failed_job", "g", "ocr", "5", fail_status=word, hpc_message="m", hpc_exception=None
    )
    job = await cluster.job("g", "ocr")
    assert (job["state"], job["tries"]) == (state, tries)
    assert (await cluster.attempt(attempt))["outcome"] == outcome


async def test_a_callback_of_the_last_attempt_is_not_taken_for_this_one(cluster: Cluster) -> None:
    await cluster.asset("g")
    first = await cluster.queue("g", "ocr")
    await cluster.job_call("start_job", "g", "ocr", "5")
    await cluster.job_call("failed_job", "g", "ocr", "5", fail_status="RETRY")
    await cluster.world.sql("UPDATE track.job SET available_at = now()")
    second = await cluster.queue("g", "ocr")
    await cluster.job_call("queue_job", "g", "ocr", "6")
    assert first != second
    await cluster.job_call("failed_job", "g", "ocr", "5", fail_status="ERROR")
    assert (await cluster.job("g", "ocr"))["state"] == State.QUEUED
    body = {"guid": "g", "job": "ocr", "status": "DONE", "data": {"tags": {"ocr": "late"}}}
    answer = await cluster.http.post(
        "/dev/api/v1/update_asset", json=body, headers=bearer(first, 1)
    )
    assert answer.status_code == 200
    assert (await cluster.job("g", "ocr"))["state"] == State.QUEUED
    assert "ocr" not in (await cluster.metadata("g"))[1]["tags"]


async def test_a_null_message_and_a_number_as_job_id_are_taken(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    body = {
        "guid": "g",
        "job_name": "ocr",
        "job_id": 5,
        "timestamp": "2026-11-21T10:00:00",
        "fail_status": "ERROR",
        "hpc_message": None,
    }
    await cluster.script("failed_job", **body)
    assert (await cluster.job("g", "ocr"))["state"] == State.FAILED


async def test_a_failure_that_was_to_be_cancelled_is_cancelled(cluster: Cluster) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", "ocr")
    await cluster.world.sql(
        "UPDATE track.attempt SET cancel_requested_at = now() WHERE id = :i", i=attempt
    )
    await cluster.job_call("failed_job", "g", "ocr", "5", fail_status="ERROR")
    assert (await cluster.job("g", "ocr"))["state"] == State.CANCELLED


async def test_a_call_that_names_no_content_type_is_read(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    answer = await cluster.http.post(
        "/dev/api/v1/update_asset", content='{"guid":"g","job":"ocr","status":"DONE","data":{}}'
    )
    assert answer.status_code == 200, answer.text
