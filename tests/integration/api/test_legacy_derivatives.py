"""Derivatives by the old paths: made, described, uploaded, lost, cleaned up."""

from typing import Any

import pytest

from schemas.metadata.document import read_document
from schemas.metadata.v2 import to_v2
from tests.support.callbacks import Cluster, bearer
from tests.support.world import document
from track.schema.states import State


def derived(parent: str, guid: str, version: int = 3, **more: Any) -> dict[str, Any]:
    body = document(guid, parent_guids=[parent], file_format="jpg", payload_type="thumbnail")
    if version == 2:
        body = to_v2(read_document(body).metadata)
    return body | more


async def make(cluster: Cluster, parent: str, *guids: str) -> int:
    """Bring a parent to its derivative stage and register children."""
    await cluster.asset(parent)
    attempt = await cluster.queue(parent, "derivative")
    for guid in guids:
        await cluster.script("derivative", **derived(parent, guid))
    return attempt


@pytest.mark.parametrize("version", [2, 3])
async def test_a_derivative_becomes_a_child_with_its_jobs(cluster: Cluster, version: int) -> None:
    """In v3 the parent is a list, and was once never found."""
    await cluster.asset("p", digitiser="A. Person")
    await cluster.queue("p", "derivative")
    assert await cluster.script("derivative", **derived("p", "p_72", version)) is None
    row = await cluster.row("SELECT * FROM track.asset WHERE guid = 'p_72'")
    assert (row["parent_guid"], row["ppi"], row["size_mb"]) == ("p", 72, 20)
    _, body = await cluster.metadata("p_72")
    assert (body["file_format"], body["payload_type"]) == ("jpeg", "thumbnail")
    assert (body["digitiser"], body["parent_guids"]) == ("A. Person", ["p"])
    assert (await cluster.world.states("p_72"))["create"] == State.READY


async def test_the_same_derivative_again_is_harmless(cluster: Cluster) -> None:
    """A repetition once counted in the throttle and was answered 422."""
    await make(cluster, "p", "p_72")
    before = await cluster.row("SELECT * FROM track.asset WHERE guid = 'p_72'")
    await cluster.script("derivative", **derived("p", "p_72"))
    assert await cluster.row("SELECT * FROM track.asset WHERE guid = 'p_72'") == before
    assert (await cluster.metadata("p_72"))[0] == 1


async def test_a_derivative_may_not_be_another_asset(cluster: Cluster) -> None:
    await make(cluster, "p")
    await cluster.asset("other")
    answer = await cluster.script("derivative", 422, **derived("p", "other"))
    assert answer["error"].startswith("derivative fail")
    parent = await cluster.row("SELECT parent_guid FROM track.asset WHERE guid = 'other'")
    assert parent["parent_guid"] is None


@pytest.mark.parametrize("more", [{"parent_guids": ["nobody"]}, {"parent_guids": None}])
async def test_a_derivative_of_nothing_fails(cluster: Cluster, more: dict[str, Any]) -> None:
    answer = await cluster.script("derivative", 422, **derived("p", "p_72", **more))
    assert answer["error"].startswith("derivative fail")
    assert await cluster.rows("SELECT 1 AS x FROM track.asset WHERE guid = 'p_72'") == []


@pytest.mark.parametrize("guid", ["../../etc/passwd", "a/b", "", "x" * 300])
async def test_an_unsafe_guid_is_refused(cluster: Cluster, guid: str) -> None:
    await make(cluster, "p")
    answer = await cluster.script("derivative", 422, **derived("p", "p_72", asset_guid=guid))
    assert answer["error"].startswith("derivative fail")


async def test_a_file_is_noted_once_however_often_it_is_reported(cluster: Cluster) -> None:
    """The list of files had no memory of what was in it."""
    await make(cluster, "p", "p_72")
    info = {"guid": "p_72", "name": "p_72.jpg", "type": "jpg"}
    for _ in range(2):
        await cluster.script("derivative_file_info", **info, check_sum=4294967295, file_size=3)
    (row,) = await cluster.rows("SELECT * FROM track.file WHERE asset_guid = 'p_72'")
    assert (row["crc32"], row["size_bytes"], row["site"]) == (4294967295, 3_000_000, "s1")
    assert row["mime_type"] == "image/jpeg"
    size = await cluster.row("SELECT size_mb FROM track.asset WHERE guid = 'p_72'")
    assert size["size_mb"] == 3


