"""The archive stages of an asset on a real database and the stand-in."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient, LocalFile
from schemas.attempts import FileFacts
from tasks import archive
from tests.support.archive_road import NHMD, PIPELINE, PLANTS, STATION, image
from tests.support.at_site import describe
from tests.support.world import World, new
from track.database import transact
from track.files import taken_in
from track.results import note_child_file, note_file

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
    named = {"institution": NHMD, "collection": PLANTS, "digitiser": "Karen Blixen"}
    named |= {"pipeline_name": PIPELINE, "workstation_name": STATION, "status": "WORKING_COPY"}
    await describe(world, guid, **named)
    first = image(tmp_path, "leaf.tif", 1_000_000)
    await transact(engine, lambda tx: taken_in(tx, guid, tmp_path, 4))
    await transact(engine, lambda tx: note_file(tx, guid, facts(first), mime_type="image/tiff"))
    dispatcher: Any = SimpleNamespace(engine=engine, ars=ars)
    for stage in ("create", "upload", "synchronise"):
        await archive.STAGES[stage](dispatcher, guid)
    await archive.create(dispatcher, guid)
    assert await share(ars, guid) is None, "there is nothing to bring"
    second = image(tmp_path, "leaf.tif", 2_000_000)
    await transact(
        engine,
        lambda tx: note_child_file(
            tx, guid, facts(second), mime_type="image/tiff", site="here", actor="test"
        ),
    )
    await archive.create(dispatcher, guid)
    assert await share(ars, guid) is not None
    for stage in ("upload", "synchronise"):
        await archive.STAGES[stage](dispatcher, guid)
    (row,) = await ars.files.listed(guid)
    assert row.holds(second) and row.synchronised
    assert await share(ars, guid) is None
