"""What the parts of one running stand-in share, made once per application."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import Depends, Request

from demo.ars.clock import ArchiveClock
from demo.ars.config import LEGACY_STATUS_NAMES, StandInConfig
from demo.ars.faults import FaultRules
from demo.ars.folders import Folders
from demo.ars.store import Store
from demo.ars.tokens import Tokens

LOCK_SECONDS = 300


class GuidLocks:
    """What stops one asset from being created or opened twice at once.

    A lock runs out by itself after `LOCK_SECONDS`. The archive forgets to release it after
    some failures, which a client must live with; a restart drops them all.
    """

    def __init__(self, clock: ArchiveClock) -> None:
        self._clock = clock
        self._until: dict[str, datetime] = {}

    def take(self, guid: str) -> bool:
        """False when somebody holds the guid already."""
        now = self._clock.now()
        if self._until.get(guid, now) > now:
            return False
        self._until[guid] = now + timedelta(seconds=LOCK_SECONDS)
        return True

    def release(self, guid: str) -> None:
        self._until.pop(guid, None)

    def clear(self) -> None:
        self._until.clear()


class World:
    """One stand-in: its settings, its lasting state (store, folders) and what a restart loses."""

    def __init__(self, config: StandInConfig) -> None:
        self.config = config
        self.clock = ArchiveClock()
        self.store = Store(config.database_url)
        self.tokens = Tokens(config, self.clock)
        self.folders = Folders(config.share_dir, config.erda_dir)
        self.faults = FaultRules()
        self.creating = GuidLocks(self.clock)
        self.opening = GuidLocks(self.clock)
        self.disk_mb = config.disk_mb
        self.ticking = asyncio.Lock()

    def called(self, status: str) -> str:
        """The name clients are shown for an internal status."""
        names = LEGACY_STATUS_NAMES if self.config.legacy_status_names else {}
        return names.get(status, status)

    def forget(self) -> None:
        """Lose what a restart loses."""
        self.creating.clear()
        self.opening.clear()


def world_of(request: Request) -> World:
    return cast(World, request.app.state.world)


InWorld = Annotated[World, Depends(world_of)]
