"""Whether raw files that were not sent may be deleted: agreed to beforehand, or asked for."""

import threading
from typing import Literal

from workstation.ingest.removal import Deletion
from workstation.watching import StopSign

DeletionChoice = Literal["delete", "ask", "keep"]
"""What somebody chose beforehand: delete what was named, ask before raws are, or delete nothing."""


class RawsQuestion:
    """One run's question. `named`: the new names of the files that were shown beforehand."""

    def __init__(self, choice: DeletionChoice, named: frozenset[str]) -> None:
        self._choice, self._named = choice, named
        self._changed, self._stop = threading.Condition(), StopSign()
        self._answer: bool | None = None
        self.asked: Deletion | None = None

    @property
    def is_open(self) -> bool:
        """Whether the run waits for an answer."""
        return self.asked is not None and self._answer is None

    def answer(self, *, agreed: bool) -> None:
        """Somebody said whether they may be deleted; only the first answer counts."""
        with self._changed:
            if self.is_open:
                self._answer = agreed
                self._changed.notify_all()

    def stop(self) -> None:
        """Have whoever waits for an answer wait no longer."""
        with self._changed:
            self._stop.give()
            self._changed.notify_all()

    def agree(self, deletion: Deletion) -> bool:
        """Whether they may be deleted: known, or waited for. Raises IngestStopped."""
        if self._choice == "keep":
            return False
        names = {path.name for path in (*deletion.sent, *deletion.raws)}
        if self._choice == "delete" and names <= self._named:
            return True
        with self._changed:
            self.asked = deletion
            while self._answer is None:
                self._stop.check()
                self._changed.wait()
            return self._answer
