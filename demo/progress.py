"""What a person sees while a session is under way: a row per specimen, a cell per stage.

It draws plain rows and knows no database, so it can be fed from anywhere. On a terminal
the table is redrawn in place; elsewhere one line is printed for each change.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NotRequired, Self, TypedDict

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Sign:
    """`glyph` is one column wide; `letter` stands for it where only ASCII can be shown."""

    glyph: str
    letter: str
    style: str

    def shown(self, *, plain: bool) -> str:
        return self.letter if plain else self.glyph


SIGNS = {
    "absent": Sign(" ", " ", "dim"),
    "waiting": Sign("·", ".", "dim"),
    "ready": Sign("○", "o", "cyan"),
    "claimed": Sign("◔", "c", "blue"),
    "queued": Sign("◑", "q", "yellow"),
    "running": Sign("●", "R", "bold yellow"),
    "returned": Sign("◕", "r", "bold cyan"),
    "done": Sign("✔", "+", "green"),
    "excluded": Sign("–", "-", "dim green"),
    "failed": Sign("✘", "X", "bold red"),
    "cancelled": Sign("⊘", "/", "magenta"),
}


def legend(states: set[str], *, plain: bool = False) -> Text:
    """The signs of `states`, in the order of a job's life."""
    text = Text()
    for state, sign in SIGNS.items():
        if state in states and state != "absent":
            text.append(sign.shown(plain=plain), style=sign.style)
            text.append(f" {state}   ", style="dim")
    return text


MAX_REASONS = 6
UNDER_WAY = "under way"


class StageRow(TypedDict):
    """A stage of a specimen; `state` is one of the job states."""

    key: str
    state: str
    reason: NotRequired[str | None]


class SpecimenRow(TypedDict):
    """A specimen; what only the closing table shows may be missing before."""

    guid: str
    file_name: str
    stages: Sequence[StageRow]
    subject: NotRequired[str | None]
    end: NotRequired[str | None]
    barcodes: NotRequired[Sequence[str]]
    reason: NotRequired[str | None]
    derivatives: NotRequired[Sequence[int | str]]


@dataclass(frozen=True, slots=True)
class StageChange:
    """A stage of a specimen has moved."""

    name: str
    stage: str
    state: str
    reason: str | None

    def __str__(self) -> str:
        because = f" ({self.reason})" if self.reason else ""
        return f"{self.name}  {self.stage}: {self.state}{because}"


