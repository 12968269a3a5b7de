"""Shares on the road: open when a stage needs them, closed when nobody does, whatever failed."""

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile
from schemas.files import FileFacts
from tasks.archive.leftover_shares import close_leftovers
from tests.support.archive import Archive
from tests.support.archive_road import NAMED, NHMD, PLANTS, image
from tests.support.at_site import complete, describe, start
from tests.support.callbacks import until
from tests.support.flow_world import run_session, share, share_at_the_cluster, undispatched
from tests.support.world import World, edit, new
from track.commands.results import note_file
from track.jobs import verbs
from track.records.files import taken_in
from track.schema.database import transact
from track.schema.states import State

STAGES: list[dict[str, Any]] = [
    {"key": "create", "run": "refinery.create"},
    {"key": "ocr", "run": "module ocr", "needs": "create"},
    {"key": "end", "run": "refinery.finalise", "needs": "ocr"},
]
UPLOADER: list[dict[str, Any]] = [
    {"key": "create", "run": "refinery.create"},
    {"key": "uploader", "run": "module upload", "needs": "create"},
    {"key": "sync", "run": "refinery.synchronise", "needs": "uploader"},
]
KNOWN = "SELECT share_mb FROM track.asset"
QUEUED = """
    SELECT t.id, t.fence FROM track.attempt t JOIN track.job j ON j.attempt_id = t.id
    WHERE j.state = 'queued'
"""


async def specimen(
    engine: AsyncEngine, archive: Archive, stages: list[dict[str, Any]]
) -> tuple[World, str]:
    guid = str(uuid.uuid4())
    road = {"pipeline": "P", "stages": stages}
    world = await undispatched(engine, road, new(guid), archive=archive.block())
    await describe(world, guid, **NAMED)
    return world, guid


async def on_record(world: World, guid: str, folder: Path) -> LocalFile:
    """A file of the asset in the store."""
    file = image(folder, "leaf.tif", 500_000)
    facts = FileFacts(name=file.name, crc32=file.crc32, size_bytes=file.size_bytes)
    await transact(world.engine, taken_in, guid, folder, 1)
    await transact(world.engine, note_file, guid, facts, mime_type="image/tiff")
    return file


async def test_a_stage_added_after_the_end_finds_the_share_open_and_it_is_closed_again(
    blocks: Path, engine: AsyncEngine, archive: Archive
) -> None:
    world, guid = await specimen(engine, archive, STAGES)
    await share_at_the_cluster(world, archive, guid)
    await world.sql("UPDATE track.retention SET done_at = now()")
    leaf = {"key": "colour", "run": "module crop", "needs": "create"}
    await edit(engine, {"pipeline": "P", "stages": [*STAGES, leaf]})
    assert await share_at_the_cluster(world, archive, guid) is not None
    assert await share(archive, guid) is None and await world.sql(KNOWN) == [(None,)]
    assert set((await world.states(guid)).values()) == {State.DONE}
    final = "SELECT finalised_at IS NOT NULL FROM track.asset"
    assert await world.sql(final) == [(True,)]
    assert await world.sql("SELECT kind FROM track.retention WHERE done_at IS NULL") == [("site",)]


async def test_a_share_that_nobody_uses_is_closed_and_opened_again_for_who_does(
    blocks: Path, engine: AsyncEngine, archive: Archive
) -> None:
    world, guid = await specimen(engine, archive, STAGES)
    running = asyncio.create_task(run_session(world))
    await until(lambda: world.sql(QUEUED))
    job_id = await world.job_id(guid, "ocr")
    assert (await close_leftovers(engine, timedelta(0))).done == [], "a site is at it"
    await transact(engine, verbs.end, job_id, State.CANCELLED, actor="test", why="half-way")
    await running
    assert await share(archive, guid) is not None
    assert (await close_leftovers(engine, timedelta(hours=1))).done == [], "a person may be at it"
    assert (await close_leftovers(engine, timedelta(0))).done == [guid]
    assert await share(archive, guid) is None and await world.sql(KNOWN) == [(None,)]
    await transact(engine, verbs.resubmit, job_id, actor="test", why="after all")
    assert await share_at_the_cluster(world, archive, guid) is not None
    assert await share(archive, guid) is None


async def test_while_erda_takes_no_files_the_work_is_held_without_a_try_and_its_share_counted(
    blocks: Path, engine: AsyncEngine, archive: Archive, tmp_path: Path
) -> None:
    stages = [
        {"key": "create", "run": "refinery.create"},
        {"key": "upload", "run": "refinery.upload", "needs": "create"},
        {"key": "sync", "run": "refinery.synchronise", "needs": "upload"},
    ]
    world, guid = await specimen(engine, archive, stages)
    await on_record(world, guid, tmp_path)
    archive.fault("erda_put_fails", guid=guid, count=None)
    running = asyncio.create_task(run_session(world))
    try:
        held = (
            "SELECT 1 FROM track.job WHERE state = 'ready' AND tries = 0"
            " AND reason ~ 'ERDA does not take files since' AND available_at > now()"
            " AND effects #>> '{erda,times}' = :n"
        )
        for n in ("1", "2"):
            await until(lambda n=n: world.sql(held, n=n))  # type: ignore[misc]
            assert await world.sql(KNOWN) == [(1,)]
            await world.sql("UPDATE track.job SET available_at = now() WHERE state = 'ready'")
        archive.heal()
        await until(lambda: world.sql(f"{held} OR state = 'done' AND reason IS NULL", n="3"))
        await world.sql("UPDATE track.job SET available_at = now() WHERE state = 'ready'")
        await running
    finally:
        archive.heal()
        running.cancel()
        await asyncio.wait([running])
    assert (await world.states(guid))["sync"] == State.DONE
    assert await world.sql(KNOWN) == [(None,)]


async def test_an_uploader_that_is_done_again_after_a_failed_synchronise_finds_a_share(
    blocks: Path, engine: AsyncEngine, archive: Archive, tmp_path: Path
) -> None:
    world, guid = await specimen(engine, archive, UPLOADER)
    file = await on_record(world, guid, tmp_path)
    running = asyncio.create_task(run_session(world))
    try:
        await _upload(world, archive, guid, None)
        # Behind our back: its share is gone when it is to be brought to ERDA.
        await until(lambda: world.sql(f"{QUEUED} AND t.n = 2"))
        assert await share(archive, guid) is not None
        await _upload(world, archive, guid, file)
        await running
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert set((await world.states(guid)).values()) == {State.DONE}


async def _upload(world: World, archive: Archive, guid: str, file: LocalFile | None) -> None:
    """Do the uploader's job: bring a file, or take the share away instead."""
    ((attempt, fence),) = await until(lambda: world.sql(QUEUED))
    await start(world, attempt, fence)
    async with ArsClient(archive.address) as ars:
        if file is None:
            await ars.shares.close(guid)
        else:
            await ars.files.upload(guid, NHMD, PLANTS, file)
    await complete(world, attempt, fence)
