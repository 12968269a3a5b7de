"""Whatever comes in: an answer in the archive's words, and no file outside its folders."""

from pathlib import PurePosixPath
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from demo.ars.documents import AssetBody
from demo.ars.errors import BadRequest
from demo.ars.folders import safe_parts
from tests.integration.demo.ars.stand_in import Archive, asset, new_guid

relaxed = settings(max_examples=40)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
# An unknown subject is meant to break a creation.
FIELDS = sorted(AssetBody.model_fields.keys() - {"asset_subject"})


@given(st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "\\", "b c"])).map("/".join))
def test_every_path_is_refused_or_stays_below_its_folder(path: str) -> None:
    try:
        parts = safe_parts(path)
    except BadRequest:
        return
    joined = PurePosixPath("/root").joinpath(*parts)
    assert ".." not in joined.parts
    assert joined.is_relative_to("/root")
    assert len(joined.parts) == len(parts) + 2


@relaxed
@given(field=st.sampled_from(FIELDS), value=json_values)
def test_no_asset_document_makes_the_archive_stumble(
    archive: Archive, field: str, value: Any
) -> None:
    body = asset() | {field: value}
    made = archive.ars("POST", "/assetmetadata?allocation_mb=1", json=body)
    assert made.status_code in (200, 400, 403), made.text
    guid = str(body["asset_guid"]) if made.status_code == 200 else archive.create(mb=1)
    body = asset(asset_guid=guid) | {field: value}
    updated = archive.ars("PUT", f"/assetmetadata/{guid}", json=body)
    assert updated.status_code in (200, 400, 403, 404), updated.text


@relaxed
@given(body=st.dictionaries(st.sampled_from(["assets", "users", "allocation_mb"]), json_values))
def test_no_share_order_makes_the_archive_stumble(archive: Archive, body: dict[str, Any]) -> None:
    path = f"/shares/assets/{new_guid()}/createShare"
    assert archive.proxy("POST", path, json=body).status_code in (200, 400)


@relaxed
@given(mb=st.integers(), crc=st.integers())
def test_no_number_makes_the_archive_stumble(archive: Archive, mb: int, crc: int) -> None:
    guid = archive.archived()
    order = {"assets": [{"asset_guid": guid}], "users": ["u"], "allocation_mb": mb}
    share = archive.proxy("POST", f"/shares/assets/{guid}/createShare", json=order)
    assert share.status_code in (200, 400), share.text
    grown = {"asset_guid": guid, "new_allocation_mb": mb}
    answer = archive.proxy("POST", f"/shares/assets/{guid}/changeAllocation", json=grown)
    assert answer.status_code in (200, 400), answer.text
    assert archive.upload(guid, "x.tif", b"x", crc=crc, mb=mb).status_code in (200, 400, 507)
