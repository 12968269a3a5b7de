"""A large session as people read it in Prefect: numbers, and what needs a person."""

from collections.abc import Iterable, Sequence

from track.reports.session_counts import SessionCounts
from track.schema.states import State

ESCAPED = str.maketrans({"|": "\\|", "\r": " ", "\n": " ", "<": "&lt;"})
"""So that a reason, which may be anybody's text, stays within its cell and is shown as it is."""


def session_page(counts: SessionCounts) -> str:
    """The page, in Markdown."""
    parts = [_totals(counts), _by_pipeline(counts), _by_stage(counts), _with_person(counts)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _totals(counts: SessionCounts) -> str:
    assets = sum(each.assets for each in counts.pipelines)
    finalised = sum(each.finalised for each in counts.pipelines)
    quarantined = sum(each.quarantined for each in counts.pipelines)
    return (
        f"{assets:,} assets: {finalised:,} finalised, {quarantined:,} quarantined; "
        f"{counts.in_all:,} need a person"
    )


def _by_pipeline(counts: SessionCounts) -> str:
    rows = [
        (each.pipeline, each.assets, each.finalised, each.quarantined) for each in counts.pipelines
    ]
    return _table(("pipeline", "assets", "finalised", "quarantined"), rows)


def _by_stage(counts: SessionCounts) -> str:
    """Jobs by stage, with a column for each state that any is in."""
    states = [state for state in State if any(state in each.states for each in counts.stages)]
    rows = [
        (each.pipeline, each.stage, *(each.states.get(state, "") for state in states))
        for each in counts.stages
    ]
    return _table(("pipeline", "stage", *states), rows)


def _with_person(counts: SessionCounts) -> str:
    if not counts.with_person:
        return ""
    rows = [
        (each.guid, each.file_name, each.state, each.stage, each.reason)
        for each in counts.with_person
    ]
    more = counts.in_all - len(rows)
    rest = f"\n\n… and {more:,} more." if more else ""
    table = _table(("specimen", "file", "state", "stage", "reason"), rows)
    return f"### Needs a person\n\n{table}{rest}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(content: object) -> str:
    if isinstance(content, int):
        return f"{content:,}"
    return str(content).translate(ESCAPED)
