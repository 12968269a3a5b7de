"""Holds what became of a session's specimens against what the session was made to contain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from demo.progress import SpecimenRow, StageRow
from demo.specimens.sessions import Expectation, SpecimenEnd
from schemas.quarantine import REPEATED

Row = dict[str, Any]
"""One asset of a session, as `track.reports.progress.session_progress` gives it."""


def specimens(rows: Sequence[Row]) -> list[SpecimenRow]:
    """The rows to show: a line per specimen, its derivatives named by their resolution."""
    return [
        SpecimenRow(
            guid=row["guid"],
            file_name=row["file_name"],
            subject=row["subject"],
            stages=[_stage(stage) for stage in row["stages"]],
            barcodes=row["barcodes"],
            derivatives=derivatives(rows, row),
            reason=row["quarantine"] or row["attention"],
            end=end_of(row),
        )
        for row in rows
        if row["parent_guid"] is None
    ]


def _stage(stage: Row) -> StageRow:
    """A stage, without the reason to wait for an earlier one or in the site's ordinary queue, and
    without one that repeats the quarantine of its specimen."""
    reason: str = stage["reason"] or ""
    is_news = stage["state"] not in ("waiting", "queued") and not reason.startswith(REPEATED)
    return StageRow(key=stage["key"], state=stage["state"], reason=reason if is_news else None)


def end_of(row: Row) -> str | None:
    """How a specimen ended; None while it is under way."""
    if row["finalised"]:
        return str(SpecimenEnd.FINALISED)
    if row["quarantine"]:
        return str(SpecimenEnd.QUARANTINED)
    failed = [stage["key"] for stage in row["stages"] if stage["state"] in ("failed", "cancelled")]
    return f"stopped at {failed[0]}" if failed else None


def derivatives(rows: Sequence[Row], parent: Row) -> list[int]:
    """The resolutions of a specimen's finalised derivatives, the highest first."""
    made = [row["ppi"] for row in rows if row["parent_guid"] == parent["guid"] and row["finalised"]]
    return sorted((ppi for ppi in made if ppi is not None), reverse=True)


def judged(rows: Sequence[Row], wanted: Mapping[str, Expectation] | None) -> Iterator[str]:
    """What is not as it should be, a line each; without expectations all must be finalised."""
    if not rows:
        yield "the session holds no specimen"
    if wanted is None:
        for row in rows:
            if not row["finalised"]:
                yield f"{row['file_name']}: {end_of(row) or 'still under way'}"
        return
    known = {row["guid"]: row for row in rows}
    for guid, expectation in wanted.items():
        if guid not in known:
            yield f"{expectation.file_name}: nobody knows it"
        else:
            yield from differences(known[guid], derivatives(rows, known[guid]), expectation)


def differences(row: Row, derived: Sequence[int], wanted: Expectation) -> Iterator[str]:
    """How one specimen differs from what was expected of it."""
    name = wanted.file_name
    end = end_of(row) or "still under way"
    if end != str(wanted.end):
        yield f"{name}: {end}, and should be {wanted.end}"
        return
    if wanted.end is not SpecimenEnd.FINALISED:
        return
    if row["subject"] != wanted.subject:
        yield f"{name}: taken for a {row['subject']}, and is a {wanted.subject}"
    if sorted(row["barcodes"]) != sorted(wanted.barcodes):
        yield f"{name}: barcodes {row['barcodes']}, and should be {list(wanted.barcodes)}"
    if sorted(derived) != sorted(wanted.derivatives):
        yield f"{name}: derivatives {list(derived)}, and should be {list(wanted.derivatives)}"
