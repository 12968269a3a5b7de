"""What the clusters' API grants to a program, and that it asks the archive only where it must."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.archive import NoToken
from api.context import TokenSource
from tests.support.callbacks import Cluster, cluster_config
from tests.support.events_server import EventsServer
from tests.support.world import edit
from track.commands import operations, shares
from track.commands.assets import NewAsset
from track.jobs.sites import choose_site
from track.schema.database import transact
from track.schema.states import State

COMMAND: dict[str, Any] = {
    "key": "classify",
    "run": "command",
    "command": ["python3", "{folder}", "{params.t}", "{guid}"],
    "expect_exit": [0, 3],
    "params": {"t": 0.5},
    "outputs": ["classified.h5"],
    "writes": ["tags.class"],
}
PIPELINE: dict[str, Any] = {
    "pipeline": "TILES",
    "stages": [
        COMMAND,
        {"key": "fetched", "run": "command", "command": ["wc", "{input}"], "inputs": True},
        {"key": "clean", "run": "module clean"},
        {"key": "crop", "run": "module crop"},
    ],
}


@asynccontextmanager
async def away() -> AsyncIterator[TokenSource]:
    async def ask() -> tuple[str, float]:
        raise NoToken("the archive is away")

    yield ask


@pytest.fixture
async def tiles(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """The application while the archive gives no token, and a tile without metadata."""
    config = cluster_config(database, prefect.url, tmp_path, ars_tokens=away)
    async with Cluster.open(engine, config) as made:
        await edit(engine, PIPELINE)
        tile = NewAsset("tile", "TILES", "tile", batch_name="B 1", x=1, y=-2, z=3)
        await made.world.register(tile)
        yield made


async def queued(cluster: Cluster, stage: str) -> int:
    """Hand a stage of the tile to site s1; the attempt's id."""
    claimed = {each.stage: each.job_id for each in await cluster.world.claim(guid="tile")}
    return await cluster.world.enqueue(claimed[stage], "s1")


async def test_a_command_is_granted_without_token_share_or_metadata(tiles: Cluster) -> None:
    grant = await tiles.start(await queued(tiles, "classify"))
    assert (grant["module"], grant["ars"], grant["inputs"]) == ("command", None, [])
    assert (grant["metadata"], grant["outputs"]) == ({}, ["classified.h5"])
    assert grant["command"] == {
        "words": ["python3", "{folder}", "{params.t}", "{guid}"],
        "values": {
            "guid": "tile",
            "parent_guid": "",
            "batch": "B 1",
            "pipeline": "TILES",
            "stage": "classify",
            "x": "1",
            "y": "-2",
            "z": "3",
        },
        "expect_exit": [0, 3],
        "inputs": False,
    }


async def test_a_command_is_told_what_is_known_of_its_asset(tiles: Cluster) -> None:
    await tiles.world.describe("tile", barcode=["7"])
    grant = await tiles.start(await queued(tiles, "classify"))
    assert grant["metadata"]["barcode"] == ["7"]


async def test_one_without_a_place_has_no_value_for_it(tiles: Cluster) -> None:
    await tiles.world.sql("UPDATE track.asset SET x = NULL, y = NULL, z = 0")
    values = (await tiles.start(await queued(tiles, "classify")))["command"]["values"]
    assert (values.keys() & {"x", "y", "z"}, values["z"]) == ({"z"}, "0")


@pytest.mark.parametrize(
    ("stage", "status"), [("fetched", 503), ("crop", 503), ("classify", 200), ("clean", 200)]
)
async def test_a_start_waits_for_a_token_only_where_the_archive_is_used(
    tiles: Cluster, stage: str, status: int
) -> None:
    await tiles.world.describe("tile")
    attempt = await queued(tiles, stage)
    await tiles.own(attempt, "start", {"native_id": "n1", "nonce": "x"}, status)
    job = await tiles.job("tile", stage)
    assert job["state"] == (State.RUNNING if status == 200 else State.QUEUED)


async def test_a_command_with_inputs_is_granted_files_and_a_token(cluster: Cluster) -> None:
    await cluster.asset("g")
    await edit(cluster.engine, PIPELINE | {"pipeline": "P"})
    claimed = {each.stage: each.job_id for each in await cluster.world.claim(guid="g")}
    grant = await cluster.start(await cluster.world.enqueue(claimed["fetched"], "s1"))
    assert [each["name"] for each in grant["inputs"]] == ["g.tif"]
    assert grant["command"]["inputs"] is True
    assert grant["ars"]["token"] == "ars-token"


async def test_a_share_is_opened_only_for_what_reads_or_writes_in_it(cluster: Cluster) -> None:
    create = {"key": "create", "run": "refinery.create"}
    await edit(cluster.engine, {"pipeline": "C", "stages": [create, *PIPELINE["stages"]]})
    await cluster.world.register(NewAsset("g", "C", "g"))
    claimed = {each.stage: each for each in await cluster.world.claim(guid="g")}
    await cluster.world.finish(claimed.pop("create"))
    jobs = {each.job_id: stage for stage, each in claimed.items()}
    opened = await transact(cluster.engine, shares.opening_for, list(jobs))
    assert {jobs[each] for each in opened} == {"fetched", "crop"}


async def test_a_result_is_applied_as_a_modules_is(tiles: Cluster) -> None:
    await tiles.world.describe("tile")
    attempt = await queued(tiles, "classify")
    await tiles.start(attempt)
    details = {"exit_code": 3, "output": "all well", "result": {"n": 1}}
    metadata = {"tags": {"class": "moss"}, "institution": "nobody's business"}
    result = {"details": details, "metadata": metadata}
    await tiles.own(attempt, "complete", {"native_id": "n1", "nonce": "x", "result": result})
    job = await tiles.job("tile", "classify")
    assert (job["state"], job["details"]) == (State.RETURNED, details)
    assert "institution" in job["warning"]
    assert (await tiles.metadata("tile"))[1]["tags"]["class"] == "moss"


async def test_metadata_for_an_asset_that_has_none_fails_the_job_with_the_reason(
    tiles: Cluster,
) -> None:
    attempt = await queued(tiles, "classify")
    await tiles.start(attempt)
    body = {"native_id": "n1", "nonce": "x", "result": {"metadata": {"tags": {"class": "moss"}}}}
    await tiles.own(attempt, "complete", body)
    job = await tiles.job("tile", "classify")
    assert job["state"] == State.FAILED
    assert "changes metadata, and none is known of asset tile" in job["reason"]


async def test_what_runs_goes_on_as_it_was_begun_when_its_pipeline_has_it_no_more(
    tiles: Cluster,
) -> None:
    attempt = await queued(tiles, "classify")
    await edit(tiles.engine, PIPELINE | {"stages": PIPELINE["stages"][1:]})
    grant = await tiles.start(attempt)
    assert grant["command"]["words"] == COMMAND["command"]


async def test_a_command_without_inputs_runs_where_its_assets_files_were_made(
    tiles: Cluster,
) -> None:
    await tiles.world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes, site)"
        " VALUES ('tile', 't.tif', 'tif', 1, 1, 's1')"
    )
    mine = await tiles.world.job_id("tile", "classify")
    brought = await tiles.world.job_id("tile", "fetched")
    assert await transact(tiles.engine, choose_site, mine) == "s1"
    assert await transact(tiles.engine, choose_site, brought) == "here"
    await queued(tiles, "classify")
    moved = await transact(
        tiles.engine, operations.move_to, mine, "here", actor="operator:ib", why=""
    )
    assert moved.note == "its files lie at the site that made them"
