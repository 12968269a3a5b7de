"""Progress is drawn where somebody looks, and written as lines elsewhere."""

import io

import pytest
from rich.console import Console

from workstation.terminal import bars
from workstation.terminal.bars import BarsWatcher, LinesWatcher
from workstation.watching import IngestPhase


def test_bars_show_each_file_under_way_and_all_with_the_time_left() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=150)
    watcher = BarsWatcher(console)
    watcher.begins(IngestPhase.SEND, 2, 3_000_000)
    watcher.moves("Ærø [1].tif", 1_000_000, 2_000_000)
    assert watcher._bars is not None
    descriptions = [task.description for task in watcher._bars.tasks]
    assert descriptions == ["Sending", "  Ærø [1].tif"]
    watcher.moves("Ærø [1].tif", 2_000_000, 2_000_000)
    watcher.ends("Ærø [1].tif")
    (overall,) = watcher._bars.tasks
    assert (overall.completed, overall.total) == (2_000_000, 3_000_000)
    watcher.notes("[red] is no markup")
    watcher.ends("b.json")
    assert overall.completed == 3_000_000
    watcher.rest()
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Ærø [1].tif" in shown and "[red] is no markup" in shown
    watcher.ends("late")


def test_a_phase_of_files_without_bytes_counts_files() -> None:
    watcher = BarsWatcher(Console(file=io.StringIO(), force_terminal=True))
    watcher.begins(IngestPhase.RENAME, 3, 0)
    watcher.ends("a")
    watcher.ends("a")
    assert watcher._bars is not None
    assert [(task.completed, task.total) for task in watcher._bars.tasks] == [(1, 3)]
    watcher.rest()


def test_lines_say_what_begins_goes_on_and_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "LINE_EVERY_S", 0.0)
    lines: list[str] = []
    watcher = LinesWatcher(lines.append)
    watcher.begins(IngestPhase.SEND, 2, 1000)
    watcher.moves("a", 250, 500)
    watcher.ends("a")
    watcher.ends("b")
    watcher.begins(IngestPhase.END, 0, 0)
    assert lines == ["Sending: 2 files", "Sending: 25 %", "Sending: done", "Ending the session"]
