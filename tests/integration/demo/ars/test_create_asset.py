"""Creating an asset: the order and words of every refusal, and what a success leaves behind."""

from typing import Any

import pytest

from tests.integration.demo.ars.stand_in import Archive, asset

ISSUE = {"category": "barcode", "status": "OPEN", "solved": False}
SPECIMEN = {"institution": "NHMD", "collection": "Vascular plants", "barcode": "99"}

# Each row breaks one rule, and everything above it is in order.
REFUSALS: list[tuple[dict[str, Any], int, int, str]] = [
    ({"asset_guid": None}, 1, 400, "asset_guid cannot be null"),
    ({"asset_pid": None}, 1, 400, "asset_pid cannot be null"),
    ({"status": None}, 1, 400, "Status cannot be null"),
    ({"status": "UNHEARD_OF"}, 1, 400, "Status cannot be null"),
    ({"parent_guids": [""]}, 1, 400, "Parent may not be an empty string"),
    ({"issues": [ISSUE | {"category": None}]}, 1, 400, "Issue category cannot be null"),
    ({"issues": [ISSUE | {"category": "x"}]}, 1, 400, "Issue category doesnt exists"),
    ({"issues": [ISSUE | {"status": None}]}, 1, 400, "Issue status cannot be null"),
    ({"issues": [ISSUE | {"solved": None}]}, 1, 400, "Issue solved cannot be null"),
    (
        {"asset_specimen": [{"specimen": SPECIMEN}]},
        1,
        400,
        "Specimen NHMD.Vascular plants.99 doesn't exist",
    ),
    ({}, 0, 400, "Allocation cannot be 0"),
    ({"collection": "Fossils"}, 1, 400, "Collection doesnt exist"),
    ({"institution": None}, 1, 400, "Institution cannot be null"),
    ({"collection": None}, 1, 400, "Collection cannot be null"),
    ({"institution": "Atlantis"}, 1, 400, "Institution doesnt exist"),
    ({"digitiser": None}, 1, 400, "digitiser cannot be null when creating asset"),
    (
        {"asset_guid": "own-parent", "parent_guids": ["own-parent"]},
        1,
        400,
        "Asset cannot be its own parent",
    ),
    ({"pipeline": "PIPENONE"}, 1, 400, "Pipeline doesnt exist in this institution"),
    ({"workstation": "WORKNONE"}, 1, 400, "Workstation does not exist"),
    ({"file_formats": ["PSD"]}, 1, 400, "PSD is not a valid file format"),
    ({"external_publishers": [{"name": "X"}]}, 1, 400, "Publisher X doesnt exist"),
    ({"parent_guids": ["nobody"]}, 1, 400, "Parent doesnt exist"),
]


def post(archive: Archive, body: dict[str, Any], mb: int = 10) -> Any:
    return archive.ars("POST", f"/assetmetadata?allocation_mb={mb}", json=body)


@pytest.mark.parametrize(("change", "mb", "code", "message"), REFUSALS)
def test_each_rule_refuses_in_the_archives_words(
    archive: Archive, change: dict[str, Any], mb: int, code: int, message: str
) -> None:
    body = asset(**change)
    answer = post(archive, body, mb)
    assert answer.status_code == code
    assert answer.json() == {
        "type": "Error",
        "protocolVersion": "1.0",
        "errorCode": "BAD_REQUEST",
        "errorMessage": message,
        "body": None,
    }
    if "asset_guid" in body:
        assert archive.ars("GET", f"/assets/status/{body['asset_guid']}").status_code == 404


def test_of_two_broken_rules_the_earlier_speaks(archive: Archive) -> None:
    wrong = asset(status=None, pipeline="PIPENONE")
    assert post(archive, wrong, 0).json()["errorMessage"] == "Status cannot be null"
    wrong = asset(pipeline="PIPENONE", workstation="WORKNONE")
    expected = "Pipeline doesnt exist in this institution"
    assert post(archive, wrong).json()["errorMessage"] == expected


def test_a_refused_guid_may_be_tried_again_at_once(archive: Archive) -> None:
    body = asset(pipeline="PIPENONE")
    assert post(archive, body).status_code == 400
    assert post(archive, body | {"pipeline": "PIPEHERB0001"}).status_code == 200


def test_a_workstation_out_of_service_is_403(archive: Archive) -> None:
    path = "/institutions/AU/workstations/WORKPIOF0003"
    assert archive.ars("PUT", path, json={"status": "OUT_OF_SERVICE"}).status_code == 204
    answer = post(archive, asset(institution="AU", workstation="WORKPIOF0003"))
    assert answer.status_code == 403
    assert answer.json()["errorCode"] == "FORBIDDEN"
    message = "Workstation [OUT_OF_SERVICE] is marked as out of service"
    assert answer.json()["errorMessage"] == message


