"""One session's folder on a drive, and a dispatcher that is at it, driven by hand."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from blocks.store import LocalStore
from schemas.metadata.ars_asset import missing_for_ars
from schemas.pace import Pace
from tasks.dispatch.dispatcher import Dispatcher
from tasks.dispatch.groups import GroupedMoves
from tasks.dispatch.held_job import HeldJob
from tasks.files.ndrive import list_session, listing_hash
from tasks.intake.ingest import ingest
from tasks.intake.registration import register_session
from tests.support.folder_play import metadata
from tests.support.world import World
from track.records.sessions import open_session
from track.schema.database import transact

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create", "needs": "ingest"},
    ],
}
UNREADABLE: dict[str, Any] = {
    "pipeline": "UNREADABLE",
    "stages": [{"key": "ingest", "run": "refinery.ingest"}],
}


@dataclass
class Museum:
    """One session's folder on a drive, and a dispatcher that is at it."""

    world: World
    dispatcher: Dispatcher
    folder: Path

    def drop(self, guid: str, **more: Any) -> Path:
        """Put one good specimen into the folder; its image."""
        (self.folder / f"{guid}.json").write_bytes(metadata(guid, **{"file_format": "tif", **more}))
        image = self.folder / f"{guid}.tif"
        Image.effect_noise((600, 500), 80).convert("RGB").save(image)
        return image

    async def register(self) -> None:
        """Open the session with the folder as it lies now, and register its specimens."""
        await self.world.sql(
            "UPDATE track.session SET path = :p, listing_hash = :h, registered_at = NULL",
            p=str(self.folder),
            h=listing_hash(list_session(self.folder)),
        )
        await register_session(self.dispatcher)

    async def drop_anew(self, *guids: str, into: str) -> None:
        """Put specimens into another folder, and register it as a session of its own."""
        self.folder = self.folder.with_name(into)
        self.folder.mkdir(exist_ok=True)
        for guid in guids:
            self.drop(guid)
        opened = await transact(
            self.world.engine,
            open_session,
            path=str(self.folder),
            workstation="WORKHERB0001",
            listing_hash=listing_hash(list_session(self.folder)),
            actor="test",
        )
        assert opened is not None
        await self.turn_to(opened)
        await register_session(self.dispatcher)

    async def turn_to(self, session: UUID) -> None:
        """Let the dispatcher be that of this session."""
        self.world.session_id = self.dispatcher.session_id = session
        self.dispatcher.lease.dispatcher_id = await self.world.dispatch()

    async def ingest(self, guid: str) -> None:
        """Claim a specimen's ingest, due or not, and do it."""
        await self.world.sql("UPDATE track.job SET available_at = now() WHERE state = 'ready'")
        (claim,) = await self.world.claim(guid=guid)
        us = self.dispatcher
        async with HeldJob(claim, GroupedMoves(us.engine, us.id, us.actor)).run_stage():
            await ingest(self.dispatcher, guid)

    async def fails(self, guid: str, error: type[Exception]) -> str:
        """Ingest, which raises `error`; its text."""
        with pytest.raises(error) as caught:
            await self.ingest(guid)
        return str(caught.value)

    async def job(self, guid: str) -> tuple[str, str | None, int, bool]:
        """(state, reason, tries, whether it waits) of a specimen's ingest."""
        ((state, reason, tries, waits),) = await self.world.sql(
            "SELECT j.state, j.reason, j.tries, j.available_at > now() FROM track.job j"
            " JOIN track.stage s ON s.id = j.stage_id"
            " WHERE j.asset_guid = :g AND s.key = 'ingest'",
            g=guid,
        )
        return state, reason, tries, waits

    def stored(self, guid: str) -> list[str]:
        """What lies in the specimen's folder of the store."""
        folder = self.dispatcher.store.folder(guid)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    async def is_in(self, guid: str) -> bool:
        """Whether the specimen was taken in completely."""
        ((path, size),) = await self.world.sql(
            "SELECT a.local_path, f.size_bytes FROM track.asset a"
            " JOIN track.file f ON f.asset_guid = a.guid WHERE a.guid = :g",
            g=guid,
        )
        copy = Path(path) / f"{guid}.tif"
        return (await self.job(guid))[0] == "done" and copy.stat().st_size == size


async def museum_at(engine: AsyncEngine, place: Path) -> Museum:
    """A museum whose drive and store lie below a folder."""
    world = await World.make(engine, PIPELINE, UNREADABLE)
    lease = SimpleNamespace(dispatcher_id=world.dispatcher_id, flow_run_id=None)
    dispatcher = Dispatcher(
        world.session_id,
        engine,
        lease,
        SimpleNamespace(missing=missing_for_ars),
        NDrive(root=place / "N drive", workstations=["*"]),
        LocalStore(root=place / "store"),
        Pace(),
    )
    folder = place / "N drive" / "WORKHERB0001" / "session æ 1"
    folder.mkdir(parents=True)
    return Museum(world, dispatcher, folder)