async def test_the_number_of_derivatives_is_declared_when_the_job_is_done(
    cluster: Cluster,
) -> None:
    await make(cluster, "p", "p_400", "p_72")
    await cluster.script("update_asset", guid="p", job="derivative", status="DONE", data={})
    job = await cluster.job("p", "derivative")
    assert (job["state"], job["declared"]) == (State.RETURNED, 2)


async def test_a_derivative_reported_after_the_end_is_waited_for(cluster: Cluster) -> None:
    await make(cluster, "p", "p_400")
    await cluster.script("update_asset", guid="p", job="derivative", status="DONE", data={})
    await cluster.script("derivative", **derived("p", "p_72"))
    assert (await cluster.job("p", "derivative"))["declared"] == 2


async def test_an_uploaded_derivative_brings_its_upload_back(cluster: Cluster) -> None:
    await make(cluster, "p", "p_72")
    info = {"guid": "p_72", "name": "p_72.jpg", "type": "jpg", "check_sum": 7, "file_size": 1}
    await cluster.script("derivative_file_info", **info)
    attempt = await cluster.queue("p_72", "uploader")
    await cluster.job_call("start_job", "p_72", "uploader", "9")
    await cluster.script("derivative_uploaded", asset_guid="p_72")
    assert (await cluster.job("p_72", "uploader"))["state"] == State.RETURNED
    (row,) = await cluster.rows("SELECT uploaded_at FROM track.file WHERE asset_guid = 'p_72'")
    assert row["uploaded_at"] is not None
    assert (await cluster.attempt(attempt))["outcome"] == "done"
    await cluster.script("derivative_uploaded", asset_guid="p_72")
    assert await cluster.inbox("derivative_uploaded") == ["applied"]


async def test_a_lost_derivative_is_recorded_once_and_the_job_goes_on(cluster: Cluster) -> None:
    await make(cluster, "p")
    for ppi in (400, 72, 72):
        await cluster.script("fail_derivative_creation", guid="p", ppi=ppi, note="too dark")
    revision, body = await cluster.metadata("p")
    assert body["tags"]["missing_derivative"] == "No derivative for ppi 400 and ppi 72"
    assert (revision, body["status"]) == (3, "ISSUE_WITH_MEDIA")
    job = await cluster.job("p", "derivative")
    assert job["state"] == State.QUEUED
    assert "400 ppi (too dark)" in job["warning"]


async def test_a_clean_up_brings_its_job_back_and_counts_once(cluster: Cluster) -> None:
    """A repetition once took the number in flight down again."""
    await cluster.asset("g")
    await cluster.queue("g", "derivative")
    await cluster.script("update_asset", guid="g", job="derivative", status="DONE", data={})
    job_id = await cluster.world.job_id("g", "derivative")
    await cluster.world.sql("UPDATE track.job SET state = 'done' WHERE id = :i", i=job_id)
    clean = await cluster.world.job_id("g", "clean_up")
    await cluster.world.sql("UPDATE track.job SET state = 'ready' WHERE id = :i", i=clean)
    await cluster.queue("g", "clean_up")
    for _ in range(2):
        await cluster.script("asset_clean_up", asset_guid="g")
    assert (await cluster.job("g", "clean_up"))["state"] == State.RETURNED
    assert await cluster.inbox("asset_clean_up") == ["applied"]


async def test_a_clean_up_of_an_asset_without_that_job_is_noted(cluster: Cluster) -> None:
    await make(cluster, "p", "p_72")
    await cluster.script("asset_clean_up", asset_guid="p_72")
    assert await cluster.inbox("asset_clean_up") == ["recorded"]


async def test_a_derivative_by_the_token_of_its_job(cluster: Cluster) -> None:
    attempt = await make(cluster, "p")
    await cluster.asset("q")
    other = await cluster.queue("q", "derivative")
    url, body = "/dev/api/v1/derivative", derived("p", "p_72")
    refused = await cluster.http.post(url, json=body, headers=bearer(other))
    assert refused.status_code == 403
    taken = await cluster.http.post(url, json=body, headers=bearer(attempt))
    assert taken.status_code == 200
    (row,) = await cluster.rows("SELECT attempt_id FROM track.inbox WHERE kind = 'derivative'")
    assert row["attempt_id"] == attempt
