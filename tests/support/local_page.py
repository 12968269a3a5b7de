"""The workstation's local page as `refinery ingest --page` serves it, in a thread of the tests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

from workstation.ingest.ingesting import Ingestion
from workstation.journal.journal import SessionJournal
from workstation.page.serve import serve_page
from workstation.page.state import PageState
from workstation.places import Places


@dataclass
class LocalPage:
    """A page that is served: `first` is the address that its browser is opened at.

    While `gate` is not set, a run waits before it begins; `at_gate`: one has come there.
    """

    state: PageState
    first: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    at_gate: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def base(self) -> str:
        """The address without its secret."""
        return self.first.partition("/open")[0]

    def make_run(self, *given: Any) -> Ingestion:
        """A real run that waits at the gate first."""
        return _GatedRun(self, *given)


class _GatedRun(Ingestion):
    def __init__(self, page: LocalPage, *given: Any) -> None:
        super().__init__(*given)
        self._page = page

    def run(self, *given: Any) -> Any:
        self._page.at_gate.set()
        assert self._page.gate.wait(60), "nobody opened the gate"
        return super().run(*given)

    def stop(self) -> None:
        super().stop()
        self._page.gate.set()


@contextmanager
def served_page(folder: Path, server: str, *, gated: bool = False) -> Iterator[LocalPage]:
    """The page over real HTTP, with its state in `folder`; it has to end when it is told."""
    places = Places(folder / "state")
    with SessionJournal(places.journal) as journal:
        page = LocalPage(PageState(places, journal, server, "1.2.3"))
        page.state.make_run = page.make_run
        if not gated:
            page.gate.set()
        shown: Queue[str] = Queue()
        ends: list[Callable[[], None]] = []
        given = {"show": shown.put, "ends": ends.append}
        page.thread = threading.Thread(target=serve_page, args=(page.state,), kwargs=given)
        page.thread.start()
        try:
            page.first = shown.get(timeout=60)
            yield page
        finally:
            page.gate.set()
            if ends:
                ends[0]()
            page.thread.join(60)
        assert not page.thread.is_alive(), "it did not end"
