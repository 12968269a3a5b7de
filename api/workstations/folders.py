"""Where on the N-Drive the files of a session lie, while they come and once it is complete.

A session that is being sent is the folder `new_<session>`, which the watch leaves alone; complete
it gets a `.complete` file and its own name, in one rename. What has not arrived wholly is a hidden
file in it.
"""

import asyncio
import errno
import itertools
import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import UUID

from api.free_space import FreeSpace
from api.workstations.refusals import UploadRefused
from schemas.digitisation import may_upload_to
from schemas.guid import GuidError, check_file_name
from schemas.image_formats import format_of_name
from schemas.uploads import RefusalCode

MAKING = "new_"
CLOSED = ("imported_", "error_")
COMPLETE_MARKER = ".complete"

MIN_FREE = 1_000_000_000
"""Bytes that are left free on the drive, for those who work on it."""

THREADS = 32
ANSWER_S = 60.0
"""Seconds within which the drive answers; a mount whose server is gone never does."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

Beat = Callable[[], object]
"""Called by what takes long on the drive, to say that the drive answers."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class SessionFolder:
    """A session's folder: `making` while it comes, `made` once it is complete."""

    making: Path
    made: Path

    def part(self, upload_id: UUID) -> Path:
        """Where a file lies that has not arrived wholly."""
        return self.making / f".{upload_id}.part"

    def place(self, name: str) -> Path:
        """Where a file lies that has."""
        return self.making / name

    def places(self, name: str) -> list[Path]:
        """Everywhere a file of the session may lie, complete or closed by the refinery."""
        closed = [self.made.with_name(f"{prefix}{self.made.name}") for prefix in CLOSED]
        return [folder / name for folder in (self.making, self.made, *closed)]

    def is_made(self) -> bool:
        """Whether it has been completed, and perhaps closed since."""
        closed = (self.made.with_name(f"{prefix}{self.made.name}") for prefix in CLOSED)
        return any(folder.exists() for folder in (self.made, *closed))


class Drive:
    """The N-Drive as the application uses it; what hangs there holds up no other request.

    `approved`: the workstations whose folders are watched; `*`: all that have one.
    """

    def __init__(self, root: Path, approved: tuple[str, ...]) -> None:
        self.root, self._approved = root, approved
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="drive")
        self._space = FreeSpace({"drive": root})

    def close(self) -> None:
        """End its threads; one that hangs is left to itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def is_there(self) -> bool:
        """Whether it answers, within a second; however often one asks, one thread waits for it."""
        return (await self._space.read())["drive"] is not None

    def approves(self, workstation: str) -> bool:
        """Whether this workstation's folder is watched."""
        return may_upload_to(self._approved, workstation)

    def session(self, workstation: str, session: str) -> SessionFolder:
        """The folder of a session, whose names were checked."""
        parent = self.root / workstation
        return SessionFolder(parent / f"{MAKING}{session}", parent / session)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something on the drive in a thread. Raises UploadRefused for what goes wrong there."""
        return await self._answer(lambda _: work(*args, **kwargs))

    async def run_long(self, work: Callable[[Beat], T]) -> T:
        """The same of what takes long: it calls its argument again and again meanwhile."""
        return await self._answer(work)

    async def _answer(self, work: Callable[[Beat], T]) -> T:
        loop = asyncio.get_running_loop()
        beats = itertools.count(1)
        seen = 0
        doing = loop.run_in_executor(self._threads, work, lambda: next(beats))
        while True:
            done, _ = await asyncio.wait([doing], timeout=ANSWER_S)
            if done:
                break
            if (now := next(beats)) == seen + 1:
                raise refusal_of(TimeoutError())
            seen = now
        try:
            return doing.result()
        except OSError as error:
            raise refusal_of(error) from error

    def prepare(self, folder: SessionFolder, size_bytes: int) -> None:
        """Make a session's folder, for a file that is to come. Raises UploadRefused, OSError."""
        parent = folder.making.parent
        check_mounted(parent)
        if folder.is_made():
            text = f"session {folder.made.name} is complete already; begin a new session"
            raise UploadRefused(RefusalCode.SESSION_ENDED, text)
        if shutil.disk_usage(parent).free < size_bytes + MIN_FREE:
            raise no_room()
        folder.making.mkdir(exist_ok=True)


