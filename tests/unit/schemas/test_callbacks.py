"""The bodies of callbacks, as scripts that exist send them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from schemas.attempts import Complete, Fail, Grant, Result
from schemas.callbacks import (
    BarcodeBody,
    DerivativeBody,
    FailDerivativeBody,
    FailJobBody,
    FileInfoBody,
    JobBody,
    UpdateAssetBody,
)

BARCODE = {
    "guid": "g",
    "job": "barcode",
    "status": "DONE",
    "barcodes": ["NHMD0001"],
    "asset_subject": "specimen",
    "MSO": False,
    "MOS": True,
    "label": False,
}


@pytest.mark.parametrize("disposable", [{}, {"disposable": None}, {"disposable": ""}])
def test_a_null_disposable_barcode_is_taken(disposable: dict[str, Any]) -> None:
    barcode = BarcodeBody.model_validate({**BARCODE, **disposable}).as_barcode()
    assert barcode.disposable is None
    assert barcode.multi_object
    assert not barcode.multi_specimen


@pytest.mark.parametrize("subject", ["folder", "device target", "Something New"])
def test_an_unknown_subject_is_taken(subject: str) -> None:
    body = BarcodeBody.model_validate({**BARCODE, "asset_subject": subject})
    assert body.as_barcode().asset_subject == subject


def test_a_job_id_may_be_a_number_and_a_time_may_lack_its_zone() -> None:
    body = JobBody.model_validate(
        {"guid": "g", "job_name": "barcode", "job_id": -1, "timestamp": "2024-07-23T20:29:50"}
    )
    assert body.job_id == "-1"
    assert body.timestamp.utcoffset() == timedelta(hours=2)


def test_a_failed_job_need_not_say_why() -> None:
    body = FailJobBody.model_validate(
        {"guid": "g", "job_name": "ocr", "job_id": "7", "timestamp": "2024-01-01T00:00:00Z",
         "fail_status": "PAUSED"}
    )  # fmt: skip
    assert (body.hpc_message, body.hpc_exception) == ("No message", None)


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (UpdateAssetBody, {"guid": "g", "job": "ocr", "status": "DONE", "data": {"tags": "\0"}}),
        (UpdateAssetBody, {"guid": "", "job": "ocr", "status": "DONE", "data": {}}),
        (FileInfoBody, {"guid": "g", "name": "a/b", "type": "", "check_sum": 1, "file_size": 1}),
        (FileInfoBody, {"guid": "g", "name": "x", "type": "tif", "check_sum": -1, "file_size": 1}),
        (FailDerivativeBody, {"guid": "g", "ppi": 0}),
        (DerivativeBody, {"tags": {"x": float("nan")}}),
        (DerivativeBody, ["asset_guid"]),
    ],
)  # fmt: skip
def test_what_could_not_be_stored_or_found_is_refused(body: type[BaseModel], given: Any) -> None:
    with pytest.raises(ValidationError):
        body.model_validate(given)


def test_the_result_of_a_module_is_read_with_all_its_parts() -> None:
    facts = {"name": "g_400.tif", "crc32": 4294967295, "size_bytes": 12}
    derivative = {
        "guid": "g_400", "ppi": 400, "file_format": "tif", "payload_type": "image", "file": facts
    }  # fmt: skip
    complete = Complete.model_validate(
        {
            "native_id": 17,
            "nonce": "n",
            "result": {
                "metadata": {"tags.ocr": "Ærø"},
                "derivatives": [derivative],
                "usage": {"seconds": 1.5, "cpu_s": 1, "max_rss_mb": 80},
                "unheard_of": True,
            },
        }
    )
    assert complete.native_id == "17"
    assert complete.result.derivatives is not None
    assert complete.result.derivatives[0].file.crc32 == 0xFFFFFFFF


def test_no_derivatives_and_an_absent_list_of_derivatives_differ() -> None:
    assert Result.model_validate({"derivatives": []}).derivatives == ()
    assert Result.model_validate({}).derivatives is None


def test_a_failure_may_be_retried_or_not_and_nothing_else() -> None:
    with pytest.raises(ValidationError):
        Fail.model_validate({"native_id": "1", "nonce": "n", "fail_status": "PAUSED"})


def test_a_grant_does_not_show_its_token() -> None:
    ars = {"token": "secret", "expires_in": 300}
    grant = Grant(attempt=1, guid="g", stage="s", module="m", params={}, metadata={}, ars=ars)  # type: ignore[arg-type]
    assert "secret" not in repr(grant)
    assert grant.model_dump(mode="json")["ars"] == ars


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted({*BARCODE, "data", "job_id", "timestamp"})), JSON))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    for model in (BarcodeBody, UpdateAssetBody, JobBody, DerivativeBody):
        try:
            model.model_validate(body)
        except ValidationError as error:
            assert error.errors()
