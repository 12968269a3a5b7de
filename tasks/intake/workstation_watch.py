"""Watching one workstation's folder: what settles in it is taken, what is odd is said once."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from tasks.errors import FileError, SourceVanished, named
from tasks.files.mounts import MOUNTS, NotAnswering, Pulse
from tasks.files.named_formats import NamedFormats
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
from tasks.intake.complaints import Complaints
from tasks.intake.contents import Contents
from tasks.intake.opening import NothingToTake, is_known, register_folder
from tasks.intake.settling import Settling

MOST_NAMES = 5
"""Names that one complaint lists."""

log = logging.getLogger(__name__)


class WorkstationWatch:
    """The memory of one workstation's folder: what is settling, what was taken, what was said.

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
        self._settling = Settling(drive.settle_seconds)
        self._formats = NamedFormats()
        self._contents = Contents(drive.settle_seconds)
        self._taken: dict[Path, str] = {}
        self._unknown: dict[Path, str] = {}
        self._complaints = Complaints()

    async def look(self) -> None:
        """Look at every folder of it once. Raises what the database raises."""
        self._complaints.begin()
        try:
            for folder in await self._folders():
                await self._consider(folder)
        except NotAnswering as error:
            self._complaints.say(str(self._place), str(error))
        finally:
            self._complaints.end()

    def forget(self) -> None:
        """The drive was away: whatever comes back has to settle anew."""
        self._keep([])

    @property
    def _place(self) -> Path:
        return self._drive.root / self._name

    async def _folders(self) -> list[Path]:
        """Every folder that may be a session, oldest name first; what cannot be read is said."""
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
            self._complaints.say(str(each.file), str(each))
        self._keep(folders)
        return folders

    def _keep(self, folders: list[Path]) -> None:
        self._settling.keep(folders)
        self._formats.keep(folders)
        self._contents.keep(folders)
        there = set(folders)
        self._taken = {path: seen for path, seen in self._taken.items() if path in there}
        self._unknown = {path: seen for path, seen in self._unknown.items() if path in there}

    async def _consider(self, folder: Path) -> None:
        try:
            listing = await look_into(folder, self._drive.root)
            self._remark(listing)
            still = self._settling.is_complete(listing, self._clock())
            content = listing_hash(listing)
            if self._taken.get(folder) == content:
                return
            if not (listing.marked or await self._is_whole(listing, content, still)) or not still:
                return
            listing = await self._formats.complete(listing)
            lacking = bool(self._contents.lacking(listing)) and not listing.marked
            if self._settling.is_complete(listing, self._clock(), lacking=lacking):
                await self._take(listing)
                self._taken[folder] = content
        except NotAnswering:
            raise
        except SourceVanished:
            log.debug("%s went away between two looks", folder)
        except FileError as error:
            self._complaints.say(str(folder), str(error))

    async def _is_whole(self, listing: Listing, content: str, still: bool) -> bool:
        """Whether its files read the same as long ago; reads what is due, if it is unknown yet."""
        if not listing.items:
            return False
        self._contents.see(listing)
        if self._contents.is_due(listing, self._clock(), still=still):
            if await self._is_known(listing.folder, content):
                self._taken[listing.folder] = content
                return False
            await self._contents.read(listing, self._clock, still=still)
            if await look_into(listing.folder, self._drive.root) != listing:
                return False
        self._remark_contents(listing)
        return self._contents.are_proven(listing)

    async def _is_known(self, folder: Path, content: str) -> bool:
        """Whether it was taken before; where the database does not answer it is read meanwhile."""
        if self._unknown.get(folder) == content:
            return False
        try:
            known = await is_known(self._engine(), self._drive, folder, content)
        except SQLAlchemyError as error:
            log.debug("whether %s is known was not answered: %s", folder, error)
            return False
        if known:
            log.info("%s is known already, exactly as it lies there", folder)
        else:
            self._unknown[folder] = content
        return known

    async def _take(self, listing: Listing) -> None:
        if listing.unpaired and not listing.marked:
            names = ", ".join(_missing(listing, base) for base in listing.unpaired)
            log.warning("%s is taken without a partner for %s", listing.folder, names)
        if listing.unfinished and not listing.marked:
            names = _some([entry.name for entry in listing.unfinished])
            log.warning("%s is taken without %s, a copy that stands still", listing.folder, names)
        if not listing.marked:
            for name, said_by in self._contents.lacking(listing).items():
                log.warning("%s is taken without %s, which %s names", listing.folder, name, said_by)
            for name, said in self._contents.differing(listing).items():
                log.warning("%s is taken with %s as it is: %s", listing.folder, name, said)
        await register_folder(
            self._engine(), self._drive, listing.folder, actor="watch", listing=listing
        )

    def _remark(self, listing: Listing) -> None:
        folder = listing.folder
        for name in listing.nested:
            path = folder / name
            self._complaints.say(str(path), f"{path} is a folder inside a session, left alone")
        for name, reason in listing.refused.items():
            path = folder / name
            self._complaints.say(repr(str(path)), f"{str(path)!r} is left alone: {reason}")
        read = lists_in(listing)
        if unread := [entry.name for entry in listing.others if entry not in read]:
            names = _some(unread)
            said = f"{folder}: {names}: neither metadata nor an image, left alone"
            self._complaints.say(f"{folder}: others", said)
        if odd := [base for base, pair in listing.items.items() if pair.differs_in_case]:
            said = (
                f"{folder}: metadata and image of {_some(odd)} differ in case and are taken as one"
            )
            self._complaints.say(f"{folder}: case", said)

    def _remark_contents(self, listing: Listing) -> None:
        """What keeps the folder waiting though names, sizes and times stand still."""
        folder = listing.folder
        for name in self._contents.still_written(listing):
            said = "is still being written: its content changed while size and time stood still"
            self._complaints.say(f"{folder / name}: content", f"{folder / name} {said}")
        for name, said in self._contents.differing(listing).items():
            self._complaints.say(f"{folder / name}: sum", f"{folder / name}: {said}")
        for name, said_by in self._contents.lacking(listing).items():
            said = f"{folder}: {said_by} names {name}, which is not there yet"
            self._complaints.say(f"{folder / name}: lacking", said)


def _missing(listing: Listing, base: str) -> str:
    named = listing.items[base].named
    return f"{base} (its metadata names {named})" if named else base


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


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
