"""The agent's journal: a line of JSON for each thing that happened, on the disk before it counts.

An intent is written before the deed, and what came of it after. What was killed in between is
found as an intent without an end. It holds no secret, and yet only its owner may read it.
"""

import json
import os
from pathlib import Path
from typing import Any, Dict, List

from hpc.agent.files import write_whole
from hpc.agent.held import HeldWork

COMPACT_BYTES = 1 << 20
"""When the journal has grown by so much, it is written anew as what is held."""


class JournalError(Exception):
    """The journal cannot be read or written: without it nothing may be started."""


class Journal:
    """The journal in `path`, and what is `held` by it. Only one process may have it open to write.

    Raises JournalError when it cannot be read.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self.held = HeldWork()
        self._read_only = read_only
        _replay(path, self.held)
        if not read_only:
            self._compact()

    def append(self, what: str, **facts: Any) -> None:
        """Write an entry to the disk, then take it in. Raises JournalError."""
        if self._read_only:
            raise JournalError(f"{self.path} is only looked at")
        entry: Dict[str, Any] = dict(facts, what=what)
        line = json.dumps(entry, sort_keys=True).encode() + b"\n"
        try:
            self._write(line)
        except OSError as trouble:
            raise JournalError(f"{self.path} cannot be written: {trouble}") from trouble
        self.held.apply(entry)
        if self._size > self._compact_at:
            self._compact()

    def _write(self, line: bytes) -> None:
        handle = os.open(str(self.path), os.O_WRONLY | os.O_APPEND)
        try:
            if os.write(handle, line) != len(line):  # the disk is full: no half line may stay
                os.ftruncate(handle, self._size)
                raise OSError("the disk is full")
            os.fsync(handle)
        finally:
            os.close(handle)
        self._size += len(line)

    def _compact(self) -> None:
        lines = [json.dumps(entry, sort_keys=True) + "\n" for entry in self.held.entries()]
        text = "".join(lines)
        try:
            write_whole(self.path, text, 0o600)
        except OSError as trouble:
            raise JournalError(f"{self.path} cannot be written: {trouble}") from trouble
        self._size = len(text.encode())
        self._compact_at = self._size + COMPACT_BYTES


def _replay(path: Path, held: HeldWork) -> None:
    for number, line in enumerate(_lines(path), 1):
        try:
            held.apply(json.loads(line.decode("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(f"{path}, line {number}: {error!r}") from error


def _lines(path: Path) -> List[bytes]:
    """The whole lines; what follows the last line end was torn, and never counted."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as trouble:
        raise JournalError(f"{path} cannot be read: {trouble}") from trouble
