"""ERDA away, or an asset that it refuses: told apart by what it takes of others meanwhile."""

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.files import FileFacts
from tests.support.world import World, new
from track.commands.refusals import FINAL, PAUSES, RefusalRecord, note_refusal
from track.commands.results import note_file
from track.records.files import mark_synchronised
from track.schema.database import transact

SYNC = {"pipeline": "P", "stages": [{"key": "sync", "run": "refinery.synchronise"}]}


async def refused(world: World) -> RefusalRecord:
    return await transact(world.engine, note_refusal, "g")


async def test_an_outage_is_never_the_assets_failure_but_a_refusal_of_it_alone_is(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, SYNC)
    await world.register(new("g"), new("other"))
    facts = FileFacts(name="a.tif", crc32=1, size_bytes=1)
    await transact(engine, note_file, "other", facts, mime_type="image/tiff")
    await world.claim(guid="g")
    first = await refused(world)
    for _ in range(3 * FINAL):
        seen = await refused(world)
        assert not seen.is_final and seen.since == first.since
    assert seen.wait_s == PAUSES.longest_s > first.wait_s
    await transact(engine, mark_synchronised, "other")
    assert [(await refused(world)).is_final for _ in range(FINAL)] == [False] * (FINAL - 1) + [True]
