"""Reading, replacing, moving and deleting an asset."""

import uuid
from typing import Any

from tests.integration.demo.ars.stand_in import Archive, asset


def put(archive: Archive, guid: str, **fields: Any) -> Any:
    body = asset(asset_guid=guid, **fields)
    return archive.ars("PUT", f"/assetmetadata/{guid}", json=body)


def test_an_unknown_asset_is_204_and_its_status_an_empty_404(archive: Archive) -> None:
    unknown = archive.ars("GET", "/assetmetadata/nobody")
    assert (unknown.status_code, unknown.content) == (204, b"")
    unknown = archive.ars("GET", "/assets/status/nobody")
    assert (unknown.status_code, unknown.content) == (404, b"")
    unknown = archive.ars("GET", "/assetmetadata/nobody/events")
    assert (unknown.status_code, unknown.json()["errorMessage"]) == (400, "Asset doesnt exist")


def test_status_lists_parents(archive: Archive) -> None:
    parent = archive.archived()
    child = archive.create(parent_guids=[parent])
    status = archive.ars("GET", f"/assets/status/{child}").json()
    assert status == {
        "asset_guid": child,
        "parent_guid": [parent],
        "error_timestamp": None,
        "status": "METADATA_RECEIVED",
        "error_message": None,
        "share_allocation_mb": 10,
    }


def test_a_failed_one_says_why_and_when(archive: Archive) -> None:
    guid = archive.create()
    path = f"/assetmetadata/{guid}/setstatus?newStatus=ERDA_FAILED&errorMessage=no%20space"
    assert archive.ars("PUT", path).status_code == 204
    status = archive.ars("GET", f"/assets/status/{guid}").json()
    assert status["error_message"] == "no space"
    assert status["error_timestamp"].endswith("Z")


def test_an_update_replaces_everything_it_leaves_out(archive: Archive) -> None:
    guid = archive.create(
        funding=["A fund"],
        tags={"a": "b"},
        mos_id="m",
        issues=[{"category": "barcode", "status": "OPEN", "solved": False}],
    )
    answer = put(archive, guid, asset_pid=None, payload_type="image")
    assert answer.status_code == 200
    now = answer.json()
    assert (now["funding"], now["tags"], now["mos_id"]) == ([], {}, None)
    assert (now["asset_pid"], now["payload_type"]) == (
        archive.ars("GET", f"/assetmetadata/{guid}").json()["asset_pid"],
        "image",
    )
    assert now["asset_pid"] is not None
    assert len(now["issues"]) == 1
    assert put(archive, guid, issues=[]).json()["issues"] == []
    names = [event["event"] for event in archive.events(guid)]
    assert names == ["CREATE_ASSET_METADATA", "UPDATE_ASSET_METADATA", "UPDATE_ASSET_METADATA"]
    assert "mos_id" in archive.events(guid)[1]["change_list"]


def test_an_update_names_its_user_and_pipeline(archive: Archive) -> None:
    guid = archive.create()
    put(archive, guid, updateUser="Inge Lehmann", updating_pipeline="PIPEPIOF0001")
    last = archive.events(guid)[-1]
    assert (last["user"], last["pipeline"]) == ("Inge Lehmann", "PIPEPIOF0001")


def test_an_update_checks_the_guid_first_and_then_as_creation_does(archive: Archive) -> None:
    guid = archive.create()
    message = "asset_guid in URL must match asset_guid in POST-message"
    body = asset(asset_guid=None, asset_pid="p")
    for wrong in (body, asset(asset_guid="other")):
        answer = archive.ars("PUT", f"/assetmetadata/{guid}", json=wrong)
        assert (answer.status_code, answer.json()["errorMessage"]) == (400, message)
    answer = put(archive, "nobody-here")
    assert answer.json()["errorMessage"] == "Asset nobody-here does not exist"
    answer = put(archive, guid, workstation="WORKNONE")
    assert answer.json()["errorMessage"] == "Workstation does not exist"


def test_a_lock_is_only_undone_by_unlock(archive: Archive) -> None:
    guid = archive.create()
    assert put(archive, guid, asset_locked=True).json()["asset_locked"] is True
    answer = put(archive, guid)
    assert answer.status_code == 403
    message = "Cannot unlock using updateAsset API, use dedicated API for unlocking"
    assert answer.json()["errorMessage"] == message
    assert archive.ars("PUT", f"/assetmetadata/{guid}/unlock").status_code == 204
    assert put(archive, guid).json()["asset_locked"] is False
    unknown = archive.ars("PUT", "/assetmetadata/nobody/unlock")
    assert (unknown.status_code, unknown.json()["errorMessage"]) == (400, "Asset doesnt exist!")


