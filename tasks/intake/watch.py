"""Watches the N-Drive and opens a session for every folder that is complete.

Looking again and again is the truth: shares give no file events. The event that tells Prefect of
a session is committed with it, and sent by the announcer of the clusters' service. Each
workstation's folder is looked at by itself, so that one that hangs holds up no other.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from schemas.digitisation import ANY_WORKSTATION
from tasks.errors import FileError, named
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import is_session_name
from tasks.intake.workstation_watch import Problems, WorkstationWatch

OTHERS_WAIT_S = 10.0
"""Seconds for which one workstation's folder that is slow holds up the next look at the others."""

log = logging.getLogger(__name__)


async def watch(
    drive: NDrive,
    engine: AsyncEngine,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Look at the drive every `drive.poll_seconds`, until it is cancelled."""
    drive_watch = DriveWatch(drive, engine, clock=clock)
    log.info("watching %s for %s", drive.root, ", ".join(drive.workstations))
    try:
        while True:
            await drive_watch.look()
            await pause(drive.poll_seconds)
    finally:
        await drive_watch.close()


class DriveWatch:
    """What is known of all workstations' folders on the drive."""

    def __init__(
        self,
        drive: NDrive,
        engine: AsyncEngine,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drive, self._clock = drive, clock
        self.engine = engine
        self._problems = Problems()
        self._watches: dict[str, WorkstationWatch] = {}
        self._looks: dict[str, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Look at all of the drive once; what goes wrong is logged once and ends only this look."""
        self._problems.begin()
        try:
            await self._look_at(await self._workstations())
        except FileError as error:
            self._problems.report(str(error.file), str(error))
            self._forget()
        except SQLAlchemyError as error:
            reason = str(error).partition("\n")[0]
            self._problems.report(
                "database", f"the database did not answer, it is asked again: {reason}"
            )
        self._problems.end()

    async def close(self) -> None:
        """End the looks that are still under way."""
        for look in self._looks.values():
            look.cancel()
        await asyncio.gather(*self._looks.values(), return_exceptions=True)

    async def _workstations(self) -> list[str]:
        """The names as they are given, or with `*` those that are there."""
        given, root = self._drive.workstations, self._drive.root
        if ANY_WORKSTATION in given:
            there = await MOUNTS.run(root, _folders_below, root)
            return [name for name in there if is_session_name(name)]
        await MOUNTS.run(root, _opens, root)
        return list(given)

    async def _look_at(self, names: list[str]) -> None:
        """Look at each workstation's folder, but for one that the last look has not come back from.

        Raises what went wrong with the database.
        """
        for name in names:
            if name not in self._looks:
                self._looks[name] = asyncio.create_task(self._watch_of(name).look())
        if not self._looks:
            return
        await asyncio.wait(self._looks.values(), timeout=OTHERS_WAIT_S)
        over = [name for name, look in self._looks.items() if look.done()]
        errors = [self._looks.pop(name).exception() for name in over]
        for error in errors:
            if error is not None:
                raise error

    def _watch_of(self, name: str) -> WorkstationWatch:
        found = self._watches.get(name)
        if found is None:
            given = ANY_WORKSTATION not in self._drive.workstations
            found = WorkstationWatch(
                self._drive, name, lambda: self.engine, self._clock, given=given
            )
            self._watches[name] = found
        return found

    def _forget(self) -> None:
        for each in self._watches.values():
            each.forget()


def _opens(_: Pulse, root: Path) -> None:
    """Whether the drive is there at all; nothing below it is asked for, since it may hang."""
    try:
        os.scandir(root).close()
    except OSError as error:
        raise named(error, root, reading=True) from error


def _folders_below(pulse: Pulse, root: Path) -> list[str]:
    """Names of what may be a workstation's folder; where a link leads is not looked at here."""
    try:
        with os.scandir(root) as found:
            return sorted(
                each.name
                for each in found
                if each.is_symlink() or each.is_dir(follow_symlinks=False)
            )
    except OSError as error:
        raise named(error, root, reading=True) from error
