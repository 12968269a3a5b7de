"""An asset in the words of ARS."""

import json
from typing import Any

import pytest

from schemas.metadata.ars_asset import file_format, missing_for_ars, specimens_of, to_ars
from schemas.metadata.document import Metadata, read_document


def read(**values: Any) -> Metadata:
    five = {
        "asset_guid": "g_400", "collection": "Vascular plants", "institution": "NHMD",
        "pipeline_name": "PIPEHERB0001", "workstation_name": "WORKHERB0001",
    }  # fmt: skip
    return read_document({**five, **values}).metadata


FULL = read(
    digitiser="Søren",
    barcode=["NHMD1", "NHMD2"],
    preparation_type="sheet",
    funding=["DaSSCo", "other"],
    asset_subject="specimen",
    parent_guid="g",
    file_format="tif",
    payload_type="image",
    restricted_access=["service-user"],
    date_asset_taken="2023-10-18T14:27:05+02:00",
    issues=[{"category": "c", "status": "s", "name": "torn"}, {"description": "half told"}],
    external_publisher=["GBIF"],
    tags={"ocr": "x"},
)


def test_todays_contract_gets_todays_names() -> None:
    body = to_ars(FULL, update_user="refinery")
    assert body["asset_pid"] == body["asset_guid"] == "g_400"
    assert body["status"] == "WORKING_COPY"
    assert body["parent_guids"] == ["g"]
    assert body["asset_subject"] == "specimen"
    assert body["funding"] == ["DaSSCo", "other"]
    assert body["file_formats"] == ["TIF"]
    assert body["date_asset_taken"] == "2023-10-18T12:27:05Z"
    assert body["restricted_access"] == ["SERVICE_USER"]
    assert body["pipeline"] == body["updating_pipeline"] == "PIPEHERB0001"
    assert body["updateUser"] == "refinery"
    assert [issue["name"] for issue in body["issues"]] == ["torn"]
    assert [item["specimen"]["barcode"] for item in body["asset_specimen"]] == ["NHMD1", "NHMD2"]
    assert json.loads(json.dumps(body)) == body


def test_the_first_contract_gets_the_first_names() -> None:
    body = to_ars(FULL, profile="v1_7")
    assert body["parent_guid"] == "g"
    assert body["subject"] == "specimen"
    assert body["funding"] == "DaSSCo"
    assert body["specimens"][1] == {
        "institution": "NHMD",
        "collection": "Vascular plants",
        "barcode": "NHMD2",
        "specimen_pid": "NHMD.Vascular plants.NHMD2",
        "preparation_type": "sheet",
    }
    assert not {"parent_guids", "asset_specimen", "asset_subject", "updateUser"} & body.keys()


def test_the_contract_between_them_has_the_body_of_today() -> None:
    assert to_ars(FULL, profile="v2_6") == to_ars(FULL)


def test_an_empty_field_is_never_sent_as_empty_text() -> None:
    body = to_ars(read(parent_guid="", status="", asset_pid=""))
    assert body["parent_guids"] == []
    assert to_ars(read(parent_guid=""), profile="v1_7")["parent_guid"] is None
    assert body["issues"] is None
    assert body["file_formats"] == []
    assert body["date_asset_taken"] is None
    assert missing_for_ars(read()) == ["digitiser"]
    assert missing_for_ars(FULL) == []


@pytest.mark.parametrize(("pid", "expected"), [("own", "own"), (None, "g_400")])
def test_the_guid_is_the_pid_unless_there_is_another(pid: str | None, expected: str) -> None:
    assert to_ars(read(asset_pid=pid))["asset_pid"] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tif", "TIF"), ("tiff", "TIF"), ("jpg", "JPEG"), (".jpeg", "JPEG"), ("raf", "RAF")],
)
def test_formats_are_spelt_as_the_archive_does(name: str, expected: str) -> None:
    assert file_format(name) == expected


def test_pids_are_taken_when_there_is_one_for_each_barcode() -> None:
    assert [
        s.specimen_pid for s in specimens_of(read(barcode=["a", "b"], specimen_pid=["1", "2"]))
    ] == ["1", "2"]
    assert (
        specimens_of(read(barcode=["a", "b"], specimen_pid="1"))[0].specimen_pid
        == "NHMD.Vascular plants.a"
    )
