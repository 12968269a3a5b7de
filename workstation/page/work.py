"""One piece of long work at a time, in a thread that outlives the browser's window."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from workstation.page.progress import ProgressView, ShownProgress
from workstation.watching import StopSign

WorkKind = Literal["look", "plan", "ingest"]


class WorkUnderWay(Exception):
    """Something is being done already, which has to end or be stopped first."""


@dataclass
class PieceOfWork:
    """A piece of work. `is_over` once its thread has ended; then `error` is what it ended with."""

    kind: WorkKind
    progress: ShownProgress
    halt: Callable[[], None] | None = None
    stop_sign: StopSign = field(default_factory=StopSign)
    is_stopping: bool = False
    error: BaseException | None = None
    thread: threading.Thread | None = None
    is_over: bool = False

    def stop(self) -> None:
        """Ask it to come to rest; it does so soon, not at once."""
        self.is_stopping = True
        self.stop_sign.give()
        if self.halt is not None:
            self.halt()


class BackgroundWork:
    """Runs one piece of work at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.current: PieceOfWork | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is being done."""
        return self.current is not None and not self.current.is_over

    def busy_with(self, kind: WorkKind) -> bool:
        """Whether just that is being done."""
        return self.current is not None and not self.current.is_over and self.current.kind == kind

    def view(self) -> ProgressView:
        """How far the last work is, or was."""
        return ProgressView() if self.current is None else self.current.progress.view()

    def last(self, kind: WorkKind) -> PieceOfWork | None:
        """The work of that kind, if it is the last that was begun."""
        return self.current if self.current is not None and self.current.kind == kind else None

    def check_idle(self) -> None:
        """Raises WorkUnderWay while something is being done."""
        if self.is_busy:
            raise WorkUnderWay

    def start(self, work: PieceOfWork, do: Callable[[PieceOfWork], None]) -> PieceOfWork:
        """Begin it in a thread. Raises WorkUnderWay while another is not over."""
        with self._lock:
            self.check_idle()
            self.current = work
            work.thread = threading.Thread(target=_run, args=(work, do), name=work.kind)
            work.thread.start()
        return work

    def stop(self) -> None:
        """Ask what is being done to come to rest."""
        if self.current is not None and not self.current.is_over:
            self.current.stop()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until nothing is being done, at most so many seconds."""
        if self.current is not None and self.current.thread is not None:
            self.current.thread.join(seconds)


def _run(work: PieceOfWork, do: Callable[[PieceOfWork], None]) -> None:
    try:
        do(work)
    except BaseException as error:  # noqa: BLE001 (shown on the page, which names it)
        work.error = error
    finally:
        work.is_over = True
