"""Synchronisation: the state machine, its attempts, its events and its treacherous moments."""

import zlib

from tests.integration.demo.ars.stand_in import Archive, asset


def test_synchronising_ends_in_erda_with_the_share_gone(archive: Archive) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"leaf")
    archive.upload(guid, "sub/label.tif", b"label")
    archive.synchronise(guid)
    assert archive.status(guid) == ("ASSET_RECEIVED", 10)
    assert not archive.erda_folder(guid).exists()
    assert archive.tick() == {"picked": 1, "synchronised": 1, "failed": 0}
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)
    assert (archive.erda_folder(guid) / "leaf.tif").read_bytes() == b"leaf"
    assert (archive.erda_folder(guid) / "sub/label.tif").read_bytes() == b"label"
    assert not archive.share_folder(guid).exists()
    rows = [(row["crc"], row["syncStatus"]) for row in archive.file_info(guid)]
    assert rows == [(zlib.crc32(data), "SYNCHRONIZED") for data in (b"leaf", b"label")]
    made = archive.ars("GET", f"/assetmetadata/{guid}").json()
    assert made["synced"] is True
    assert made["asset_created_by"] == "service-account-specimen-refinery"
    assert archive.tick()["picked"] == 0


def test_only_an_open_share_can_be_synchronised(archive: Archive) -> None:
    for guid in ("nobody", archive.archived()):
        answer = archive.proxy("POST", f"/shares/assets/{guid}/synchronize")
        assert answer.status_code == 400
        assert answer.json()["errorMessage"] == "No writeable share for asset found"


def test_the_first_time_creates_the_asset_and_later_ones_update_it(archive: Archive) -> None:
    guid = archive.archived(b"first")
    archive.open_share(guid)
    archive.upload(guid, "leaf.tif", b"second")
    archive.upload(guid, "new.txt", b"new")
    assert len(archive.file_info(guid)) == 3
    archive.synchronise(guid)
    archive.tick()
    assert (archive.erda_folder(guid) / "leaf.tif").read_bytes() == b"second"
    assert {row["path"].rsplit("/")[-1] for row in archive.file_info(guid)} == {
        "leaf.tif",
        "new.txt",
    }
    events = [(event["event"], event["change_list"]) for event in archive.events(guid)[1:]]
    assert events == [("CREATE_ASSET", []), ("UPDATE_ASSET", ["FILE_ADDED", "FILE_UPDATED"])]
    assert archive.events(guid)[1]["pipeline"] == "PIPEHERB0001"


def test_three_failures_end_in_erda_failed_with_the_share_open_and_a_retry_cures(
    archive: Archive,
) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"leaf")
    archive.fault("erda_put_fails", match={"guid": guid}, count=3)
    archive.synchronise(guid)
    for expected in ("ASSET_RECEIVED", "ASSET_RECEIVED", "ERDA_FAILED"):
        assert archive.tick() == {"picked": 1, "synchronised": 0, "failed": 1}
        assert archive.status(guid) == (expected, 10)
    status = archive.ars("GET", f"/assets/status/{guid}").json()
    assert status["error_message"] == "Failed to upload files to ERDA"
    assert status["error_timestamp"].endswith("Z")
    assert archive.tick()["picked"] == 0
    archive.synchronise(guid)
    assert archive.status(guid)[0] == "ASSET_RECEIVED"
    archive.tick()
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)


def test_two_failures_are_got_over(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("erda_put_fails", match={"guid": guid}, count=2)
    archive.synchronise(guid)
    for _ in range(3):
        archive.tick()
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)


def test_an_exhausted_share_may_be_closed(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("erda_put_fails", match={"guid": guid}, count=3)
    archive.synchronise(guid)
    for _ in range(3):
        archive.tick()
    answer = archive.proxy("DELETE", f"/shares/assets/{guid}/deleteShare")
    assert answer.status_code == 200
    assert archive.status(guid) == ("ERDA_FAILED", None)


def test_an_outage_uses_up_attempts_and_leaves_the_asset_stuck(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("erda_unreachable", count=3)
    archive.synchronise(guid)
    for _ in range(4):
        archive.tick()
    assert archive.status(guid) == ("ASSET_RECEIVED", 10)
    archive.synchronise(guid)
    archive.tick()
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)


def test_a_lost_completion_leaves_files_synchronised_and_the_asset_received(
    archive: Archive,
) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"leaf")
    archive.fault("complete_lost", match={"guid": guid}, count=3)
    archive.synchronise(guid)
    for _ in range(4):
        archive.tick()
    assert archive.status(guid) == ("ASSET_RECEIVED", 10)
    assert [row["syncStatus"] for row in archive.file_info(guid)] == ["SYNCHRONIZED"]
    archive.synchronise(guid)
    archive.tick()
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)


def test_a_failed_clean_up_is_success_with_an_open_share(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("cleanup_fails", match={"guid": guid}, count=3)
    archive.synchronise(guid)
    for _ in range(4):
        archive.tick()
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", 10)


def test_a_locked_asset_is_carried_over_and_then_called_failed(archive: Archive) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"leaf")
    archive.synchronise(guid)
    body = asset(asset_guid=guid, asset_locked=True)
    archive.ars("PUT", f"/assetmetadata/{guid}", json=body)
    archive.tick()
    assert (archive.erda_folder(guid) / "leaf.tif").read_bytes() == b"leaf"
    assert archive.status(guid) == ("ERDA_FAILED", None)
    status = archive.ars("GET", f"/assets/status/{guid}").json()
    assert status["error_message"] == "Asset is locked"
