"""The archive stages with another tier than ARS: nothing of ARS is needed for them."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.tier import Created, Facts, LocalFile, NoShare, Outcome, Tier, Verdict
from schemas.files import FileFacts
from schemas.metadata.document import Metadata
from tasks.archive.finalise import finalise
from tasks.archive.stages import STAGES
from tests.support.archive_road import NAMED, image
from tests.support.at_site import describe
from tests.support.world import World, new
from track.commands.results import note_file
from track.records.documents import read_document, unpushed
from track.records.files import taken_in
from track.schema.database import transact

ROAD: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "upload", "run": "refinery.upload", "needs": "create"},
        {"key": "sync", "run": "refinery.synchronise", "needs": "upload"},
        {"key": "end", "run": "refinery.finalise", "needs": "sync", "params": {"lock": True}},
    ],
}


class Cellar:
    """A tier in memory: what was said of each asset, its share, and its durable copies."""

    name, durable_name = "the cellar", "its shelves"

    def __init__(self) -> None:
        self.describing: AbstractAsyncContextManager[object] = nullcontext()
        self.said: dict[str, Metadata] = {}
        self.shares: dict[str, dict[str, Facts]] = {}
        self.durable: dict[str, dict[str, Facts]] = {}
        self.locked: set[str] = set()

    def missing(self, metadata: Metadata) -> list[str]:
        return []

    async def prepare(self, metadata: Metadata) -> None:
        pass

    async def create(self, metadata: Metadata, room_mb: int) -> Created:
        guid, new = metadata.asset_guid, metadata.asset_guid not in self.said
        if new:
            self.said[guid], self.shares[guid] = metadata, {}
        return Created(new, guid in self.shares)

    async def open(self, metadata: Metadata, room_mb: int) -> None:
        held = self.durable.get(metadata.asset_guid, {})
        self.shares.setdefault(metadata.asset_guid, dict(held))

    async def put(self, metadata: Metadata, files: Sequence[LocalFile]) -> tuple[str, ...]:
        await self.open(metadata, 0)
        share = self.shares[metadata.asset_guid]
        sent = tuple(file.name for file in files if share.get(file.name) != file)
        share |= {file.name: file for file in files}
        return sent

    async def make_durable(self, metadata: Metadata, files: Sequence[Facts]) -> Verdict:
        guid = metadata.asset_guid
        if guid not in self.shares and not (await self.prove(guid, files)).done:
            raise NoShare(f"{guid} has no share")
        self.durable.setdefault(guid, {}).update(self.shares.pop(guid, {}))
        return await self.prove(guid, files)

    async def prove(self, guid: str, files: Sequence[Facts]) -> Verdict:
        held = {(file.name, file.crc32) for file in self.durable.get(guid, {}).values()}
        missing = tuple(file.name for file in files if (file.name, file.crc32) not in held)
        outcome = Outcome.MISSING if missing else Outcome.DONE
        return Verdict(outcome, "looked", missing, guid in self.shares)

    async def describe(self, metadata: Metadata, last_pushed: Metadata | None) -> None:
        self.said[metadata.asset_guid] = metadata

    async def differing(self, metadata: Metadata) -> tuple[str, ...]:
        return () if self.said[metadata.asset_guid] == metadata else ("something",)

    async def lock(self, guid: str) -> None:
        self.locked.add(guid)

    async def close(self, guid: str, *, discard: bool = False) -> None:
        self.shares.pop(guid, None)

    async def trouble(self) -> str | None:
        return None


async def test_an_assets_whole_road_through_a_tier_that_is_not_ars(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    world, guid = await World.make(engine, ROAD), str(uuid.uuid4())
    await world.register(new(guid))
    await describe(world, guid, **NAMED)
    file = image(tmp_path, "leaf.tif", 500_000)
    facts = FileFacts(name=file.name, crc32=file.crc32, size_bytes=file.size_bytes)
    await transact(engine, taken_in, guid, tmp_path, 1)
    await transact(engine, note_file, guid, facts, mime_type="image/tiff")
    cellar = Cellar()
    tier: Tier = cellar
    dispatcher: Any = SimpleNamespace(engine=engine, tier=tier, actor="test")
    share_mb = "SELECT share_mb FROM track.asset"
    for stage in ("create", "upload"):
        for _ in range(2):  # as after a kill
            await STAGES[stage](dispatcher, guid)
        assert await world.sql(share_mb) == [(1,)]
    await STAGES["synchronise"](dispatcher, guid)
    assert await world.sql(share_mb) == [(None,)]
    proven = "SELECT synchronised_at IS NOT NULL FROM track.file"
    assert await world.sql(proven) == [(True,)] and list(cellar.durable[guid]) == [file.name]
    await STAGES["open_share"](dispatcher, guid)
    assert list(cellar.shares[guid]) == [file.name]
    await finalise(dispatcher, SimpleNamespace(guid=guid, job_id=await world.job_id(guid, "end")))  # type: ignore[arg-type]
    assert cellar.shares == {} and cellar.locked == {guid}
    assert cellar.said[guid] == await transact(engine, read_document, guid)
    assert cellar.said[guid].date_asset_finalised is not None
    assert await transact(engine, unpushed, guid) is None
