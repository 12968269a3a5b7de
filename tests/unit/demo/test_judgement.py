"""The demonstration's verdict: what ended as it should passes, everything else is named."""

from typing import Any

from demo.judgement import judged, specimens
from demo.specimens.sessions import Expectation, SpecimenEnd

WANTED = Expectation(
    guid="g1",
    file_name="g1.tif",
    end=SpecimenEnd.FINALISED,
    subject="specimen",
    barcodes=("NHMD-1",),
    derivatives=(400, 72),
)


def row(guid: str = "g1", **changes: Any) -> dict[str, Any]:
    plain = {
        "guid": guid,
        "file_name": f"{guid}.tif",
        "parent_guid": None,
        "subject": "specimen",
        "quarantine": None,
        "attention": None,
        "finalised": True,
        "ppi": None,
        "barcodes": ["NHMD-1"],
        "stages": [{"key": "ingest", "state": "done", "reason": None}],
    }
    return plain | changes


def whole(**changes: Any) -> list[dict[str, Any]]:
    children = [row(f"d{ppi}", parent_guid="g1", ppi=ppi) for ppi in (72, 400)]
    return [row(**changes), *children]


def test_what_ended_as_it_should_is_not_mentioned() -> None:
    assert list(judged(whole(), {"g1": WANTED})) == []


def test_every_difference_is_named() -> None:
    changed = whole(subject="label", barcodes=[])[:2]
    faults = list(judged(changed, {"g1": WANTED}))
    assert [fault.split(": ")[1].split()[0] for fault in faults] == [
        "taken",
        "barcodes",
        "derivatives",
    ]


def test_a_specimen_nobody_knows_and_an_empty_session_are_faults() -> None:
    assert any("nobody knows it" in fault for fault in judged([row("g2")], {"g1": WANTED}))
    assert list(judged([], None)) == ["the session holds no specimen"]


def test_a_failed_stage_is_where_it_stopped() -> None:
    stages = [{"key": "upload", "state": "failed", "reason": "ARS is down"}]
    rows = whole(finalised=False, stages=stages)
    assert list(judged(rows, {"g1": WANTED})) == [
        "g1.tif: stopped at upload, and should be finalised"
    ]


def test_a_session_of_ones_own_must_be_finalised_whole() -> None:
    assert list(judged([row(finalised=False, quarantine="truncated")], None)) == [
        "g1.tif: quarantined"
    ]


def test_derivatives_are_shown_with_their_parent() -> None:
    shown = specimens(whole())
    assert [each["guid"] for each in shown] == ["g1"]
    assert shown[0]["derivatives"] == [400, 72]
