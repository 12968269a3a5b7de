"""The end of an asset's road as the archive sees it: dated, and locked where that is wanted."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from tests.support.archive import Archive
from tests.support.archive_road import NAMED
from tests.support.at_site import describe
from tests.support.callbacks import until
from tests.support.flow_world import (
    at_the_cluster,
    run_session,
    share,
    share_at_the_cluster,
    undispatched,
)
from tests.support.world import World, new
from track.commands.operations import resubmit
from track.schema.database import transact
from track.schema.states import State

WITH_MODULE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "ocr", "run": "module ocr", "needs": "create"},
        {"key": "end", "run": "refinery.finalise", "needs": "ocr"},
    ],
}


async def finalised(
    engine: AsyncEngine, archive: Archive, params: dict[str, bool]
) -> tuple[World, str]:
    """An asset that was created in the archive and is at the end of its road."""
    road = {
        "pipeline": "P",
        "stages": [
            {"key": "create", "run": "refinery.create"},
            {"key": "end", "run": "refinery.finalise", "needs": "create", "params": params},
        ],
    }
    guid = str(uuid.uuid4())
    world = await undispatched(engine, road, new(guid), archive=archive.block())
    await describe(world, guid, **NAMED)
    await run_session(world)
    return world, guid


async def held(archive: Archive, guid: str) -> dict[str, Any]:
    async with ArsClient(archive.address) as ars:
        found = await ars.assets.get(guid)
    assert found is not None
    return found


@pytest.mark.parametrize("params", [{}, {"lock": False}, {"lock": True}], ids=str)
async def test_an_asset_is_dated_at_its_end_and_locked_if_its_pipeline_says_so(
    blocks: Path, engine: AsyncEngine, archive: Archive, params: dict[str, bool]
) -> None:
    _, guid = await finalised(engine, archive, params)
    asset = await held(archive, guid)
    assert asset["date_asset_finalised"]
    assert asset["asset_locked"] is params.get("lock", False)


async def test_the_end_of_a_locked_asset_may_be_done_again(
    blocks: Path, engine: AsyncEngine, archive: Archive
) -> None:
    world, guid = await finalised(engine, archive, {"lock": True})
    before, puts = await held(archive, guid), len(archive.requests(guid, "PUT"))
    job_id = await world.job_id(guid, "end")
    await transact(engine, resubmit, job_id, actor="test", why="again")
    await run_session(world)
    assert (await world.states(guid))["end"] == State.DONE
    assert await held(archive, guid) == before
    assert len(archive.requests(guid, "PUT")) == puts


async def test_a_stage_that_is_done_again_after_the_end_finds_the_share_open(
    blocks: Path, engine: AsyncEngine, archive: Archive
) -> None:
    guid = str(uuid.uuid4())
    world = await undispatched(engine, WITH_MODULE, new(guid), archive=archive.block())
    await describe(world, guid, **NAMED)
    assert await share_at_the_cluster(world, archive, guid) is not None
    assert await share(archive, guid) is None
    job_id = await world.job_id(guid, "ocr")
    await transact(engine, resubmit, job_id, actor="test", why="a better reader")
    assert await share_at_the_cluster(world, archive, guid) is not None
    assert await share(archive, guid) is None
    assert (await world.states(guid))["end"] == State.DONE


async def test_an_archive_that_is_away_then_costs_no_try(
    blocks: Path, engine: AsyncEngine, archive: Archive
) -> None:
    guid = str(uuid.uuid4())
    world = await undispatched(engine, WITH_MODULE, new(guid), archive=archive.block())
    await describe(world, guid, **NAMED)
    await share_at_the_cluster(world, archive, guid)
    job_id = await world.job_id(guid, "ocr")
    await transact(engine, resubmit, job_id, actor="test", why="again")
    archive.fault("status", status=503, guid=guid, count=None)
    running = asyncio.create_task(run_session(world))
    try:
        waits = "SELECT reason FROM track.job WHERE id = :j AND tries = 0 AND reason ~ '503'"
        await until(lambda: world.sql(waits, j=job_id))
        archive.heal()
        await world.sql("UPDATE track.job SET available_at = now()")
        await at_the_cluster(world)
        await running
    finally:
        archive.heal()
        running.cancel()
        await asyncio.wait([running])