def check_mounted(parent: Path) -> None:
    """Raises UploadRefused where a workstation's folder is not there: what lay in it may be yet."""
    if not parent.is_dir():
        raise UploadRefused(
            RefusalCode.DRIVE_AWAY,
            f"the folder of workstation {parent.name} is not on the N-Drive; the server's people "
            "check that the drive is mounted, or make the folder",
        )


def complete(folder: SessionFolder, names: list[str], about: dict[str, str]) -> None:
    """Mark a folder as complete and give it its name; done again it changes nothing.

    `names` are all of its files. Raises UploadRefused, OSError.
    """
    check_mounted(folder.making.parent)
    if not folder.making.exists() and folder.is_made():
        return
    if folder.is_made():
        raise UploadRefused(
            RefusalCode.SESSION_ENDED,
            f"a folder {folder.made.name} lies beside the session's own on the N-Drive; move it "
            "elsewhere, then end the session again",
        )
    lacking = [name for name in names if not folder.place(name).is_file()]
    if lacking:
        raise lacks(folder.made.name, lacking)
    for part in folder.making.glob(".*.part"):
        part.unlink(missing_ok=True)
    marker = folder.making / COMPLETE_MARKER
    with marker.open("w", encoding="utf-8") as file:
        json.dump(about, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder.making)
    folder.making.rename(folder.made)
    sync_folder(folder.made.parent)


def put_in_place(part: Path, place: Path) -> None:
    """Give a file that has arrived its name; done again it changes nothing. Raises OSError."""
    if part.exists():
        part.replace(place)
    elif not place.exists():
        raise FileNotFoundError(errno.ENOENT, "what arrived is gone", str(part))
    sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Have a rename survive a power cut, where the file system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # SMB shares may not offer it for a folder
        pass
    finally:
        os.close(handle)


def refusal_of(error: OSError) -> UploadRefused:
    """What went wrong on the drive, for the one who sends."""
    if error.errno in NO_ROOM:
        return no_room()
    if isinstance(error, TimeoutError):
        why = f"it has not answered for {ANSWER_S:.0f} seconds"
    else:
        why = error.strerror or type(error).__name__
    text = f"the N-Drive does not take files just now ({why}); what was sent is kept, try later"
    return UploadRefused(RefusalCode.DRIVE_AWAY, text)


def no_room() -> UploadRefused:
    """The drive is full."""
    text = "the N-Drive is full; keep the files, tell the server's people, and try later"
    return UploadRefused(RefusalCode.NO_ROOM, text, wait_s=60)


def lacks(session: str, names: list[str]) -> UploadRefused:
    """Files of a session are not there."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    text = f"session {session} lacks {shown}: send them, then end the session again"
    return UploadRefused(RefusalCode.SESSION_LACKS_FILES, text, files=names[:1000])


def checked_session(name: str) -> str:
    """A session's name as it may be a folder's. Raises UploadRefused."""
    checked = _checked("session", unicodedata.normalize("NFC", name), 100)
    if checked.lower().startswith((MAKING, *CLOSED)) or "~" in checked or "$" in checked:
        raise UploadRefused(
            RefusalCode.BAD_NAME,
            f"session: {name!r} would be left alone on the N-Drive; take another name, as "
            "2026-11-21T09.30",
        )
    return checked


def checked_file(name: str) -> str:
    """The name of a file that may belong to a specimen. Raises UploadRefused."""
    checked = _checked("filename", unicodedata.normalize("NFC", name), 200)
    if not (format_of_name(checked) or checked.lower().endswith(".json")):
        raise UploadRefused(
            RefusalCode.BAD_NAME,
            f"filename: {name!r} is neither an image, a camera raw nor metadata (.json)",
        )
    return checked


def _checked(field: str, name: str, most: int) -> str:
    try:
        checked = check_file_name(name)
    except GuidError as error:
        raise UploadRefused(RefusalCode.BAD_NAME, f"{field}: {error}") from None
    if len(checked.encode()) > most:
        text = f"{field}: {name!r:.200} is longer than {most} bytes; take a shorter name"
        raise UploadRefused(RefusalCode.BAD_NAME, text)
    return checked