def test_only_three_statuses_can_be_set(archive: Archive) -> None:
    guid = archive.create()
    for name in ("COMPLETED", "ERDA_ERROR", "ERDA_SYNCHRONISED", "METADATA_RECEIVED"):
        answer = archive.ars("PUT", f"/assetmetadata/{guid}/setstatus?newStatus={name}")
        assert (answer.status_code, answer.json()["errorMessage"]) == (
            400,
            f"Invalid status: {name}",
        )
    for name in ("ERDA_FAILED", "SPECIFY_SYNC_FAILED", "ASSET_RECEIVED"):
        answer = archive.ars("PUT", f"/assetmetadata/{guid}/setstatus?newStatus={name}")
        assert answer.status_code == 204
        assert archive.status(guid)[0] == name


def test_complete_makes_an_asset_synchronised_and_clears_its_error(archive: Archive) -> None:
    guid = archive.create()
    path = f"/assetmetadata/{guid}/complete"
    archive.ars("PUT", f"/assetmetadata/{guid}/setstatus?newStatus=ERDA_FAILED&errorMessage=x")
    for body, message in (
        (None, "POST request requires a body"),
        ({}, "asset_guid is required"),
        ({"asset_guid": "b"}, "asset_guid in URL must match asset_guid in POST-message"),
    ):
        answer = archive.ars("POST", path, json=body)
        assert (answer.status_code, answer.json()["errorMessage"]) == (400, message)
    assert archive.ars("POST", path, json={"asset_guid": guid}).status_code == 204
    status = archive.ars("GET", f"/assets/status/{guid}").json()
    assert (status["status"], status["error_message"]) == ("ERDA_SYNCHRONISED", None)


def specimen(archive: Archive, barcode: str, **fields: Any) -> Any:
    path = f"/institutions/NHMD/collections/Vascular plants/specimen/{barcode}"
    body = {"institution": "NHMD", "collection": "Vascular plants", "barcode": barcode}
    return archive.ars("PUT", path, json=body | {"preparation_types": ["sheet"]} | fields)


def test_a_specimen_is_put_read_and_shown_by_its_asset(archive: Archive) -> None:
    barcode = uuid.uuid4().hex
    path = f"/institutions/NHMD/collections/Vascular plants/specimen/{barcode}"
    assert archive.ars("GET", path).status_code == 404
    made = specimen(archive, barcode).json()
    assert made["specimen_pid"] == f"NHMD.Vascular plants.{barcode}"
    assert specimen(archive, barcode).json()["specimen_id"] == made["specimen_id"]
    assert archive.ars("GET", path).json() == made
    link = {"specimen": made, "asset_preparation_type": "sheet"}
    guid = archive.create(asset_specimen=[link])
    [held] = archive.ars("GET", f"/assetmetadata/{guid}").json()["asset_specimen"]
    assert (held["specimen_id"], held["asset_preparation_type"]) == (made["specimen_id"], "sheet")
    assert held["specimen"]["barcode"] == barcode
    assert put(archive, guid).json()["asset_specimen"] == []


def test_a_specimen_needs_known_preparation_types(archive: Archive) -> None:
    answer = specimen(archive, "1", preparation_types=["pickled"])
    assert answer.status_code == 400
    assert answer.json()["errorMessage"] == "pickled is not a valid preparation_type"


def test_an_asset_may_only_name_a_preparation_its_specimen_has(archive: Archive) -> None:
    made = specimen(archive, uuid.uuid4().hex).json()
    link = {"specimen_id": made["specimen_id"], "asset_preparation_type": "slide"}
    body = asset(asset_specimen=[link])
    assert archive.ars("POST", "/assetmetadata?allocation_mb=1", json=body).status_code == 400


def test_two_specimens_make_an_asset_multi_specimen(archive: Archive) -> None:
    links = [
        {
            "specimen_id": specimen(archive, uuid.uuid4().hex).json()["specimen_id"],
            "asset_preparation_type": "sheet",
        }
        for _ in range(2)
    ]
    guid = archive.create(asset_specimen=links)
    assert archive.ars("GET", f"/assetmetadata/{guid}").json()["multi_specimen"] is True


def test_locking_an_asset_marked_for_specify_hands_it_on(archive: Archive) -> None:
    guid = archive.archived()
    marked = put(archive, guid, asset_locked=True, push_to_specify=True)
    assert marked.json()["internal_status"] == "SPECIFY_SYNC_SCHEDULED"
    answer = put(archive, guid, asset_locked=True)
    message = "Asset is synchronising to specify, please await completion"
    assert (answer.status_code, answer.json()["errorMessage"]) == (403, message)
    archive.tick()
    assert archive.status(guid) == ("SPECIFY_SYNCHRONISED", None)
    assert archive.events(guid)[-1]["event"] == "SYNCHRONISE_SPECIFY"


def test_a_value_the_database_cannot_hold_is_400(archive: Archive) -> None:
    assert archive.ars("GET", "/assets/status/a%00b").status_code == 400
    body = asset(payload_type="a\x00b")
    assert archive.ars("POST", "/assetmetadata?allocation_mb=1", json=body).status_code == 400
