import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from demo.progress import (
    SIGNS,
    SessionProgress,
    SpecimenRow,
    StageRow,
    changes,
    closing_table,
    progress_table,
    short_name,
    stage_keys,
)
from track.schema.states import State

KEYS = (
    *("ingest", "create", "upload", "synchronise", "open_share", "assetLoader"),
    *("barcode", "ocr", "cropping", "derivative", "clean_up", "finalise"),
)
GUID = "7ea-b-15-0a-0f-00-0-001-00-000-0be189-00000"
WIDTHS = (80, 100, 120, 160)


def specimen(
    name: str, done: int, state: str = "running", reason: str | None = None
) -> SpecimenRow:
    stages: list[StageRow] = []
    for n, key in enumerate(KEYS):
        now = "done" if n < done else state if n == done else "waiting"
        stages.append({"key": key, "state": now, "reason": reason if n == done else None})
    return {"guid": name, "file_name": name, "subject": "specimen", "stages": stages}


def ended() -> list[SpecimenRow]:
    good = specimen(f"{GUID}.tif", 12)
    good.update(end="finalised", barcodes=["NHMD-00317042", "NHMD-00317043"], derivatives=[400, 72])
    bad = specimen("Bøgeblad fra Ærø, nr. 12 (kopi).JPG", 0, "failed", "the image is truncated")
    bad.update(subject=None, end="quarantined", reason="the image is truncated")
    return [good, bad]


def shown(renderable: object, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(renderable)
    return console.export_text()


def test_every_state_of_a_job_has_its_own_sign_one_column_wide() -> None:
    assert set(SIGNS) == {str(state) for state in State}
    assert len({sign.glyph for sign in SIGNS.values()}) == len(SIGNS)
    assert len({sign.letter for sign in SIGNS.values()}) == len(SIGNS)
    assert all(cell_len(sign.glyph) == 1 and sign.letter.isascii() for sign in SIGNS.values())


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_has_a_line_per_specimen_and_fits(width: int) -> None:
    text = shown(progress_table([*ended(), specimen("three.tif", 6)], "Session 12", width), width)
    lines = text.splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert sum("✔" in line for line in lines[2:4]) == 1
    assert sum("0be189.tif" in line for line in lines) == 1
    row = next(line for line in lines if line.startswith("three.tif"))
    assert row.count("✔") == 6 and row.count("●") == 1 and row.count("·") == 5


@pytest.mark.parametrize("width", WIDTHS)
def test_stages_can_be_told_apart_by_their_headings(width: int) -> None:
    heading = shown(progress_table(ended(), "Session 12", width), width).splitlines()[1].split()
    assert len(set(heading[2:])) == len(KEYS)


def test_a_wide_table_names_the_states_and_a_failure_gives_its_reason() -> None:
    text = shown(progress_table(ended(), "Session 12", 160), 160)
    assert "✔ done" in text and "✘ failed" in text
    assert "ingest: failed (the image is truncated)" in text


def test_where_only_ascii_can_be_shown_letters_stand_for_glyphs() -> None:
    rows = [specimen("a.tif", 3)]
    assert shown(progress_table(rows, "Session 12", 80, plain=True), 80).isascii()
    assert shown(closing_table(rows, "Session 12", 80, plain=True), 80).isascii()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_closing_table_never_cuts_a_barcode_or_a_reason(width: int) -> None:
    text = shown(closing_table(ended(), "Session 12", width), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    for whole in ("NHMD-00317042", "NHMD-00317043", "400, 72", "the image is truncated"):
        assert whole in text
    assert "2 specimens: 1 finalised, 1 quarantined" in text


def test_brackets_in_a_name_are_shown_not_obeyed() -> None:
    row = specimen("[red]x[/].tif", 0, "failed", "[bold]odd[/bold]")
    row["end"], row["reason"] = "quarantined", "[/nothing]"
    assert "[red]x[/].tif" in shown(progress_table([row], "[link]", 160), 160)
    assert "[/nothing]" in shown(closing_table([row], "[link]", 160), 160)


def test_only_what_moved_is_a_change() -> None:
    before, after = [specimen("a.tif", 3)], [specimen("a.tif", 4)]
    assert [str(change) for change in changes(before, after)] == [
        "a.tif  synchronise: done",
        "a.tif  open_share: running",
    ]
    assert list(changes(after, after)) == []
    assert [change.stage for change in changes([], [specimen("b.tif", 0)])] == ["ingest"]


def test_without_a_terminal_one_line_is_printed_per_change() -> None:
    console = Console(file=io.StringIO(), width=40, record=True, force_terminal=False)
    with SessionProgress(console, "Session 12") as progress:
        progress.update([specimen("a.tif", 0)])
        progress.update([specimen("a.tif", 0)])
        progress.update([specimen("a.tif", 1, "failed", "the archive says no " * 4)])
    lines = console.export_text().splitlines()
    assert lines[:3] == ["Session 12", "a.tif  ingest: running", "a.tif  ingest: done"]
    assert len(lines) == 4 and lines[3].startswith("a.tif  create: failed (the archive says no")


def test_on_a_terminal_the_table_is_redrawn_and_closed() -> None:
    console = Console(file=io.StringIO(), width=100, record=True, force_terminal=True)
    with SessionProgress(console, "Session 12") as progress:
        progress.update([specimen("a.tif", 2)])
        progress.close(ended())
    text = console.export_text()
    assert "how it ended" in text and "1 quarantined" in text


def test_stages_of_different_pipelines_keep_their_order() -> None:
    child: SpecimenRow = {
        "guid": "c",
        "file_name": "c",
        "stages": [{"key": key, "state": "done"} for key in ("create", "uploader", "finalise")],
    }
    keys = stage_keys([child, specimen("a.tif", 1)])
    assert [key for key in keys if key != "uploader"] == list(KEYS)
    assert keys.index("create") < keys.index("uploader") < keys.index("finalise")


def test_a_short_name_keeps_what_tells_specimens_apart() -> None:
    assert short_name(f"{GUID}.tif", 13) == "0be189.tif"
    assert short_name("short.tif", 13) == "short.tif"
    cut = short_name("Bøgeblad fra Ærø, nr. 12 (kopi).JPG", 13)
    assert len(cut) == 13 and cut.endswith(").JPG")


def test_a_session_without_specimens_can_be_shown() -> None:
    assert "specimen" in shown(progress_table([], "Session 12", 80), 80)
    assert "no specimens" in shown(closing_table([], "Session 12", 80), 80)
