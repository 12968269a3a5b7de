"""Calls of existing scripts in every order, twice, and with what older software stumbled over."""

from itertools import permutations
from typing import Any

import pytest

from tests.support.callbacks import Cluster
from track.schema.states import State

CALLS = ("queue", "start", "finish")
WAYS = list(permutations(CALLS))
TWICE = [(*order, *order) for order in WAYS] + [
    tuple(each for each in order for _ in range(2)) for order in WAYS
]


async def say(cluster: Cluster, guid: str, what: str, finish: str) -> None:
    """One call of the script that is job 77."""
    if what != "finish":
        await cluster.job_call(f"{what}_job", guid, "ocr", "77")
    elif finish == "DONE":
        data = {"tags": {"ocr": "Ficaria verna"}}
        await cluster.script("update_asset", guid=guid, job="ocr", status="DONE", data=data)
    else:
        await cluster.job_call("failed_job", guid, "ocr", "77", fail_status=finish)


@pytest.mark.parametrize(
    ("finish", "state", "tries", "outcome"),
    [
        ("DONE", State.RETURNED, 0, "done"),
        ("ERROR", State.FAILED, 0, "failed"),
        ("RETRY", State.READY, 1, "failed"),
        ("PAUSED", State.READY, 0, "released"),
    ],
)
async def test_every_order_of_queue_start_and_finish_ends_the_same_however_often_repeated(
    cluster: Cluster, finish: str, state: State, tries: int, outcome: str
) -> None:
    for n, order in enumerate(WAYS + TWICE):
        guid = f"g{n}"
        await cluster.asset(guid)
        attempt = await cluster.queue(guid, "ocr")
        for what in order:
            await say(cluster, guid, what, finish)
        job = await cluster.job(guid, "ocr")
        assert (job["state"], job["tries"]) == (state, tries), order
        assert (await cluster.attempt(attempt))["outcome"] == outcome, order
        assert (await cluster.metadata(guid))[0] == (2 if finish == "DONE" else 1), order


async def test_paused_is_back_pressure_and_not_a_failure_nor_a_hang(cluster: Cluster) -> None:
    """It was once answered and forgotten: the job waited for ever."""
    await cluster.asset("g")
    await cluster.queue("g", "ocr")
    await cluster.job_call("failed_job", "g", "ocr", "5", fail_status="PAUSED", hpc_message="busy")
    row = await cluster.row(
        "SELECT state, reason, tries, available_at > now() AS later FROM track.job WHERE id = :id",
        id=await cluster.world.job_id("g", "ocr"),
    )
    assert (row["state"], row["tries"], row["later"]) == (State.READY, 0, True)
    assert "busy" in row["reason"]


async def test_tags_are_added_to_those_there_are_and_never_replace_them(
    cluster: Cluster,
) -> None:
    await cluster.asset("g", tags={"metadataTemplate": "v3", "curator": "look at the label"})
    await cluster.queue("g", "ocr")
    data = {"tags": {"ocr": "Ficaria verna"}}
    await cluster.script("update_asset", guid="g", job="ocr", status="DONE", data=data)
    _, body = await cluster.metadata("g")
    assert body["tags"] == {
        "metadataTemplate": "v3",
        "curator": "look at the label",
        "ocr": "Ficaria verna",
    }


@pytest.mark.parametrize("when", [None, "", "2026-11-21T10:00:00"])
async def test_an_asset_without_its_capture_time_is_no_crash(cluster: Cluster, when: Any) -> None:
    """The path of a mirror was once computed from it, and the call answered 500."""
    await cluster.asset("g", date_asset_taken=when)
    await cluster.queue("g", "ocr")
    data = {"tags": {"ocr": "x"}}
    await cluster.script("update_asset", guid="g", job="ocr", status="DONE", data=data)
    assert (await cluster.job("g", "ocr"))["state"] == State.RETURNED


@pytest.mark.parametrize(("stage", "name"), [("barcode", "barcodeReader"), ("ocr", "OCR")])
async def test_a_job_may_be_called_by_a_name_it_once_had(
    cluster: Cluster, stage: str, name: str
) -> None:
    await cluster.asset("g")
    attempt = await cluster.queue("g", stage)
    await cluster.job_call("queue_job", "g", name, "77")
    assert (await cluster.attempt(attempt))["external_id"] == "77"


async def test_a_jpg_has_a_size_before_its_file_is_known(cluster: Cluster) -> None:
    """Of three formats one was forgotten, and counted nothing against the throttle."""
    await cluster.asset("p")
    await cluster.queue("p", "derivative")
    for n, form in enumerate(("jpg", "jpeg", "tif", "tiff")):
        document = {"asset_guid": f"p_{n}", "parent_guid": "p", "file_format": form}
        await cluster.script("derivative", **document)
    rows = await cluster.rows("SELECT size_mb FROM track.asset WHERE parent_guid = 'p' ORDER BY 1")
    assert [row["size_mb"] for row in rows] == [20, 20, 400, 400]
