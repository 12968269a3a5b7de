"""Problems that wait on the workstation's disk until the server has them.

A file each, written whole or not at all. The server counts a problem once however often it is
sent, so that one whose answer was lost is sent again. Two processes may use one folder.
"""

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from schemas.problems import MAX_TIMES, WorkstationProblem

log = logging.getLogger(__name__)

MAX_FILES = 200
"""Problems that wait at most, and those refused that are kept."""

FOLDED = timedelta(hours=1)
"""The same problem within this time is one file that counts."""

LEFTOVER_S = 600.0
"""A partial file untouched for so long was left by a process that died at it."""

REJECTED = "rejected"
_PART = re.compile(r"(.+\.json)\.\d+-\d+\.part")
_parts = count()


class CannotSendNow(Exception):
    """The server cannot be told now: it is away or busy, or the login has expired."""


class ProblemRejected(Exception):
    """The server refuses this problem, and will refuse it again; or a file holds none."""


@dataclass(frozen=True)
class OutboxResult:
    """What came of sending: how many were sent, how many refused for good, and how many wait.

    `why_waiting`: what kept the first of those from being sent; empty when nothing did.
    """

    sent: int
    rejected: int
    waiting: int
    why_waiting: str = ""


class Outbox:
    """The problems in a folder, which is made when the first is put there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._changing = threading.Lock()
        self._sending = threading.Lock()

    def put(self, problem: WorkstationProblem) -> Path:
        """Keep a problem; its file, when the disk has it. Raises OSError.

        One that waits already, from within an hour, counts up. Of more than `MAX_FILES` the
        oldest is dropped.
        """
        with self._changing:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._adopt_leftovers()
            path, waiting = self._alike(problem)
            if waiting is not None:
                times = min(waiting.times + problem.times, MAX_TIMES)
                problem = waiting.model_copy(update={"times": times})
            _write(path, problem)
            self._drop_oldest()
        return path

    def send(self, post: Callable[[WorkstationProblem], None]) -> OutboxResult:
        """Send what waits, the oldest first, up to the first that cannot be sent now.

        `post` returns when the server has the problem, and raises CannotSendNow or
        ProblemRejected; what else it raises comes out of here, and the problem waits.
        """
        sent = rejected = 0
        why_waiting = ""
        with self._sending:
            with self._changing:
                self._adopt_leftovers()
            for path in self.waiting():
                try:
                    problem = _read(path)
                    if problem is None:
                        continue
                    post(problem)
                except CannotSendNow as error:
                    why_waiting = str(error) or type(error).__name__
                    break
                except ProblemRejected as error:
                    self._reject(path, str(error))
                    rejected += 1
                else:
                    self._remove(path, problem)
                    sent += 1
        return OutboxResult(sent, rejected, len(self.waiting()), why_waiting)

    def waiting(self) -> list[Path]:
        """The files that wait, the oldest first."""
        return _json_files(self.folder)

    def _alike(self, problem: WorkstationProblem) -> tuple[Path, WorkstationProblem | None]:
        """The file for a problem, and what waits in it already."""
        for path in reversed(self.waiting()):
            if f"-{problem.fingerprint[:12]}." not in path.name:
                continue
            found = _read_if_whole(path)
            if (
                found is not None
                and (found.fingerprint, found.workstation)
                == (problem.fingerprint, problem.workstation)
                and abs(found.occurred_at - problem.occurred_at) < FOLDED
            ):
                return path, found
        return self._new_path(problem), None

    def _new_path(self, problem: WorkstationProblem) -> Path:
        """A name that no file has; of two of one instant the second is a microsecond later."""
        at = problem.occurred_at.astimezone(UTC)
        while True:
            name = f"{at.strftime('%Y%m%dT%H%M%S.%fZ')}-{problem.fingerprint[:12]}.json"
            if not (path := self.folder / name).exists():
                return path
            at += timedelta(microseconds=1)

    def _remove(self, path: Path, sent: WorkstationProblem) -> None:
        """Remove what was sent, unless it has come again meanwhile: that is sent, too."""
        with self._changing:
            now = _read_if_whole(path)
            if now is not None and now.times <= sent.times:
                path.unlink(missing_ok=True)

    def _reject(self, path: Path, why: str) -> None:
        """Put a file aside for a person to read."""
        log.warning("%s is put into %s: %s", path.name, self.folder / REJECTED, why)
        folder = self.folder / REJECTED
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, folder / path.name)
        for old in _json_files(folder)[:-MAX_FILES]:
            old.unlink(missing_ok=True)

    def _drop_oldest(self) -> None:
        for old in self.waiting()[:-MAX_FILES]:
            log.warning("%s is dropped: more than %d problems wait", old.name, MAX_FILES)
            old.unlink(missing_ok=True)

    def _adopt_leftovers(self) -> None:
        """Take what a process that died had written and not named; remove what is incomplete."""
        for part in self.folder.glob("*.part"):
            named = _PART.fullmatch(part.name)
            with contextlib.suppress(FileNotFoundError):
                if named is None or time.time() - part.stat().st_mtime < LEFTOVER_S:
                    continue
                path = self.folder / named[1]
                if _read_if_whole(part) is not None and not path.exists():
                    os.replace(part, path)
                else:
                    part.unlink()


def _json_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _read(path: Path) -> WorkstationProblem | None:
    """The problem in a file, None when it is gone. Raises ProblemRejected when it is none."""
    try:
        return WorkstationProblem.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ProblemRejected(f"it holds no problem: {error.errors()[0]['msg']}") from error


def _read_if_whole(path: Path) -> WorkstationProblem | None:
    try:
        return _read(path)
    except ProblemRejected:
        return None


def _write(path: Path, problem: WorkstationProblem) -> None:
    """Have the disk hold the problem under this name, or what was there before."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{next(_parts)}.part")
    try:
        with part.open("xb") as out:
            out.write(problem.model_dump_json(indent=1).encode())
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder; Windows does so by itself, and opens none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some network disks refuse it for folders
        pass
    finally:
        os.close(handle)
