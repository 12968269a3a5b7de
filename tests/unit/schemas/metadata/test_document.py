"""Metadata documents as they are found, and changes to them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.metadata.document import Change, Metadata, MetadataError, read_document
from schemas.metadata.names import FIELDS, FLAGS, LISTS, RENAMED, V2_ONLY, Publisher
from schemas.metadata.v2 import KEYS, to_v2

GUID = "7e7-a-12-0e-1b-05-0-001-00-000-0be189-00000"
V2 = {
    "asset_created_by": "", "asset_deleted_by": "", "asset_guid": GUID, "asset_pid": "",
    "asset_subject": "", "asset_updated_by": "", "audited": False, "audited_by": "",
    "audited_date": None, "barcode": [], "collection": "Vascular plants",
    "date_asset_created": None, "date_asset_deleted": None, "date_asset_finalised": None,
    "date_asset_taken": "2023-10-18T14:27:05+02:00", "date_asset_updated": None,
    "date_metadata_created": "2023-10-31T08:22:17+01:00", "date_metadata_updated": "",
    "date_metadata_uploaded": None, "digitiser": "Søren Ærø", "external_publisher": [],
    "file_format": "tif", "funding": "DaSSCo", "institution": "NHMD",
    "metadata_created_by": "IngestionClient", "metadata_updated_by": "",
    "metadata_uploaded_by": "", "multispecimen": False, "parent_guid": "",
    "payload_type": ["image"], "pipeline_name": "PIPEHERB0001", "preparation_type": "sheet",
    "pushed_to_specify_date": None, "restricted_access": [], "specimen_pid": "", "status": "",
    "tags": {"metadataTemplate": "v2_1_0"}, "workstation_name": "WORKHERB0001",
}  # fmt: skip
FIVE = {
    "asset_guid": "g", "collection": "c", "institution": "i", "pipeline_name": "p",
    "workstation_name": "w",
}  # fmt: skip


def read(**values: Any) -> Metadata:
    return read_document({**FIVE, **values}).metadata


def test_the_model_has_the_fields_of_v3_and_no_others() -> None:
    assert set(Metadata.model_fields) == FIELDS
    assert len(FIELDS) == 51
    assert len(KEYS) == 38
    assert set(V2) == KEYS


def test_a_v2_document_becomes_a_v3_one_and_is_kept_as_it_came() -> None:
    arrived = read_document(json.dumps(V2).encode(), file="a.json")
    metadata = arrived.metadata
    assert arrived.version == "2.1.0"
    assert arrived.document == V2
    assert arrived.warnings == ()
    assert metadata.payload_type == "image"
    assert metadata.funding == ("DaSSCo",)
    assert metadata.preparation_type == ("sheet",)
    assert metadata.parent_guids == ()
    assert metadata.collection == "Vascular plants"
    assert metadata.status is None
    assert metadata.canonical()["date_asset_taken"] == "2023-10-18T14:27:05+02:00"
    assert metadata.canonical()["date_metadata_ingested"] == "2023-10-31T08:22:17+01:00"


def test_a_v3_document_needs_five_fields_only() -> None:
    arrived = read_document(FIVE)
    assert arrived.version == "3"
    assert Metadata.model_validate(arrived.metadata.canonical()) == arrived.metadata


@pytest.mark.parametrize("field", sorted(FIVE))
@pytest.mark.parametrize("value", [None, "", "  ", []])
def test_a_missing_required_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(MetadataError) as caught:
        read_document({**FIVE, field: value}, file="x.json")
    assert caught.value.field == field
    assert str(caught.value) == f"x.json, field {field}: is missing. Every document needs it"


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("payload_type", "image", "payload_type", "image"),
        ("payload_type", [["ct scan"]], "payload_type", "ct scan"),
        ("payload_type", ["image", "thumbnail"], "payload_type", "thumbnail"),
        ("preparation_type", [["dry"], "pinned"], "preparation_type", ("dry", "pinned")),
        ("parent_guid", "", "parent_guids", ()),
        ("parent_guid", None, "parent_guids", ()),
        ("parent_guid", "g0", "parent_guids", ("g0",)),
        ("parent_guid", ["g0"], "parent_guids", ("g0",)),
        ("parent_guids", [], "parent_guids", ()),
        ("barcode", "", "barcode", ()),
        ("barcode", "NHMD1", "barcode", ("NHMD1",)),
        ("barcode", ["NHMD1", "", "NHMD1", 7], "barcode", ("NHMD1", "7")),
        ("specimen_pid", {"NHMD1": "pid"}, "specimen_pid", ("pid",)),
        ("asset_pid", "pid", "asset_pid", ("pid",)),
        ("funding", None, "funding", ()),
        ("multispecimen", "true", "multi_specimen", True),
        ("audited", None, "audited", False),
        ("tags", None, "tags", {}),
        ("tags", "", "tags", {}),
        ("tags", [{"a": "1"}, {"b": 2}], "tags", {"a": "1", "b": "2"}),
        ("tags", {"a": ["x"], "b": None}, "tags", {"a": '["x"]'}),
        ("collection", "Vascular Plants", "collection", "Vascular Plants"),
        ("institution", " NHMA ", "institution", "NHMA"),
        ("digitiser", "SÃ¸ren Ã†rÃ¸", "digitiser", "Søren Ærø"),
        ("digitiser", "SÃƒÂ¸ren", "digitiser", "Søren"),
        ("digitiser", "BLÅ” É“ naïve Ângela", "digitiser", "BLÅ” É“ naïve Ângela"),
    ],
)
def test_what_is_loose_is_read(name: str, value: Any, field: str, expected: Any) -> None:
    assert getattr(read(**{name: value}), field) == expected


def test_publishers_issues_and_legality_are_read_in_any_shape() -> None:
    metadata = read(
        external_publisher=["GBIF", {"name": "DanBIF", "odd": 1}],
        issues=["torn", {"category": "c", "solved": "yes", "timestamp": None}],
        legality={"license": "CC0"},
    )
    assert [publisher.name for publisher in metadata.external_publishers] == ["GBIF", "DanBIF"]
    assert [issue.solved for issue in metadata.issues] == [False, True]
    assert metadata.legality.license == "CC0"


V3_EMPTY: dict[str, Any] = {
    "legality": {"copyright": None, "license": None, "credit": None},
    **{name: [] for name in LISTS},
    **{name: [] for name in ("external_publishers", "issues")},
    **dict.fromkeys(FLAGS, False),
    "tags": {},
}


@pytest.mark.parametrize("given", [{}, dict.fromkeys(V3_EMPTY)])
def test_a_v3_document_has_no_null_where_v3_has_a_list_an_object_or_a_yes(
    given: dict[str, Any],
) -> None:
    """Those who read v3 by its published model refuse `legality: null`."""
    for metadata in (read(**given), Metadata.model_validate({**FIVE, **given})):
        written = metadata.canonical()
        assert {name: written[name] for name in V3_EMPTY} == V3_EMPTY
        assert metadata.apply({"legality": None}, ["legality"])[1] == []


def test_a_publisher_without_a_name_is_none() -> None:
    assert read(external_publishers=[{"name": None}, {"name": "GBIF"}]).external_publishers == (
        Publisher(name="GBIF"),
    )


def test_another_institution_does_not_change_the_pipeline() -> None:
    assert read(institution="NHMA", pipeline_name="PIPEPIOF0001").pipeline_name == "PIPEPIOF0001"


def test_a_time_without_a_zone_is_read_as_local_time_with_a_warning() -> None:
    summer = read_document({**FIVE, "date_asset_taken": "2024-07-23T20:29:50"})
    assert summer.metadata.canonical()["date_asset_taken"] == "2024-07-23T20:29:50+02:00"
    assert "read as the time in Europe/Copenhagen" in summer.warnings[0]
    winter = read(date_asset_taken="2024-01-23")
    assert winter.canonical()["date_asset_taken"] == "2024-01-23T00:00:00+01:00"


def test_the_hour_that_happens_twice_is_the_same_after_reading_back() -> None:
    metadata = read(date_asset_taken="2024-10-27T02:30:00")
    assert Metadata.model_validate(metadata.canonical()) == metadata


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("date_asset_taken", "yesterday", "is not a time"),
        ("date_asset_taken", 1700000000, "is not a time"),
        ("date_asset_taken", "0001-01-01", "cannot be meant"),
        ("multispecimen", "perhaps", "expected true or false"),
        ("digitiser", {"name": "x"}, "expected text"),
        ("tags", "red", "expected a mapping"),
        ("legality", "mine", "expected a mapping"),
        ("asset_guid", "../../etc", "cannot be a guid"),
        ("digitiser", "a\0b", "NUL"),
        ("unheard_of", "\ud800", "half a character"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(name: str, value: Any, words: str) -> None:
    with pytest.raises(MetadataError, match=words) as caught:
        read(**{name: value})
    assert caught.value.remedy


def test_unknown_fields_are_kept_as_they_arrived_with_a_warning() -> None:
    arrived = read_document({**FIVE, "digitizer": "x", "_id": "g", "metadata_uploaded_by": "y"})
    assert arrived.document["digitizer"] == "x"
    assert arrived.warnings == (
        "digitizer: unknown field, kept in the document as it arrived; nearest is 'digitiser'",
        "metadata_uploaded_by: has no place in v3; kept in the document as it arrived",
    )


def test_of_two_names_of_one_field_the_newer_is_taken() -> None:
    arrived = read_document({**FIVE, "multi_specimen": True, "multispecimen": False})
    assert arrived.metadata.multi_specimen
    assert "says otherwise" in arrived.warnings[0]


TEXT = json.dumps({**FIVE, "digitiser": "Søren"}, ensure_ascii=False, indent=1)


@pytest.mark.parametrize(
    ("raw", "warned"),
    [
        (TEXT.encode(), ""),
        (TEXT.encode("utf-8-sig"), ""),
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("cp1252"), "Windows-1252"),
        (TEXT.encode().decode("cp1252").encode(), "was mangled"),
    ],
)
def test_a_file_in_any_usual_encoding_gives_the_same_name(raw: bytes, warned: str) -> None:
    arrived = read_document(raw)
    assert arrived.metadata.digitiser == "Søren"
    assert (warned in " ".join(arrived.warnings)) if warned else not arrived.warnings


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"", 1, "not JSON"),
        (b'{"a": 1,\n "b" 2}', 2, "not JSON"),
        (b'{"a": 1,\n "b": 2,\n "a": 3}', 3, "field a: written twice"),
        (b'{"a":\n "\x81"}', 2, "neither UTF-8"),
        (b"[1]", 1, "not a mapping"),
        (b'{"a": NaN}', None, "NaN is not"),
        (b'{"a": 1e999}', None, "inf"),
        (b'{"a": ' + b"9" * 5000 + b"}", None, "not JSON"),
        (b"[" * 100_000, None, "nested"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", None, "nested"),
    ],
)
def test_broken_json_is_refused_with_file_and_line(
    raw: bytes, line: int | None, words: str
) -> None:
    with pytest.raises(MetadataError, match=words) as caught:
        read_document(raw, file="x.json")
    assert (caught.value.file, caught.value.line) == ("x.json", line)


def test_a_key_written_twice_with_one_value_is_no_mistake() -> None:
    raw = json.dumps(FIVE)[:-1] + ', "asset_guid": "g"}'
    assert read_document(raw).metadata.asset_guid == "g"


def test_changes_go_through_the_whitelist_in_names_of_either_version() -> None:
    before = read(tags={"metadataTemplate": "v3"})
    changes = {"multispecimen": True, "barcode": "NHMD1", "status": "ARCHIVE", "nonsense": 1}
    after, changed = before.apply(changes, ["multi_specimen", "barcode"])
    assert (after.multi_specimen, after.barcode, after.status) == (True, ("NHMD1",), None)
    assert changed == [Change("barcode", [], ["NHMD1"]), Change("multi_specimen", False, True)]
    outside = Metadata.outside(changes, ["multi_specimen", "barcode"])
    assert outside == ["status", "nonsense"]
    assert after.apply(changes, ["multispecimen", "barcode"]) == (after, [])


@pytest.mark.parametrize("changes", [{"tags": {"ocr": "Ærø", "x": "y"}}, {"tags.ocr": "Ærø"}])
def test_a_tag_is_added_to_the_others_and_never_replaces_them(changes: dict[str, Any]) -> None:
    before = read(tags={"metadataTemplate": "v3", "x": "old"})
    after, changed = before.apply(changes, ["tags.ocr"])
    assert after.tags == {"metadataTemplate": "v3", "x": "old", "ocr": "Ærø"}
    assert changed == [Change("tags.ocr", None, "Ærø")]
    gone, _ = after.apply({"tags": {"ocr": None}}, ["tags"])
    assert gone == before


def test_tags_left_outside_are_named_one_by_one() -> None:
    changes = {"tags": {"ocr": "a", "x": "b"}, "tags.y": "c"}
    assert Metadata.outside(changes, ["tags.ocr"]) == ["tags.x", "tags.y"]
    assert Metadata.outside(changes, ["tags"]) == []


def test_a_change_that_cannot_be_read_is_refused_and_nothing_is_written() -> None:
    with pytest.raises(MetadataError, match="field date_asset_taken"):
        read().apply({"date_asset_taken": "soon"}, ["date_asset_taken"])
    with pytest.raises(MetadataError, match="field collection: is missing"):
        read().apply({"collection": None}, ["collection"])


def test_a_document_goes_to_v2_and_back_unchanged() -> None:
    metadata = read_document(V2).metadata
    assert set(to_v2(metadata)) == KEYS | {"_id"}
    assert read_document(to_v2(metadata)).metadata == metadata
    several = metadata.model_copy(update={"funding": ("a", "b"), "parent_guids": ("g0",)})
    assert to_v2(several)["parent_guid"] == "g0"
    assert read_document(to_v2(several)).metadata == several


NAMES = st.sampled_from(sorted(FIELDS | set(RENAMED) | V2_ONLY | {"_id", "x"}))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["2024-01-01", "2024-07-23T20:29:50Z", "true", "g", "SÃ¸ren"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=120)
@given(st.dictionaries(NAMES, VALUES, max_size=8), st.booleans())
def test_any_json_is_metadata_or_a_metadata_error(values: dict[str, Any], whole: bool) -> None:
    document = {**FIVE, **values} if whole else values
    try:
        metadata = read_document(json.dumps(document)).metadata
    except MetadataError as error:
        assert error.problem
        assert error.remedy
    else:
        assert Metadata.model_validate(metadata.canonical()) == metadata
        assert read_document(metadata.canonical()).metadata == metadata
        assert read_document(to_v2(metadata)).version == "2.1.0"


@settings(max_examples=80)
@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda text: text.encode("utf-16")))
def test_any_bytes_are_metadata_or_a_metadata_error(raw: bytes) -> None:
    with pytest.raises(MetadataError):
        read_document(raw)


@settings(max_examples=80)
@given(
    st.dictionaries(NAMES | st.sampled_from(["tags.ocr", "tags.", "a.b"]), VALUES, max_size=4),
    st.lists(NAMES | st.just("tags.ocr")),
)
def test_any_changes_are_applied_once_or_refused(
    changes: dict[str, Any], whitelist: list[str]
) -> None:
    before = read(tags={"a": "b"})
    try:
        after, changed = before.apply(changes, whitelist)
    except MetadataError:
        return
    again, unchanged = after.apply(changes, whitelist)
    assert (again, unchanged) == (after, [])
    assert (after == before) is (not changed)
    Metadata.outside(changes, whitelist)
