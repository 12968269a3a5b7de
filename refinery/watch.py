"""Watches the N-Drive and opens a session for every folder that is complete.

Looking again and again is the truth: shares give no file events. The session's row is
committed before anybody is told of it; what was not told is told at the next look.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import ANY_WORKSTATION, NDrive
from refinery.prefect_events import Emit, NotAnnounced
from schemas.events import NAMESPACE, SESSION_READY, session_event
from tasks.file_errors import FileError, SourceVanished, named
from tasks.ndrive import (
    LISTING,
    Listing,
    OutsideDrive,
    inside,
    is_readable_name,
    is_session_name,
    listing_hash,
    look_into,
)
from tasks.threads import Stop
from track import sessions
from track.database import transact

UNPAIRED_FACTOR = 10
"""A folder that lacks a partner for some file is waited for this many times longer."""

log = logging.getLogger(__name__)


class NothingToTake(FileError):
    """The folder holds no file that could become a specimen."""

    remedy = "put metadata and images into it, side by side"


async def watch(
    drive: NDrive,
    engine: AsyncEngine,
    emit: Emit,
    *,
    stop: asyncio.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Look at the drive every `drive.poll_seconds`, until `stop` is set or it is cancelled."""
    lookout = Lookout(drive, engine, emit, clock=clock)
    log.info("watching %s for %s", drive.root, ", ".join(drive.workstations))
    while stop is None or not stop.is_set():
        await lookout.look()
        await _rest(stop, pause, drive.poll_seconds)


