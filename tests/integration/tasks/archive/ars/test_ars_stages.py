"""The archive stages of an asset on a real database and the stand-in."""

import asyncio
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile
from schemas.files import FileFacts
from tasks.archive import stages
from tasks.archive.ars.tier import ArsTier
from tasks.archive.metadata import push_pending
from tests.support.archive import Archive
from tests.support.archive_road import NAMED, create, image
from tests.support.at_site import describe
from tests.support.world import World, new
from track.commands.results import note_child_file, note_file
from track.records.documents import change_document, unpushed
from track.records.files import taken_in
from track.schema.database import make_engine, transact

ONE: dict[str, Any] = {"pipeline": "P", "stages": [{"key": "create", "run": "refinery.create"}]}


def facts(file: LocalFile) -> FileFacts:
    return FileFacts(name=file.name, crc32=file.crc32, size_bytes=file.size_bytes)


async def share(ars: ArsClient, guid: str) -> int | None:
    status = await ars.assets.status(guid)
    assert status is not None
    return status.share_allocation_mb


async def test_a_file_made_anew_finds_a_share_open_and_replaces_the_one_in_erda(
    engine: AsyncEngine, ars: ArsClient, guid: str, tmp_path: Path
) -> None:
    world = await World.make(engine, ONE)
    await world.register(new(guid, size_mb=4))
    await describe(world, guid, **NAMED)
    first = image(tmp_path, "leaf.tif", 1_000_000)
    await transact(engine, taken_in, guid, tmp_path, 4)
    await transact(engine, note_file, guid, facts(first), mime_type="image/tiff")
    dispatcher: Any = SimpleNamespace(engine=engine, tier=ArsTier(ars))
    for stage in ("create", "upload", "synchronise"):
        await stages.STAGES[stage](dispatcher, guid)
    await stages.create(dispatcher, guid)
    assert await share(ars, guid) is None, "there is nothing to bring"
    second = image(tmp_path, "leaf.tif", 2_000_000)
    of: Any = SimpleNamespace(attempt=SimpleNamespace(site="here", agent_id=None, actor="test"))
    await transact(engine, note_child_file, of, guid, facts(second), mime_type="image/tiff")
    await stages.create(dispatcher, guid)
    assert await share(ars, guid) is not None
    for stage in ("upload", "synchronise"):
        await stages.STAGES[stage](dispatcher, guid)
    (row,) = await ars.files.listed(guid)
    assert row.holds(second) and row.synchronised
    assert await share(ars, guid) is None


async def test_many_results_at_once_are_all_pushed_and_starve_nobody(
    engine: AsyncEngine, database: str, ars: ArsClient, archive: Archive
) -> None:
    """Each push holds one connection and needs another: forty of them once took all there are."""
    world = await World.make(engine, ONE)
    guids = [str(uuid.uuid4()) for _ in range(40)]
    await world.register(*(new(guid) for guid in guids))
    await describe(world, *guids, **NAMED)
    await asyncio.gather(*(create(ars, guid) for guid in guids))
    archive.fault("latency", seconds=0.1, method="PUT", count=None)
    pooled = make_engine(database, pool=8, overflow=12)  # a dispatcher's
    tier = ArsTier(ars)
    await asyncio.gather(*(push_pending(pooled, tier, guid) for guid in guids))
    await pooled.dispose()
    owed = "SELECT count(*) FROM metadata.document WHERE revision > ars_revision"
    assert await world.sql(owed) == [(0,)]


async def test_changes_pushed_at_once_from_many_sides_lose_nothing(
    engine: AsyncEngine, ars: ArsClient, guid: str
) -> None:
    world = await World.make(engine, ONE)
    await world.register(new(guid))
    await describe(world, guid, **NAMED)
    await create(ars, guid)

    async def side(n: int) -> None:
        async with ArsClient(ars.address) as own:
            changes = {"tags": {f"side {n}": "was here"}}
            await transact(engine, change_document, guid, changes, writes=["tags"], actor="t")
            await push_pending(engine, ArsTier(own), guid)

    await asyncio.gather(*(side(n) for n in range(6)))
    held = await ars.assets.get(guid)
    assert held is not None
    assert {f"side {n}" for n in range(6)} <= held["tags"].keys()
    assert await transact(engine, unpushed, guid) is None