def test_a_success_answers_the_whole_asset_and_opens_its_share(archive: Archive) -> None:
    body = asset(tags={"light": "D50"}, date_asset_taken="2026-03-01T12:00:00+01:00")
    answer = post(archive, body, 7)
    assert answer.status_code == 200
    made, guid = answer.json(), body["asset_guid"]
    assert made["internal_status"] == "METADATA_RECEIVED"
    assert made["date_asset_taken"] == "2026-03-01T11:00:00Z"
    assert made["created_date"].endswith("Z")
    assert made["tags"] == {"light": "D50"}
    assert (made["funding"], made["parent_guids"], made["mos_id"]) == ([], [], None)
    info = made["httpInfo"]
    assert info.keys() == {
        "path",
        "hostname",
        "total_storage_mb",
        "cache_storage_mb",
        "remaining_storage_mb",
        "allocated_storage_mb",
        "allocation_status_text",
        "http_allocation_status",
    }
    assert info["path"] == f"/assetfiles/NHMD/Vascular plants/{guid}/"
    assert (info["allocated_storage_mb"], info["http_allocation_status"]) == (7, "SUCCESS")
    assert archive.status(guid) == ("METADATA_RECEIVED", 7)
    assert archive.share_folder(guid).is_dir()
    [event] = archive.events(guid)
    assert event["event"] == "CREATE_ASSET_METADATA"
    assert event["user"] == "service-account-specimen-refinery"
    assert event["pipeline"] == "PIPEHERB0001"


def test_unknown_keys_are_ignored_and_wrong_types_are_plain_text_400(archive: Archive) -> None:
    assert post(archive, asset(no_such_field=1)).status_code == 200
    answer = post(archive, asset(funding={"not": "a list"}))
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert post(archive, asset(restricted_access=["PIRATE"])).status_code == 400


def test_an_existing_guid_is_refused_and_nothing_changes(archive: Archive) -> None:
    guid = archive.create(payload_type="image")
    answer = post(archive, asset(asset_guid=guid, payload_type="document"))
    assert answer.status_code == 400
    assert answer.json()["errorMessage"] == f"Asset {guid} already exists"
    assert archive.ars("GET", f"/assetmetadata/{guid}").json()["payload_type"] == "image"


def test_too_little_allocation_for_the_parents_is_400_with_an_asset(archive: Archive) -> None:
    parent = archive.archived(b"x" * 1_500_000)
    body = asset(parent_guids=[parent])
    answer = post(archive, body, 1)
    assert answer.status_code == 400
    assert answer.json()["asset_guid"] == body["asset_guid"]
    assert answer.json()["httpInfo"]["http_allocation_status"] == "BAD_REQUEST"
    assert archive.ars("GET", f"/assets/status/{body['asset_guid']}").status_code == 404
    assert post(archive, body, 2).status_code == 200


def test_a_full_disk_is_403_with_an_asset_and_stores_nothing(archive: Archive) -> None:
    archive.sim("POST", "/disk", json={"disk_mb": 0})
    body = asset()
    answer = post(archive, body, 1)
    assert answer.status_code == 403
    info = answer.json()["httpInfo"]
    assert (info["http_allocation_status"], info["allocation_status_text"]) == ("DISK_FULL", None)
    assert archive.ars("GET", f"/assets/status/{body['asset_guid']}").status_code == 404
    assert not archive.share_folder(body["asset_guid"]).exists()


def test_a_negative_allocation_is_500_and_keeps_the_guid_locked_for_300_seconds(
    archive: Archive,
) -> None:
    body = asset()
    answer = post(archive, body, -1)
    assert answer.status_code == 500
    assert answer.json().keys() == {"timestamp", "status", "error", "path"}
    locked = post(archive, body)
    assert locked.status_code == 403
    message = f"Asset {body['asset_guid']} is already being processed"
    assert locked.json()["errorMessage"] == message
    archive.sim("POST", "/clock", json={"seconds": 301})
    archive.forget_tokens()
    assert post(archive, body).status_code == 200


def test_an_unreachable_file_proxy_is_503_with_an_asset(archive: Archive) -> None:
    body = asset()
    archive.fault("file_proxy_unreachable", match={"guid": body["asset_guid"]})
    answer = post(archive, body)
    assert answer.status_code == 503
    assert answer.json()["httpInfo"]["http_allocation_status"] == "UPSTREAM_ERROR"
    assert post(archive, body).status_code == 200


def test_an_unknown_subject_breaks_creation_and_is_learnt_by_update(archive: Archive) -> None:
    assert post(archive, asset(asset_subject="fossil egg")).status_code == 500
    guid = archive.create()
    body = asset(asset_guid=guid, asset_subject="fossil egg")
    assert archive.ars("PUT", f"/assetmetadata/{guid}", json=body).status_code == 200
    archive.create(asset_subject="fossil egg")


def test_a_guid_that_is_no_file_name_is_refused(archive: Archive) -> None:
    for guid in ("../../etc", "a/b", "..", ""):
        assert post(archive, asset(asset_guid=guid, asset_pid="p")).status_code == 400


def test_a_date_without_a_zone_or_outside_the_calendar_is_plain_text_400(archive: Archive) -> None:
    for moment in ("2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00", "yesterday"):
        answer = post(archive, asset(date_asset_taken=moment))
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/plain")
