"""What is told of an ingestion while it goes on, and how it is stopped."""

import threading
from enum import StrEnum
from typing import Protocol


class IngestPhase(StrEnum):
    """What is being done with the files of a session."""

    SCAN = "scan"
    RENAME = "rename"
    SEND = "send"
    CONFIRM = "confirm"
    END = "end"
    DELETE = "delete"


class Watcher(Protocol):
    """Is told of progress, from several threads at once."""

    def begins(self, phase: IngestPhase, files: int, size_bytes: int) -> None:
        """A phase begins, with so many files of so many bytes; of what is not known, 0."""

    def moves(self, file: str, done_bytes: int, size_bytes: int) -> None:
        """So much is done of a file."""

    def ends(self, file: str) -> None:
        """A file is done with in this phase."""

    def notes(self, text: str) -> None:
        """Something that a person is to read."""


class IngestStopped(Exception):
    """A person stopped it; everything can be gone on with."""


class StopSign:
    """That an ingestion is to come to rest, for whoever works at it."""

    def __init__(self) -> None:
        self._given = threading.Event()

    def give(self) -> None:
        """Have it come to rest, from any thread."""
        self._given.set()

    def check(self) -> None:
        """Raise IngestStopped if it is to come to rest."""
        if self._given.is_set():
            raise IngestStopped("it was stopped; run the same command again: it goes on")

    def wait(self, seconds: float) -> None:
        """Wait that long. Raises IngestStopped as soon as it is to come to rest."""
        self._given.wait(seconds)
        self.check()
