"""Progress at a terminal: a bar for each file under way and one for all, with the time left.

Where nobody looks, plain lines.
"""

import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from workstation.watching import IngestPhase

LINE_EVERY_S = 10.0
NAMES = {
    IngestPhase.SCAN: "Looking at the files",
    IngestPhase.RENAME: "Renaming",
    IngestPhase.SEND: "Sending",
    IngestPhase.CONFIRM: "Having the server confirm",
    IngestPhase.END: "Ending the session",
    IngestPhase.DELETE: "Deleting",
}


class PhaseCount:
    """How much of a phase is done: files, and bytes of those that are under way or done."""

    def __init__(self, files: int = 0, size_bytes: int = 0) -> None:
        self.files, self.size_bytes = files, size_bytes
        self.done_files = 0
        self._sizes: dict[str, int] = {}
        self._ended: set[str] = set()

    def moves(self, file: str, done_bytes: int) -> None:
        """So much of a file is done."""
        self._sizes[file] = done_bytes

    def ends(self, file: str) -> None:
        """A file is done with; said again it changes nothing."""
        if file not in self._ended:
            self._ended.add(file)
            self.done_files += 1

    @property
    def done_bytes(self) -> int:
        """Bytes that are done."""
        return sum(self._sizes.values())


class BarsWatcher:
    """Draws bars; `rest` takes them away, so that a question can be asked."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._changing = threading.RLock()
        self._bars: Progress | None = None
        self._count = PhaseCount()
        self._overall: TaskID | None = None
        self._rows: dict[str, TaskID] = {}

    def rest(self) -> None:
        """Take the bars away until the next phase."""
        with self._changing:
            if self._bars is not None:
                self._bars.stop()
            self._bars, self._overall = None, None
            self._rows.clear()

    def begins(self, phase: IngestPhase, files: int, size_bytes: int) -> None:
        """Begin new bars."""
        with self._changing:
            self.rest()
            self._count = PhaseCount(files, size_bytes)
            self._bars = Progress(*_columns(in_bytes=bool(size_bytes)), console=self._console)
            total = (size_bytes or files) or None
            self._overall = self._bars.add_task(NAMES[phase], total=total)
            self._bars.start()

    def moves(self, file: str, done_bytes: int, size_bytes: int) -> None:
        """Move a file's bar, and the one of all."""
        with self._changing:
            if self._bars is None:
                return
            self._count.moves(file, done_bytes)
            if file not in self._rows:
                self._rows[file] = self._bars.add_task(f"  {file}", total=size_bytes)
            self._bars.update(self._rows[file], completed=done_bytes)
            self._draw_overall()

    def ends(self, file: str) -> None:
        """Take a file's bar away."""
        with self._changing:
            self._count.ends(file)
            if self._bars is None:
                return
            if (row := self._rows.pop(file, None)) is not None:
                self._bars.remove_task(row)
            self._draw_overall()

    def notes(self, text: str) -> None:
        """Write above the bars."""
        self._console.print(text, style="yellow", markup=False, highlight=False)

    def _draw_overall(self) -> None:
        if self._bars is None or self._overall is None:
            return
        count = self._count
        done = count.done_bytes if count.size_bytes else count.done_files
        if count.size_bytes and count.done_files == count.files:
            done = count.size_bytes
        self._bars.update(self._overall, completed=done)


class LinesWatcher:
    """Writes a line where a phase begins and ends, and now and then between."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._changing = threading.Lock()
        self._count = PhaseCount()
        self._name = ""
        self._next = 0.0

    def rest(self) -> None:
        """There is nothing to be taken away."""

    def begins(self, phase: IngestPhase, files: int, size_bytes: int) -> None:
        """Say what begins."""
        with self._changing:
            self._count, self._name = PhaseCount(files, size_bytes), NAMES[phase]
            self._next = time.monotonic() + LINE_EVERY_S
        self._say(f"{self._name}: {files} files" if files else self._name)

    def moves(self, file: str, done_bytes: int, size_bytes: int) -> None:
        """Say now and then how much of all is done."""
        with self._changing:
            self._count.moves(file, done_bytes)
            if time.monotonic() < self._next or not self._count.size_bytes:
                return
            self._next = time.monotonic() + LINE_EVERY_S
            percent = 100 * self._count.done_bytes // self._count.size_bytes
        self._say(f"{self._name}: {percent} %")

    def ends(self, file: str) -> None:
        """Say when the last file is done."""
        with self._changing:
            self._count.ends(file)
            is_last = self._count.done_files == self._count.files
        if is_last:
            self._say(f"{self._name}: done")

    def notes(self, text: str) -> None:
        """Say it."""
        self._say(text)


def _columns(*, in_bytes: bool) -> list[ProgressColumn]:
    begin = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=30)]
    if in_bytes:
        return [*begin, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    return [*begin, MofNCompleteColumn(), TimeRemainingColumn()]
