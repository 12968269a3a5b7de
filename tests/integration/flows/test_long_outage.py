"""The archive is away for longer than any pause: nothing is lost of it, and work goes on by itself.

What takes hours outside is made short by moving the time at which a job may run, which is what the
passing of time does.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.alarm_patience import AlarmPatience
from schemas.files import FileFacts
from tasks.upkeep.alarms import raise_alarms
from tests.support.archive import Archive
from tests.support.archive_road import NAMED, image
from tests.support.at_site import describe
from tests.support.callbacks import until
from tests.support.flow_world import run_session, undispatched
from tests.support.world import World, new
from track.commands.results import note_file
from track.records.files import taken_in
from track.schema.database import transact

STAGES = [
    {"key": "create", "run": "refinery.create", "retries": 1},
    {"key": "upload", "run": "refinery.upload", "needs": "create", "retries": 1},
    {"key": "sync", "run": "refinery.synchronise", "needs": "upload", "retries": 1},
]
SOON = AlarmPatience(looks=1)
WAITS = """
    SELECT 1 FROM track.job WHERE state = 'ready' AND available_at > now() + interval '20 seconds'
    HAVING count(*) = :n
"""
COST = (
    "SELECT max(tries), max(a.attention) FROM track.job j JOIN track.asset a ON a.guid = asset_guid"
)
DONE = "SELECT 1 FROM track.job HAVING bool_and(state = 'done')"
ROUNDS = 4
"""Tries in a row while it is away: more than the stages have, and their pauses have grown."""
GOES_ON_S = 60


async def specimens(engine: AsyncEngine, archive: Archive, folder: Path, many: int) -> World:
    guids = [str(uuid.uuid4()) for _ in range(many)]
    road = {"pipeline": "P", "stages": STAGES}
    world = await undispatched(engine, road, *map(new, guids), archive=archive.block())
    for guid in guids:
        await describe(world, guid, **NAMED)
        place = folder / guid
        place.mkdir()
        file = image(place, "leaf.tif", 5_000)
        facts = FileFacts(name=file.name, crc32=file.crc32, size_bytes=file.size_bytes)
        await transact(engine, taken_in, guid, place, 1)
        await transact(engine, note_file, guid, facts, mime_type="image/tiff")
    return world


@asynccontextmanager
async def carried(world: World, archive: Archive) -> AsyncIterator[None]:
    """A dispatcher at the session until the block ends, and the archive well after it."""
    running = asyncio.create_task(run_session(world))
    try:
        yield
    finally:
        archive.heal()
        # Cut off in the middle of a transaction it would leave its connection open.
        await asyncio.wait([running], timeout=GOES_ON_S)
        running.cancel()
        await asyncio.wait([running])


async def hours_pass(world: World, many: int) -> None:
    """Every specimen is tried, in vain, again and again."""
    for _ in range(ROUNDS):
        await until(lambda: world.sql(WAITS, n=many), 60)
        await world.sql("UPDATE track.job SET available_at = now() WHERE state = 'ready'")
    await until(lambda: world.sql(WAITS, n=many), 60)
    assert await world.sql(COST) == [(0, None)]


async def test_work_waits_for_the_archive_without_a_try_and_goes_on_within_a_minute(
    blocks: Path, engine: AsyncEngine, archive: Archive, tmp_path: Path
) -> None:
    world = await specimens(engine, archive, tmp_path, 3)
    archive.fault("status", status=503, path_regex=".*", count=None)
    async with carried(world, archive):
        await hours_pass(world, 3)
        assert any("archive ars: " in line for line in await raise_alarms(engine, 0, SOON))
        await hours_pass(world, 3)
        archive.heal()
        assert "archive ars: it is well again" in await raise_alarms(engine, 0, SOON)
        await until(lambda: world.sql(DONE), GOES_ON_S)
    assert await world.sql(COST) == [(0, None)]


async def test_work_waits_for_erda_without_a_try_and_goes_on_within_a_minute(
    blocks: Path, engine: AsyncEngine, archive: Archive, tmp_path: Path
) -> None:
    world = await specimens(engine, archive, tmp_path, 3)
    archive.fault("erda_put_fails", count=None)
    async with carried(world, archive):
        await hours_pass(world, 3)
        (line,) = await raise_alarms(engine, 0, SOON)
        assert line.startswith("archive erda: it takes no files since "), "and ARS is well"
        assert await raise_alarms(engine, 0, SOON) == []
        await until(lambda: world.sql(WAITS, n=3), 60)
        archive.heal()
        assert await raise_alarms(engine, 0, SOON) == [], "one is tried; the others wait for it"
        await until(lambda: world.sql(DONE), GOES_ON_S)
        assert await raise_alarms(engine, 0, SOON) == ["archive erda: it is well again"]
    assert await world.sql(COST) == [(0, None)]
