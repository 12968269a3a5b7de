"""Watching one workstation's folder: what is complete is taken, what is odd is logged once."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from tasks.errors import FileError, SourceVanished, named
from tasks.files.mounts import MOUNTS, NotAnswering, Pulse
from tasks.files.names import is_readable_name
from tasks.files.ndrive import (
    Listing,
    OutsideDrive,
    inside,
    is_session_name,
    listing_hash,
    look_into,
)
from tasks.files.sidecars import lists_in
from tasks.intake.contents import Contents
from tasks.intake.opening import NothingToTake, is_known, register_folder
from tasks.intake.watched_folder import WatchedFolder

MAX_NAMES = 5
"""Names that one line of the log lists."""

log = logging.getLogger(__name__)


class Problems:
    """What is wrong with each subject: logged when it begins, and when it is over.

    A problem lasts for as long as it is reported between every `begin` and `end`.
    """

    def __init__(self) -> None:
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}

    def begin(self) -> None:
        """A look begins."""
        self._now = {}

    def report(self, subject: str, message: str) -> None:
        """Log it, unless it was reported at the look before."""
        if self._before.get(subject) != message and subject not in self._now:
            log.warning("%s", message)
        self._now[subject] = message

    def end(self) -> None:
        """The look is over: what was not reported this time has ended."""
        for subject in self._before.keys() - self._now.keys():
            log.info("%s: no longer a problem", subject)
        self._before = self._now


class WorkstationWatch:
    """What is known of the folders of one workstation.

    `given`: its name stands in the block, so that it is missed when it is not there.
    """

    def __init__(
        self,
        drive: NDrive,
        name: str,
        engine: Callable[[], AsyncEngine],
        clock: Callable[[], float],
        *,
        given: bool,
    ) -> None:
        self._drive, self._name, self._given = drive, name, given
        self._engine, self._clock = engine, clock
        self._known: dict[Path, WatchedFolder] = {}
        self._problems = Problems()

    async def look(self) -> None:
        """Look at every folder of it once. Raises what the database raises."""
        self._problems.begin()
        try:
            for folder in await self._folders():
                await self._consider(folder)
        except NotAnswering as error:
            self._problems.report(str(self._place), str(error))
        finally:
            self._problems.end()

    def forget(self) -> None:
        """The drive was away: whatever comes back has to lie unchanged as long as a new one."""
        self._known = {}

    @property
    def _place(self) -> Path:
        return self._drive.root / self._name

    async def _folders(self) -> list[Path]:
        """Every folder that may be a session, by name; what cannot be read is reported."""
        problems: list[FileError] = []
        folders: list[Path] = []
        try:
            folders = await MOUNTS.run(
                self._place, _sessions_of, self._drive.root, self._name, self._given, problems
            )
        except NotAnswering:
            self.forget()
            raise
        except FileError as error:
            problems.append(error)
        for each in problems:
            self._problems.report(str(each.file), str(each))
        self._known = {path: known for path, known in self._known.items() if path in set(folders)}
        return folders

    async def _consider(self, folder: Path) -> None:
        # Not before: all may be forgotten while an earlier folder is looked at.
        known = self._known.setdefault(folder, WatchedFolder(self._drive.settle_seconds))
        try:
            listing = await look_into(folder, self._drive.root)
            self._remark(listing)
            still = known.is_complete(listing, self._clock())
            content = listing_hash(listing)
            if known.taken == content:
                return
            proven = listing.marked or await self._is_proven(known, listing, content, still)
            if not (proven and still):
                return
            listing = await known.with_formats(listing)
            lacking = bool(known.contents.lacking(listing)) and not listing.marked
            if known.is_complete(listing, self._clock(), lacking=lacking):
                await self._take(known.contents, listing)
                known.taken = content
        except NotAnswering:
            raise
        except SourceVanished:
            log.debug("%s went away between two looks", folder)
        except FileError as error:
            self._problems.report(str(folder), str(error))

    async def _is_proven(
        self, known: WatchedFolder, listing: Listing, content: str, still: bool
    ) -> bool:
        """Whether its files read the same as long ago; reads what is due, if it is unknown yet."""
        contents = known.contents
        if not listing.items:
            return False
        contents.see(listing)
        if contents.is_due(listing, self._clock(), still=still):
            if await self._was_taken(known, listing.folder, content):
                known.taken = content
                return False
            await contents.read(listing, self._clock, still=still)
            if await look_into(listing.folder, self._drive.root) != listing:
                return False
        self._remark_contents(contents, listing)
        return contents.are_proven(listing)

    async def _was_taken(self, known: WatchedFolder, folder: Path, content: str) -> bool:
        """Whether it was taken before; where the database does not answer it is read meanwhile."""
        if known.unknown == content:
            return False
        try:
            taken = await is_known(self._engine(), self._drive, folder, content)
        except SQLAlchemyError as error:
            log.debug("whether %s is known was not answered: %s", folder, error)
            return False
        if taken:
            log.info("%s is known already, exactly as it lies there", folder)
        else:
            known.unknown = content
        return taken

    async def _take(self, contents: Contents, listing: Listing) -> None:
        if not listing.marked:
            self._warn_of_what_is_missing(contents, listing)
        await register_folder(
            self._engine(), self._drive, listing.folder, actor="watch", listing=listing
        )

    def _warn_of_what_is_missing(self, contents: Contents, listing: Listing) -> None:
        folder = listing.folder
        if listing.unpaired:
            names = ", ".join(_missing(listing, base) for base in listing.unpaired)
            log.warning("%s is taken without a partner for %s", folder, names)
        if listing.unfinished:
            names = _some([entry.name for entry in listing.unfinished])
            log.warning("%s is taken without %s, a copy that stands still", folder, names)
        for name, named_by in contents.lacking(listing).items():
            log.warning("%s is taken without %s, which %s names", folder, name, named_by)
        for name, why in contents.differing().items():
            log.warning("%s is taken with %s as it is: %s", folder, name, why)

    def _remark(self, listing: Listing) -> None:
        folder = listing.folder
        for name in listing.nested:
            path = folder / name
            self._problems.report(str(path), f"{path} is a folder inside a session, left alone")
        for name, reason in listing.refused.items():
            path = folder / name
            self._problems.report(repr(str(path)), f"{str(path)!r} is left alone: {reason}")
        read = lists_in(listing)
        if unread := [entry.name for entry in listing.others if entry not in read]:
            names = _some(unread)
            why = f"{folder}: {names}: neither metadata nor an image, left alone"
            self._problems.report(f"{folder}: others", why)
        if odd := [base for base, pair in listing.items.items() if pair.differs_in_case]:
            why = (
                f"{folder}: metadata and image of {_some(odd)} differ in case and are taken as one"
            )
            self._problems.report(f"{folder}: case", why)

    def _remark_contents(self, contents: Contents, listing: Listing) -> None:
        """What keeps the folder waiting though names, sizes and times stand still."""
        folder = listing.folder
        for name in contents.still_written():
            why = "is still being written: its content changed while size and time stood still"
            self._problems.report(f"{folder / name}: content", f"{folder / name} {why}")
        for name, why in contents.differing().items():
            self._problems.report(f"{folder / name}: sum", f"{folder / name}: {why}")
        for name, named_by in contents.lacking(listing).items():
            why = f"{folder}: {named_by} names {name}, which is not there yet"
            self._problems.report(f"{folder / name}: lacking", why)


def _missing(listing: Listing, base: str) -> str:
    named = listing.items[base].named
    return f"{base} (its metadata names {named})" if named else base


def _some(names: list[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _sessions_of(
    pulse: Pulse, root: Path, name: str, given: bool, problems: list[FileError]
) -> list[Path]:
    """The folders of one workstation that may be sessions, by name."""
    workstation = root / name
    if not given and workstation.is_symlink() and not workstation.is_dir():
        return []
    inside(root, Path(name))
    try:
        with os.scandir(workstation) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        return [Path(entry.path) for entry in entries if _is_session(pulse, entry, problems)]
    except OSError as error:
        raise named(error, workstation, reading=True) from error


def _is_session(pulse: Pulse, entry: os.DirEntry[str], problems: list[FileError]) -> bool:
    pulse.beat()
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
