"""How far the work is, kept for the page that shows it: every file, all of them, the time left."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress, TaskID

MAX_NOTES = 200
"""Notes that are kept; the oldest go first."""

STILL_S = 10.0
"""Seconds without any progress after which no time is reckoned."""

PHASES = {
    "scan": "Looking at the images",
    "plan": "Reading the files",
    "rename": "Giving the files their names",
    "send": "Sending",
    "confirm": "Having the server read the files back",
    "end": "Closing the session",
    "delete": "Deleting",
}


@dataclass(frozen=True, slots=True)
class FileBar:
    """A file that is being worked on, with its bytes."""

    name: str
    done_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ProgressView:
    """What the page shows. `left_s`: seconds until the phase is over, None while unknown."""

    phase: str = ""
    title: str = ""
    files: int = 0
    files_done: int = 0
    size_bytes: int = 0
    done_bytes: int = 0
    share: float = 0.0
    left_s: float | None = None
    bars: tuple[FileBar, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Phase:
    name: str
    files: int
    size_bytes: int
    task: TaskID
    bars: "OrderedDict[str, FileBar]" = field(default_factory=OrderedDict)
    done: set[str] = field(default_factory=set)
    bytes_of_done: int = 0
    moved_at: float = 0.0

    @property
    def done_bytes(self) -> int:
        """The bytes that are done, of files that are finished and of those under way."""
        return self.bytes_of_done + sum(bar.done_bytes for bar in self.bars.values())

    @property
    def share(self) -> float:
        """How much is done, 0 to 1: by bytes, or by files where nothing is said of bytes."""
        if self.size_bytes and self.done_bytes:
            return min(1.0, self.done_bytes / self.size_bytes)
        return min(1.0, len(self.done) / self.files) if self.files else 0.0


class ShownProgress:
    """Is told of progress by several threads at once; `view` is what is known now.

    Rich reckons the time that is left; it is given no screen.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock, self._clock = threading.Lock(), clock
        console = Console(quiet=True)
        self._rich = Progress(console=console, auto_refresh=False, get_time=clock)
        self._phase: _Phase | None = None
        self._notes: deque[str] = deque(maxlen=MAX_NOTES)

    def begins(self, phase: str, files: int, size_bytes: int) -> None:
        """A part of the work begins, with so many files and bytes."""
        with self._lock:
            if self._phase is not None:
                self._rich.remove_task(self._phase.task)
            task = self._rich.add_task("", total=1.0)
            self._phase = _Phase(str(phase), files, size_bytes, task)

    def moves(self, file: str, done_bytes: int, size_bytes: int) -> None:
        """So much of a file is done."""
        with self._lock:
            if self._phase is not None and file not in self._phase.done:
                self._phase.bars[file] = FileBar(file, min(done_bytes, size_bytes), size_bytes)
                self._reckon(self._phase)

    def ends(self, file: str) -> None:
        """A file is done."""
        with self._lock:
            if self._phase is not None:
                if (bar := self._phase.bars.pop(file, None)) is not None:
                    self._phase.bytes_of_done += bar.size_bytes
                self._phase.done.add(file)
                self._reckon(self._phase)

    def notes(self, text: str) -> None:
        """Something that is to be read by a person."""
        with self._lock:
            self._notes.append(text)

    def view(self) -> ProgressView:
        """What is known now."""
        with self._lock:
            phase, notes = self._phase, tuple(self._notes)
            if phase is None:
                return ProgressView(notes=notes)
            return ProgressView(
                phase=phase.name,
                title=PHASES.get(phase.name, phase.name),
                files=phase.files,
                files_done=len(phase.done),
                size_bytes=phase.size_bytes,
                done_bytes=min(phase.done_bytes, phase.size_bytes),
                share=phase.share,
                left_s=self._left(phase),
                bars=tuple(phase.bars.values()),
                notes=notes,
            )

    def _left(self, phase: _Phase) -> float | None:
        """Seconds; None while nothing moves, since then nobody knows."""
        if self._clock() - phase.moved_at > STILL_S:
            return None
        return self._rich.tasks[0].time_remaining

    def _reckon(self, phase: _Phase) -> None:
        phase.moved_at = self._clock()
        self._rich.update(phase.task, completed=phase.share)
