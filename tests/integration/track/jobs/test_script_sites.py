"""Which sites may take a script of their own."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.sites import Site
from tests.support.world import World, new
from track.commands import operations
from track.jobs.sites import NoSite, choose_site, load_sites
from track.schema.database import transact

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [{"key": "uploader", "run": "bash assetUploader.sh {guid}"}],
}


def site(name: str, kind: str, **more: Any) -> Site:
    far: dict[str, Any] = {"python": "/p", "block": name, "callback": "https://r.test"}
    given = {"site": name, "kind": kind, "root": "/r"} | ({} if kind == "local" else far)
    return Site.model_validate(given | more)


async def world_with(engine: AsyncEngine, *sites: Site) -> World:
    world = await World.make(engine, PIPELINE)
    await transact(engine, load_sites, sites, actor="test")
    await world.sql("UPDATE track.site SET seen_at = now()")
    await world.register(new("g"))
    return world


async def chosen(world: World) -> str:
    job_id = await world.job_id("g", "uploader")
    return await transact(world.engine, choose_site, job_id)


async def test_a_script_is_offered_only_to_sites_that_run_scripts(engine: AsyncEngine) -> None:
    """The local site took it, and failed it for good as no module of that name."""
    local, far = site("local", "local"), site("far", "slurm")
    world = await world_with(engine, local, site("agent", "pull"), far)
    assert await chosen(world) == "far"
    await world.sql("UPDATE track.site SET degraded = 'away' WHERE name = 'far'")
    with pytest.raises(NoSite):
        await chosen(world)
    assert not await world.claim()
    with_scripts = site("local", "local", scripts="/s")
    await transact(engine, load_sites, [with_scripts, far], actor="test")
    assert await chosen(world) == "local"


async def test_a_script_runs_where_its_assets_files_were_made(engine: AsyncEngine) -> None:
    world = await world_with(engine, site("one", "slurm"), site("two", "slurm"))
    assert await chosen(world) == "one"
    await world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes, site)"
        " VALUES ('g', 'g.tif', 'tif', 1, 1, 'two')"
    )
    assert await chosen(world) == "two"
    await world.sql("UPDATE track.site SET degraded = 'away' WHERE name = 'two'")
    with pytest.raises(NoSite):
        await chosen(world)


async def test_a_queued_script_is_not_moved_to_a_site_that_runs_none(engine: AsyncEngine) -> None:
    world = await world_with(engine, site("one", "slurm"), site("local", "local"))
    (found,) = await world.claim()
    await world.enqueue(found.job_id, "one")
    line = await transact(engine, operations.move_to, found.job_id, "local", actor="test", why="")
    assert (line.now, line.note) == ("one", "local runs no scripts: give it a folder `scripts`")


async def test_a_script_that_was_begun_is_not_cancelled_before_its_end_is_proven(
    engine: AsyncEngine,
) -> None:
    """A script asks for no start: what it submitted may be at work."""
    world = await world_with(engine, site("one", "slurm"))
    (found,) = await world.claim()
    await world.enqueue(found.job_id, "one")
    await world.sql("UPDATE track.attempt SET batch_id = 1")
    line = await transact(engine, operations.cancel, found.job_id, actor="test", why="")
    assert line.now == "queued"
