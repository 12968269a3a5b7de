"""The room where files lie, asked so that a mount that hangs holds up nobody.

What hangs cannot be ended: each place has one thread at most, and is left out until that answers.
"""

import asyncio
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ANSWER_S = 1.0
LOOK_S = 0.01


@dataclass(frozen=True)
class DiskRoom:
    """The room of a disk in bytes: all of it, and what is left for us."""

    total: int
    free: int


class FreeSpace:
    """Looks at the disks under some folders, by the names of these places."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self._places = dict(places)
        self._threads: dict[str, threading.Thread] = {}
        self._answers: dict[str, DiskRoom] = {}

    async def read(self) -> dict[str, DiskRoom | None]:
        """Each place's disk; None when it is away or has not answered within a second."""
        for name, folder in self._places.items():
            if name not in self._threads or not self._threads[name].is_alive():
                self._answers.pop(name, None)
                thread = threading.Thread(target=self._ask, args=(name, folder), daemon=True)
                self._threads[name] = thread
                thread.start()
        deadline = asyncio.get_running_loop().time() + ANSWER_S
        while self._waits() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(LOOK_S)
        hang = self._waits()
        return {name: None if name in hang else self._answers.get(name) for name in self._places}

    def _waits(self) -> set[str]:
        return {name for name, thread in self._threads.items() if thread.is_alive()}

    def _ask(self, name: str, folder: Path) -> None:
        try:
            found = shutil.disk_usage(folder)
        except OSError:
            return
        self._answers[name] = DiskRoom(found.total, found.free)