async def _rest(
    stop: asyncio.Event | None, pause: Callable[[float], Awaitable[None]], seconds: float
) -> None:
    waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(pause(seconds))]
    if stop is not None:
        waits.append(asyncio.ensure_future(stop.wait()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in waits:
            waiting.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def register_folder(
    engine: AsyncEngine,
    drive: NDrive,
    folder: Path,
    emit: Emit,
    *,
    actor: str,
    listing: Listing | None = None,
) -> UUID | None:
    """Open and announce the session of a folder anywhere on the drive, as it lies there now.

    None when this very listing is known already. Raises OutsideDrive, SourceVanished,
    PermissionDenied, DeviceFault or NothingToTake; an event that Prefect does not take
    is only logged, since the watch sends it again.
    """
    path, workstation = await LISTING.run(_located, drive.root, folder)
    if not is_readable_name(str(path)):
        raise NothingToTake(Path(repr(str(path))), "its name is no valid text", "rename it")
    seen = listing or await look_into(path, drive.root)
    if not seen.items:
        raise NothingToTake(path, "it holds no metadata and no image")
    fields = {
        "path": str(path),
        "workstation": workstation,
        "listing_hash": listing_hash(seen),
        "actor": actor,
    }
    opened = await transact(engine, lambda tx: sessions.open_session(tx, **fields))
    if opened is None:
        log.info("%s is known already, exactly as it lies there", path)
    else:
        log.info("session %s opened: %s, %d specimens", opened, path, len(seen.items))
    try:
        await announce_pending(engine, emit)
    except NotAnnounced as error:
        log.warning("%s; it is owed, and the watch sends it again", error)
    return opened


async def announce_pending(engine: AsyncEngine, emit: Emit) -> int:
    """Emit the ready event of every session nobody was told of; how many that were.

    The event's id is made of the session's, so telling twice is telling once.
    """
    pending = await transact(engine, sessions.unannounced)
    for session, path, workstation in pending:
        payload = {"session": str(session), "path": path, "workstation": workstation}
        event_id = uuid5(NAMESPACE, f"{session}/{SESSION_READY}")
        await emit(session_event(SESSION_READY, session, payload=payload, id=event_id))
        await _mark(engine, session)
        log.info("session %s announced: %s", session, path)
    return len(pending)


async def _mark(engine: AsyncEngine, session: UUID) -> None:
    await transact(engine, lambda tx: sessions.mark_announced(tx, session))


class Settling:
    """How long each folder has lain unchanged. In memory only: a restart waits again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Path, tuple[Listing, float]] = {}

    def is_complete(self, listing: Listing, now: float) -> bool:
        """Whether the folder may be taken; `now` in seconds of any clock that never goes back."""
        known = self._since.get(listing.folder)
        if known is None or known[0] != listing:
            self._since[listing.folder] = known = (listing, now)
        if not listing.items:
            return False
        partial = bool(listing.unpaired or listing.unfinished)
        wanted = self._seconds * (UNPAIRED_FACTOR if partial else 1)
        return listing.marked or now - known[1] >= wanted

    def keep(self, folders: Iterable[Path]) -> None:
        """Forget the folders that are no longer there."""
        there = set(folders)
        self._since = {path: seen for path, seen in self._since.items() if path in there}


class Lookout:
    """One watcher's memory: what is settling, what it took, what it has already complained of."""

    def __init__(
        self,
        drive: NDrive,
        engine: AsyncEngine,
        emit: Emit,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drive, self._engine, self._emit, self._clock = drive, engine, emit, clock
        self._settling = Settling(drive.settle_seconds)
        self._taken: dict[Path, str] = {}
        self._said: dict[str, str] = {}
        self._saying: dict[str, str] = {}

    async def look(self) -> None:
        """Look at the whole drive once; what goes wrong is said once and costs only this look."""
        self._saying = {}
        folders, problems = await LISTING.run(
            _session_folders, self._drive.root, tuple(self._drive.workstations)
        )
        self._settling.keep(folders)
        there = set(folders)
        self._taken = {path: seen for path, seen in self._taken.items() if path in there}
        for error in problems:
            self._say(str(error.file), str(error))
        try:
            for folder in folders:
                await self._consider(folder)
            await announce_pending(self._engine, self._emit)
        except SQLAlchemyError as error:
            reason = str(error).partition("\n")[0]
            self._say("database", f"the database did not answer, it is asked again: {reason}")
        except NotAnnounced as error:
            self._say("prefect", f"{error}; it is sent again at the next look")
        self._breathe_out()

    async def _consider(self, folder: Path) -> None:
        try:
            listing = await look_into(folder, self._drive.root)
            self._remark(listing)
            if not self._settling.is_complete(listing, self._clock()):
                return
            content = listing_hash(listing)
            if self._taken.get(folder) != content:
                await self._take(listing)
                self._taken[folder] = content
        except SourceVanished:
            log.debug("%s went away between two looks", folder)
        except FileError as error:
            self._say(str(folder), str(error))

    async def _take(self, listing: Listing) -> None:
        if listing.unpaired and not listing.marked:
            names = ", ".join(listing.unpaired)
            log.warning("%s is taken without a partner for %s", listing.folder, names)
        await register_folder(
            self._engine, self._drive, listing.folder, self._emit, actor="watch", listing=listing
        )

    def _remark(self, listing: Listing) -> None:
        for name in listing.nested:
            path = listing.folder / name
            self._say(str(path), f"{path} is a folder inside a session and is left alone")
        for name, reason in listing.refused.items():
            path = listing.folder / name
            self._say(repr(str(path)), f"{str(path)!r} is left alone: {reason}")

    def _say(self, subject: str, message: str) -> None:
        if self._said.get(subject) != message and subject not in self._saying:
            log.warning("%s", message)
        self._saying[subject] = message

    def _breathe_out(self) -> None:
        for subject in self._said.keys() - self._saying.keys():
            log.info("%s: no longer a problem", subject)
        self._said = self._saying


def _session_folders(
    _: Stop, root: Path, workstations: tuple[str, ...]
) -> tuple[list[Path], list[FileError]]:
    """Every folder that may be a session, oldest name first, and what could not be read."""
    folders: list[Path] = []
    problems: list[FileError] = []
    try:
        names = _folders_of_workstations(root, workstations)
    except FileError as error:
        return [], [error]
    for name in names:
        try:
            inside(root, Path(name))
            folders += _sessions_of(root / name, problems)
        except FileError as error:
            problems.append(error)
    return folders, problems


def _folders_of_workstations(root: Path, workstations: tuple[str, ...]) -> list[str]:
    """The names as they are given, or with `*` those that are there."""
    try:
        with os.scandir(root) as found:
            there = sorted(entry.name for entry in found if entry.is_dir())
    except OSError as error:
        raise named(error, root, reading=True) from error
    if ANY_WORKSTATION in workstations:
        return [name for name in there if is_session_name(name)]
    return list(workstations)


def _sessions_of(workstation: Path, problems: list[FileError]) -> list[Path]:
    try:
        with os.scandir(workstation) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        return [Path(entry.path) for entry in entries if _is_session(entry, problems)]
    except OSError as error:
        raise named(error, workstation, reading=True) from error


def _is_session(entry: os.DirEntry[str], problems: list[FileError]) -> bool:
    if not is_readable_name(entry.name):
        shown = Path(repr(entry.path))
        problems.append(NothingToTake(shown, "its name is no valid text", "rename it"))
        return False
    if not is_session_name(entry.name):
        return False
    if entry.is_symlink():
        problems.append(OutsideDrive(Path(entry.path), "it is a link, not a folder"))
        return False
    return entry.is_dir()


def _located(_: Stop, root: Path, folder: Path) -> tuple[Path, str]:
    """(where a folder lies, its workstation: the folder right below the root, or `unknown`).

    Links on the way are checked and kept: a workstation is known by the name it has here.
    """
    resolved, base = inside(root, folder), root.resolve()
    relative = resolved.relative_to(base) if folder.is_absolute() else folder
    for top in (root, base):
        if folder.is_relative_to(top):
            relative = folder.relative_to(top)
    parts = relative.parts
    return base / relative, parts[0] if len(parts) > 1 else "unknown"
