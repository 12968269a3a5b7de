"""What is pushed: everything ARS holds, with what we know put over it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.archive.ars.metadata import SERVER_ONLY, differing_fields, merged

HELD: dict[str, Any] = {
    "asset_guid": "g",
    "asset_pid": "pid",
    "institution": "NHMD",
    "funding": ["DaSSCo"],
    "tags": {"curator": "Åse"},
    "legality": {"copyright": "KU", "license": None},
    "issues": [{"issue_id": 1, "category": "focus"}],
    "a_field_of_next_year": 1,
    "internal_status": "ERDA_ERROR",
    "date_asset_taken": "2026-11-21T09:00:00Z",
    "asset_specimen": [
        {
            "asset_specimen_id": 11,
            "asset_detached": True,
            "asset_preparation_type": "pinning",
            "specimen": {"institution": "NHMD", "collection": "C", "barcode": "7", "pid": "x"},
        }
    ],
}


def test_what_ars_knows_beyond_us_is_kept() -> None:
    body = merged(HELD, {"tags": {"ocr": "Salix"}, "status": "ARCHIVE"})
    assert body["a_field_of_next_year"] == 1
    assert body["funding"] == ["DaSSCo"]
    assert body["tags"] == {"curator": "Åse", "ocr": "Salix"}
    assert body["status"] == "ARCHIVE"


def test_what_ars_writes_itself_is_not_sent_back() -> None:
    assert SERVER_ONLY.isdisjoint(merged(HELD, {"internal_status": "COMPLETED"}))


def test_issues_of_others_stay_whatever_we_say() -> None:
    assert merged(HELD, {})["issues"] is None
    ours = {"category": "label", "status": "open"}
    assert merged(HELD, {"issues": [ours]})["issues"] == [*HELD["issues"], ours]
    assert merged(HELD, {"issues": [{"category": "focus"}]})["issues"] == HELD["issues"]


def test_an_empty_field_says_nothing_of_itself() -> None:
    body = merged(HELD, {"institution": None, "funding": [], "make_public": False})
    assert body["institution"] == "NHMD"
    assert body["funding"] == ["DaSSCo"]
    assert "make_public" not in body


def test_a_field_we_emptied_since_the_last_push_is_emptied() -> None:
    body = merged(HELD, {"funding": [], "institution": None}, {"funding": ["DaSSCo"]})
    assert body["funding"] == []
    assert body["institution"] == "NHMD"


def test_a_field_we_did_not_change_since_the_last_push_is_left_as_ars_has_it() -> None:
    said = {"funding": ["what we said"], "status": "ARCHIVE"}
    assert merged(HELD, said, said)["funding"] == ["DaSSCo"]
    assert differing_fields(HELD, said, said) == ()


def test_nothing_is_ever_unlocked() -> None:
    locked = {**HELD, "asset_locked": True}
    assert merged(locked, {"asset_locked": False}, {"asset_locked": True})["asset_locked"] is True
    assert merged(HELD, {"asset_locked": True})["asset_locked"] is True


def test_a_specimen_keeps_the_numbers_ars_gave_it() -> None:
    ours = {
        "asset_preparation_type": "sheet",
        "asset_detached": False,
        "specimen": {"institution": "NHMD", "collection": "C", "barcode": "7"},
    }
    (link,) = merged(HELD, {"asset_specimen": [ours]})["asset_specimen"]
    assert link["asset_specimen_id"] == 11
    assert link["asset_preparation_type"] == "sheet"
    assert link["asset_detached"] is True
    assert link["specimen"]["pid"] == "x"
    assert differing_fields(HELD, {"asset_specimen": [ours]}) == ("asset_specimen",)
    ours["asset_preparation_type"] = "pinning"
    assert differing_fields(HELD, {"asset_specimen": [ours]}) == ()


def test_another_specimen_gets_none_of_those_numbers() -> None:
    ours = {"specimen": {"institution": "NHMD", "collection": "C", "barcode": "8"}}
    (link,) = merged(HELD, {"asset_specimen": [ours]})["asset_specimen"]
    assert link == ours


def test_one_moment_written_in_two_ways_is_no_difference() -> None:
    assert differing_fields(HELD, {"date_asset_taken": "2026-11-21T10:00:00.000+01:00"}) == ()
    assert differing_fields(HELD, {"date_asset_taken": "2026-11-21T10:00:00Z"}) == (
        "date_asset_taken",
    )


def test_differences_are_named_and_those_of_ars_alone_are_not() -> None:
    changes = {"funding": ["other"], "tags": {"ocr": "Salix"}, "updateUser": "us", "audited": True}
    assert differing_fields(HELD, changes) == ("funding", "tags")


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
json_values = (
    scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars)
)
keys = st.sampled_from(["a", "b", "tags", "asset_pid"])
bodies = st.dictionaries(keys, json_values, max_size=5)


@given(bodies, bodies)
def test_a_merged_body_holds_every_change_and_drops_no_field(
    held: dict[str, Any], ours: dict[str, Any]
) -> None:
    body = merged(held, ours)
    assert differing_fields(body, ours) == ()
    assert held.keys() <= body.keys()
