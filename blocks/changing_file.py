"""A file that people edit while we run: it is read again whenever it has changed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class ChangingFile(Generic[T]):
    """What a file says, as `understood` reads its bytes."""

    def __init__(self, path: Path, understood: Callable[[bytes], T]) -> None:
        self.path, self._understood = path, understood
        self._kept: tuple[tuple[int, ...], T] | None = None

    def read(self) -> T:
        """What it says now. Raises OSError, and what `understood` raises."""
        if self._kept and self._kept[0] == _identity(os.stat(self.path)):
            return self._kept[1]
        with self.path.open("rb") as file:
            seen, data = _identity(os.fstat(file.fileno())), file.read()
        # Both at once: threads may read while the file changes.
        self._kept = seen, self._understood(data)
        return self._kept[1]


def _identity(of: os.stat_result) -> tuple[int, ...]:
    return (of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns)
