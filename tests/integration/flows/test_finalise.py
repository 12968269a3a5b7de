"""The end of an asset's road as the archive sees it: dated, and locked where that is wanted."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from flows.dispatch import dispatch
from schemas.pace import Pace
from tests.support.archive import Archive
from tests.support.archive_road import NAMED
from tests.support.at_site import describe
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.database import transact
from track.operations import resubmit
from track.states import State

PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
PATIENCE_S = 120


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
    await carried(world)
    return world, guid


async def carried(world: World) -> None:
    async with asyncio.timeout(PATIENCE_S):
        assert (await dispatch(world.session_id, PACE, return_state=True)).name == "Finished"


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
    await transact(engine, lambda tx: resubmit(tx, job_id, actor="test", why="again"))
    await carried(world)
    assert (await world.states(guid))["end"] == State.DONE
    assert await held(archive, guid) == before
    assert len(archive.requests(guid, "PUT")) == puts
