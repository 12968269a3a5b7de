"""Opening, sizing, listing and closing shares."""

from typing import Any

import pytest

from tests.integration.demo.ars.stand_in import Archive, asset


def refusal(answer: Any) -> tuple[int, str, str]:
    body = answer.json()
    assert body.keys() == {"type", "protocolVersion", "errorCode", "errorMessage"}
    return answer.status_code, body["errorCode"], body["errorMessage"]


def create_share(archive: Archive, guid: str, **body: Any) -> Any:
    usual = {"assets": [{"asset_guid": guid}], "users": ["u"], "allocation_mb": 5}
    return archive.proxy("POST", f"/shares/assets/{guid}/createShare", json=usual | body)


def test_reopening_brings_the_very_bytes_back_and_leaves_the_status(archive: Archive) -> None:
    data = bytes(range(256)) * 5000
    guid = archive.archived(data)
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)
    assert not archive.share_folder(guid).exists()
    answer = archive.open_share(guid, mb=9)
    assert answer.status_code == 200
    info = answer.json()
    assert (info["http_allocation_status"], info["allocated_storage_mb"]) == ("SUCCESS", 9)
    assert {"all_allocated_storage_mb", "parent_size_mb"} <= info.keys()
    assert len(info) == 10
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", 9)
    assert (archive.share_folder(guid) / "leaf.tif").read_bytes() == data
    path = f"/assetfiles/NHMD/Vascular plants/{guid}/leaf.tif"
    download = archive.proxy("GET", path)
    assert download.content == data
    assert 'filename="leaf.tif"' in download.headers["content-disposition"]


def test_parents_are_there_to_read_and_are_never_carried_back(archive: Archive) -> None:
    parent = archive.archived(b"parent's leaf")
    child = archive.create(parent_guids=[parent])
    copy = archive.share_folder(child) / "parents" / parent / "leaf.tif"
    assert copy.read_bytes() == b"parent's leaf"
    assert copy.stat().st_mode & 0o222 == 0
    archive.upload(child, "thumb.jpeg", b"small")
    archive.synchronise(child)
    archive.tick()
    listed = archive.proxy("GET", f"/assetfiles/listfiles/{child}").json()
    assert listed == ["thumb.jpeg"]
    assert archive.open_share(child).json()["parent_size_mb"] == 0
    assert not (archive.share_folder(child) / "parents").exists()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            {"assets": [{"asset_guid": "a"}, {"asset_guid": "b"}]},
            "FORBIDDEN",
            "You may only checkout one asset using this API",
        ),
        ({"allocation_mb": 0}, "BAD_REQUEST", "Allocation must be a positive integer"),
        ({"users": []}, "BAD_REQUEST", "You have to provide users and an asset in this call"),
        ({"assets": []}, "BAD_REQUEST", "You have to provide users and an asset in this call"),
    ],
)
def test_a_wrong_order_is_400(
    archive: Archive, change: dict[str, Any], code: str, message: str
) -> None:
    assert refusal(create_share(archive, "g", **change)) == (400, code, message)


def test_the_asset_must_exist_be_unlocked_and_be_where_the_order_says(archive: Archive) -> None:
    missing = create_share(archive, "nobody")
    assert refusal(missing) == (400, "BAD_REQUEST", "Asset [nobody] was not found")
    guid = archive.archived()
    elsewhere = [{"asset_guid": guid, "institution": "AU"}]
    assert create_share(archive, guid, assets=elsewhere).status_code == 400
    assert create_share(archive, guid, assets=[{"asset_guid": "other"}]).status_code == 400
    body = asset(asset_guid=guid, asset_locked=True)
    assert archive.ars("PUT", f"/assetmetadata/{guid}", json=body).status_code == 200
    assert refusal(create_share(archive, guid)) == (400, "FORBIDDEN", "Asset is locked")


def test_there_is_one_share_and_asking_for_a_second_locks_the_guid_for_300_seconds(
    archive: Archive,
) -> None:
    guid = archive.create()
    taken = (400, "BAD_REQUEST", "Asset is already checked out")
    assert refusal(create_share(archive, guid)) == taken
    message = f"A share with guid {guid} is already in the process of creation"
    assert refusal(create_share(archive, guid)) == (400, "BAD_REQUEST", message)
    archive.sim("POST", "/clock", json={"seconds": 301})
    archive.forget_tokens()
    assert refusal(create_share(archive, guid)) == taken


def test_too_small_or_too_large_an_order_is_200_with_the_outcome_inside(archive: Archive) -> None:
    guid = archive.archived(b"x" * 2_000_001)
    small = archive.open_share(guid, mb=2)
    assert small.status_code == 200
    assert small.json()["http_allocation_status"] == "BAD_REQUEST"
    message = "Total size of existing asset files (and parent folder), exceeds requested allocation"
    assert small.json()["allocation_status_text"] == message
    large = archive.open_share(guid, mb=10**8)
    assert large.status_code == 200
    assert large.json()["http_allocation_status"] == "DISK_FULL"
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)
    assert not archive.share_folder(guid).exists()
    assert archive.open_share(guid, mb=3).json()["http_allocation_status"] == "SUCCESS"


def test_a_share_grows_and_shrinks_and_says_so_with_200(archive: Archive) -> None:
    guid = archive.create(mb=2)
    archive.upload(guid, "leaf.tif", b"x" * 1_000_001, mb=2)

    def change(guid: str, mb: int) -> tuple[str, str | None]:
        body = {"asset_guid": guid, "new_allocation_mb": mb}
        answer = archive.proxy("POST", f"/shares/assets/{guid}/changeAllocation", json=body)
        assert answer.status_code == 200
        info = answer.json()
        return info["http_allocation_status"], info["allocation_status_text"]

    assert change(guid, 5) == ("SUCCESS", None)
    assert archive.status(guid)[1] == 5
    smaller = "Size of files in share is greater than the new value"
    assert change(guid, 1) == ("BAD_REQUEST", smaller)
    assert change(guid, 10**8) == ("DISK_FULL", "Cannot allocate more storage")
    assert archive.status(guid)[1] == 5
    nothing = "Failed to allocate storage, no writeable directory found"
    assert change("nobody", 5) == ("BAD_REQUEST", nothing)


def test_closing_takes_back_what_was_not_synchronised(archive: Archive) -> None:
    guid = archive.archived(b"first")
    archive.open_share(guid)
    archive.upload(guid, "leaf.tif", b"second")
    archive.upload(guid, "extra.txt", b"extra")
    path = f"/shares/assets/{guid}/deleteShare"
    answer = archive.proxy("DELETE", path)
    assert answer.status_code == 200
    assert answer.json()["allocation_status_text"] == "Share deleted"
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)
    assert not archive.share_folder(guid).exists()
    [row] = archive.file_info(guid)
    assert (row["syncStatus"], row["deleteAfterSync"]) == ("SYNCHRONIZED", False)
    assert (archive.erda_folder(guid) / "leaf.tif").read_bytes() == b"first"
    again = archive.proxy("DELETE", path)
    assert again.status_code == 404
    assert again.json()["http_allocation_status"] == "SHARE_NOT_FOUND"


def test_a_share_being_synchronised_cannot_be_closed(archive: Archive) -> None:
    guid = archive.create()
    archive.synchronise(guid)
    answer = archive.proxy("DELETE", f"/shares/assets/{guid}/deleteShare")
    assert answer.status_code == 400
    assert answer.json()["allocation_status_text"] == "Share is synchronizing"
    archive.tick()
