"""Barcodes by the old path: subjects, disposable labels, and objects of several sheets."""

from typing import Any

import pytest

from tests.support.callbacks import Cluster
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State


def sheet(guid: str, *codes: str, **more: Any) -> dict[str, Any]:
    return {
        "guid": guid,
        "job": "barcode",
        "status": "DONE",
        "barcodes": list(codes),
        "asset_subject": "specimen",
        "MSO": False,
        "MOS": False,
        "label": False,
    } | more


async def test_barcodes_are_recorded_and_the_job_is_back(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("barcode", **sheet("g", "B1", "B2", MSO=True))
    revision, body = await cluster.metadata("g")
    assert (revision, body["barcode"], body["multi_specimen"]) == (2, ["B1", "B2"], True)
    assert body["asset_subject"] == "specimen"
    assert (await cluster.job("g", "barcode"))["state"] == State.RETURNED


async def test_metadata_sent_after_the_barcodes_is_still_taken(cluster: Cluster) -> None:
    """The script calls `update_asset` after `barcode`, for the same job."""
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("barcode", **sheet("g", "B1"))
    data = {"multispecimen": True, "payload_type": "image"}
    await cluster.script("update_asset", guid="g", job="barcode", status="DONE", data=data)
    _, body = await cluster.metadata("g")
    assert body["multi_specimen"] is True
    assert body["payload_type"] is None
    assert "payload_type" in (await cluster.job("g", "barcode"))["warning"]
    assert (await cluster.job("g", "barcode"))["state"] == State.RETURNED


@pytest.mark.parametrize("subject", ["folder", "herbarium box"])
async def test_an_unknown_subject_does_not_stop_the_asset(cluster: Cluster, subject: str) -> None:
    """A subject outside three words was once refused, and the job never finished."""
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("barcode", **sheet("g", "B1", asset_subject=subject))
    assert (await cluster.job("g", "barcode"))["state"] == State.RETURNED
    assert (await cluster.metadata("g"))[1]["asset_subject"] == subject


async def test_a_null_disposable_is_taken_and_links_nothing(cluster: Cluster) -> None:
    """A null disposable was once refused, and a missing one linked unrelated sheets."""
    for guid in ("a", "b"):
        await cluster.asset(guid)
        await cluster.queue(guid, "barcode")
        await cluster.script("barcode", **sheet(guid, guid, MOS=True, disposable=None))
    rows = await cluster.rows("SELECT unique_label_id FROM mos.member")
    assert [row["unique_label_id"] for row in rows] == [None, None]


@pytest.mark.parametrize(
    "order", [("s2", "label", "s1"), ("label", "s1", "s2"), ("s1", "s2", "label")]
)
async def test_a_label_collects_its_specimens_in_any_order(
    cluster: Cluster, order: tuple[str, ...]
) -> None:
    for guid in order:
        await cluster.asset(guid)
        await cluster.queue(guid, "barcode")
        label = guid == "label"
        codes = [] if label else [f"B-{guid}"]
        subject = "label" if label else "specimen"
        body = sheet(guid, *codes, label=label, MOS=True, disposable="D1", asset_subject=subject)
        await cluster.script("barcode", **body)
        await cluster.script("barcode", **body)
    assert (await cluster.metadata("label"))[1]["barcode"] == ["B-s1", "B-s2"]
    assert (await cluster.metadata("s1"))[1]["barcode"] == ["B-s1"]


async def test_reading_a_label_again_is_no_new_revision(cluster: Cluster) -> None:
    for guid, codes in (("s1", ["B1"]), ("label", [])):
        await cluster.asset(guid)
        await cluster.queue(guid, "barcode")
        body = sheet(guid, *codes, label=not codes, MOS=True, disposable="D1")
        await cluster.script("barcode", **body)
    before = await cluster.metadata("label")
    job = await cluster.job("label", "barcode")
    await cluster.world.sql("UPDATE track.job SET state = 'claimed' WHERE id = :i", i=job["id"])
    await cluster.world.sql(
        "UPDATE track.job SET dispatcher_id = :d WHERE id = :i",
        d=cluster.world.dispatcher_id,
        i=job["id"],
    )
    await cluster.world.enqueue(job["id"], "s1")
    await cluster.script("barcode", **sheet("label", label=True, MOS=True, disposable="D1"))
    assert await cluster.inbox("barcode") == ["applied", "applied", "applied"]
    assert await cluster.metadata("label") == before


async def test_a_device_target_leaves_out_what_its_pipeline_excludes(cluster: Cluster) -> None:
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("barcode", **sheet("g", asset_subject="device target"))

    job_id = await cluster.world.job_id("g", "barcode")
    await transact(cluster.engine, verbs.finish, job_id, actor="test")
    states = await cluster.world.states("g")
    assert (states["ocr"], states["derivative"]) == (State.EXCLUDED, State.EXCLUDED)
    assert states["clean_up"] == State.READY


async def test_a_barcode_error_writes_no_metadata(cluster: Cluster) -> None:
    """Any status once wrote the barcodes."""
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("barcode", **sheet("g", "B1", status="ERROR"))
    assert (await cluster.metadata("g"))[0] == 1
    assert (await cluster.job("g", "barcode"))["state"] == State.FAILED


async def test_a_code_that_names_no_specimen_asks_a_person_and_the_job_is_back(
    cluster: Cluster,
) -> None:
    """A URI was once a barcode, which the archive cannot be asked for."""
    await cluster.asset("g")
    await cluster.queue("g", "barcode")
    await cluster.script("barcode", **sheet("g", "B1", "https://example.org/1", MSO=True))
    job = await cluster.job("g", "barcode")
    assert job["state"] == State.RETURNED
    assert "https://example.org/1" in job["warning"]
    _, body = await cluster.metadata("g")
    assert (body["barcode"], body["multi_specimen"]) == (["B1"], False)
    (row,) = await cluster.rows("SELECT attention FROM track.asset")
    assert "https://example.org/1" in row["attention"]