class SessionProgress:
    """Shows a session while it runs; use it as a context manager and feed it with `update`."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._rows: Sequence[SpecimenRow] = ()
        # Refreshing by hand: a redraw belongs to an update, and no thread is needed.
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._say(self._title)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, rows: Sequence[SpecimenRow]) -> None:
        """Show `rows`, all of the session as it is now."""
        if self._console.is_terminal:
            plain = self._console.options.ascii_only
            shown = progress_table(rows, self._title, self._console.width, plain=plain)
            self._live.update(shown, refresh=True)
        else:
            for change in changes(self._rows, rows):
                self._say(str(change))
        self._rows = rows

    def close(self, rows: Sequence[SpecimenRow]) -> None:
        """Show the last state and print the closing table below it."""
        self.update(rows)
        self._live.stop()
        plain = self._console.options.ascii_only
        self._console.print(closing_table(rows, self._title, self._console.width, plain=plain))

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def changes(before: Sequence[SpecimenRow], after: Sequence[SpecimenRow]) -> Iterator[StageChange]:
    """What has moved from `before` to `after`, in the order of the rows and their stages."""
    known = {
        (row["guid"], stage["key"]): (stage["state"], stage.get("reason"))
        for row in before
        for stage in row["stages"]
    }
    for row in after:
        for stage in row["stages"]:
            now = (stage["state"], stage.get("reason"))
            was = known.get((row["guid"], stage["key"]))
            is_news = was is not None or stage["state"] not in ("waiting", "absent")
            if now != was and is_news:
                yield StageChange(row["file_name"], stage["key"], *now)


def progress_table(
    rows: Sequence[SpecimenRow], title: str, width: int, *, plain: bool = False
) -> RenderableType:
    """The session as a table that fits `width` columns, with its legend and what went wrong."""
    keys = stage_keys(rows)
    name_width = 13 if width < 110 else 24
    subject_width = 8 if width < 110 else 13
    spare = width - name_width - subject_width - 3
    cell = max(1, min(11, spare // max(1, len(keys)) - 1))
    table = Table(
        box=None, padding=(0, 1, 0, 0), pad_edge=False, title=Text(title), title_justify="left"
    )
    table.add_column("specimen", width=name_width, no_wrap=True)
    table.add_column(
        "subject", width=subject_width, no_wrap=True, overflow="crop" if plain else "ellipsis"
    )
    for key in keys:
        table.add_column(Text(key[:cell]), width=cell, no_wrap=True, overflow="crop")
    for row in rows:
        stages = {stage["key"]: stage["state"] for stage in row["stages"]}
        cells = [_cell(stages.get(key), cell, plain=plain) for key in keys]
        name = Text(short_name(row["file_name"], name_width, plain=plain), no_wrap=True)
        table.add_row(name, Text(row.get("subject") or "", style="dim"), *cells)
    states = {stage["state"] for row in rows for stage in row["stages"]}
    return Group(table, legend(states, plain=plain), *_troubles(rows, plain=plain))


def closing_table(
    rows: Sequence[SpecimenRow], title: str, width: int, *, plain: bool = False
) -> RenderableType:
    """How each specimen ended: its barcodes, its derivatives and, if it failed, the reason.

    A barcode is never cut; below 120 columns the reasons stand under the table instead.
    """
    wide = width >= 120
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.title = Text(f"{title}: how it ended")
    for heading in ("specimen", "subject", "end"):
        table.add_column(heading, no_wrap=True)
    table.add_column("barcodes", overflow="fold", min_width=14)
    table.add_column("derived", no_wrap=True)
    if wide:
        table.add_column("reason", overflow="fold", ratio=1)
    reasons = []
    for row in rows:
        name = short_name(row["file_name"], 24 if wide else 14, plain=plain)
        reason = row.get("reason") or ""
        table.add_row(
            Text(name),
            Text(row.get("subject") or ""),
            _end(row.get("end") or UNDER_WAY, plain=plain),
            Text("\n".join(row.get("barcodes") or ())),
            Text(", ".join(str(d) for d in row.get("derivatives") or ())),
            *([Text(reason)] if wide else []),
        )
        if reason and not wide:
            reasons.append(Text(f"{name}: {reason}"))
    return Group(Text(""), table, *reasons, Text(_tally(rows), style="bold"))


def stage_keys(rows: Sequence[SpecimenRow]) -> list[str]:
    """Every stage of any row once; a row's own order is kept, new ones follow their predecessor."""
    keys: list[str] = []
    for row in sorted(rows, key=lambda row: -len(row["stages"])):
        place = 0
        for stage in row["stages"]:
            if stage["key"] in keys:
                place = keys.index(stage["key"]) + 1
            else:
                keys.insert(place, stage["key"])
                place += 1
    return keys


def short_name(file_name: str, width: int, *, plain: bool = False) -> str:
    """`file_name` cut in the middle to `width` columns: both ends of a guid tell it apart."""
    if len(file_name) <= width:
        return file_name
    stem, dot, suffix = file_name.rpartition(".")
    groups = stem.split("-")
    if dot and len(groups) == 12:
        return f"{groups[10]}.{suffix}"[:width]
    tail = (width - 1) * 2 // 3
    return f"{file_name[: width - 1 - tail]}{'~' if plain else '…'}{file_name[-tail:]}"


def _cell(state: str | None, width: int, *, plain: bool) -> Text:
    if state is None:
        return Text("")
    sign = SIGNS.get(state, Sign("?", "?", "red"))
    glyph = sign.shown(plain=plain)
    text = f"{glyph} {state}" if width >= 2 + len(state) else glyph
    return Text(text, style=sign.style, no_wrap=True)


def _troubles(rows: Sequence[SpecimenRow], *, plain: bool) -> Iterator[Text]:
    """A line for each stage that needs a person; the rest is counted."""
    wrong = [
        StageChange(name, stage["key"], stage["state"], stage.get("reason"))
        for row in rows
        for name in [short_name(row["file_name"], 24, plain=plain)]
        for stage in row["stages"]
        if stage["state"] in ("failed", "cancelled")
    ]
    for change in wrong[:MAX_REASONS]:
        sign = SIGNS[change.state]
        yield Text(f"{sign.shown(plain=plain)} {change}", style=sign.style)
    if len(wrong) > MAX_REASONS:
        yield Text(f"and {len(wrong) - MAX_REASONS} more")


def _end(end: str, *, plain: bool) -> Text:
    sign = SIGNS[{"finalised": "done", UNDER_WAY: "running"}.get(end, "failed")]
    return Text(f"{sign.shown(plain=plain)} {end}", style=sign.style)


def _tally(rows: Sequence[SpecimenRow]) -> str:
    counts = Counter(row.get("end") or UNDER_WAY for row in rows)
    parts = ", ".join(f"{n} {end}" for end, n in sorted(counts.items()))
    return f"{len(rows)} specimens: {parts}" if rows else "no specimens"
