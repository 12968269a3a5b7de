"""A session as people read it in Prefect: numbers, what needs a person, and each specimen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from track.records.sessions import SessionName
from track.reports.session_counts import SessionCounts
from track.schema.states import State

ESCAPED = str.maketrans({"|": "\\|", "\r": " ", "\n": " ", "<": "&lt;"})
"""So that a reason, which may be anybody's text, stays within its cell and is shown as it is."""


SPECIMEN = ("specimen", "state", "stage", "reason", "subject", "barcodes")


@dataclass(frozen=True)
class Heading:
    """Which session a page is about, and where the board has more; `board` is empty without one."""

    session_id: UUID
    name: SessionName
    board: str = ""

    def links(self) -> str:
        """The board's pages of it."""
        pages = {"the session": f"sessions/{self.session_id}", "what needs a person": "attention"}
        return " · ".join(f"[{text}]({self.board}/{path})" for text, path in pages.items())

    def specimen(self, guid: str) -> str:
        """A specimen, linked to its page."""
        return f"[{guid}]({self.board}/specimens/{quote(guid, safe='')})" if self.board else guid


def session_page(
    counts: SessionCounts, heading: Heading, specimens: Sequence[Mapping[str, object]] | None = None
) -> str:
    """The page, in Markdown; `specimens` are the lines of a session that is listed whole."""
    parts = [
        _title(heading),
        _totals(counts),
        _by_pipeline(counts),
        _by_stage(counts),
        _with_person(counts, heading),
        _specimens(specimens or (), heading),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(heading: Heading) -> str:
    name = str(heading.name).translate(ESCAPED)
    where = f"`{heading.name.dropped_as}`, session `{heading.session_id}`"
    return "\n\n".join([f"## {name}", where, *([heading.links()] if heading.board else [])])


def _specimens(lines: Sequence[Mapping[str, object]], heading: Heading) -> str:
    if not lines:
        return ""
    rows = [
        [heading.specimen(str(line["specimen"])), *(line[name] for name in SPECIMEN[1:])]
        for line in lines
    ]
    return f"### Specimens\n\n{_table(SPECIMEN, rows)}"


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


def _with_person(counts: SessionCounts, heading: Heading) -> str:
    if not counts.with_person:
        return ""
    rows = [
        (heading.specimen(each.guid), each.file_name, each.state, each.stage, each.reason)
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
