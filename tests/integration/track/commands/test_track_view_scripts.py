"""The track record of pipelines made of scripts, and what a look at it touches."""

import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.files import FileFacts
from schemas.metadata.document import read_document
from tests.support.world import World, new
from track.commands import shares
from track.commands.grants import file_url
from track.commands.results import note_file
from track.jobs import verbs
from track.jobs.claims import Claim
from track.records.documents import create_document
from track.schema.database import transact
from track.schema.views import name_file_proxy

GUID = "g 1"
CHILD = "g 1_400"
PROXY = "https://[::1]:8200/file_proxy/api"
CHILDREN: dict[str, Any] = {
    "pipeline": "CHILDREN",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "uploader", "run": "bash assetUploader.sh {guid}", "needs": "create"},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "uploader"},
        {"key": "clean_up", "run": "bash assetDeleter.sh {guid}", "needs": "synchronise"},
    ],
}
SCRIPTS: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create", "needs": "ingest"},
        {"key": "upload", "run": "refinery.upload", "needs": "create"},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "upload"},
        {"key": "open_share", "run": "refinery.open_share", "needs": "synchronise"},
        {"key": "assetLoader", "run": "bash assetLoader.sh {guid}", "needs": "open_share"},
        {"key": "barcode", "run": "bash barcodeReader.sh {guid}", "needs": "assetLoader"},
        {
            "key": "derivative",
            "run": "bash derivative.sh {guid}",
            "needs": "barcode",
            "emits": "CHILDREN",
        },
        {"key": "clean_up", "run": "bash assetDeleter.sh {guid}", "needs": "derivative"},
    ],
}


async def shown(world: World, guid: str, *columns: str) -> list[Any]:
    statement = f"SELECT {', '.join(columns)} FROM track.dassco WHERE _id = :g"
    ((*row,),) = await world.sql(statement, g=guid)
    return row


async def with_file(world: World, guid: str) -> None:
    body = {
        "asset_guid": guid,
        "collection": "Vascular Plants & Ærø",
        "institution": "NHMD",
        "pipeline_name": "P",
        "workstation_name": "W",
    }

    async def work(tx: AsyncConnection) -> None:
        await create_document(tx, guid, read_document(body), actor="test")
        facts = FileFacts(name=f"{guid}.tif", crc32=1, size_bytes=10)
        await note_file(tx, guid, facts, mime_type="image/tiff")

    await transact(world.engine, work)


async def scripted(engine: AsyncEngine) -> World:
    world = await World.make(engine, CHILDREN, SCRIPTS)
    await world.register(new(GUID))
    await with_file(world, GUID)
    await transact(engine, name_file_proxy, PROXY)
    await world.sql('UPDATE track.site SET definition = definition || \'{"scripts": "/s"}\'')
    return world


async def claimed(world: World, stage: str, guid: str = GUID) -> Claim:
    (found,) = await world.claim(guid=guid)
    assert found.stage == stage
    return found


async def advance(world: World, *stages: str, guid: str = GUID) -> None:
    for stage in stages:
        await world.finish(await claimed(world, stage, guid))


async def test_a_masters_hpc_ready_follows_its_scripts(engine: AsyncEngine) -> None:
    """It said NO from the first to the last, for no stage was a module."""
    world = await scripted(engine)
    assert await shown(world, GUID, "hpc_ready") == ["NO"]
    await advance(world, "ingest", "create", "upload", "synchronise", "open_share")
    load = await claimed(world, "assetLoader")
    assert await shown(world, GUID, "hpc_ready", "jobs_status") == ["AWAIT", "STARTING"]
    await world.finish(load)
    assert await shown(world, GUID, "hpc_ready", "jobs_status") == ["YES", "WAITING"]
    await advance(world, "barcode", "derivative")
    clean = await claimed(world, "clean_up")
    assert await shown(world, GUID, "hpc_ready") == ["AWAIT"]
    await world.finish(clean)
    assert await shown(world, GUID, "hpc_ready", "jobs_status") == ["NO", "DONE"]


async def test_priorities_begin_at_one_whatever_stages_of_ours_come_before(
    engine: AsyncEngine,
) -> None:
    world = await scripted(engine)
    (listed,) = await shown(world, GUID, "job_list")
    assert [(job["name"], job["priority"]) for job in listed] == [
        ("assetLoader", 1),
        ("barcode", 2),
        ("derivative", 3),
        ("clean_up", 4),
    ]


async def test_the_job_id_that_a_script_printed_is_the_one_that_is_shown(
    engine: AsyncEngine,
) -> None:
    world = await scripted(engine)
    await advance(world, "ingest", "create", "upload", "synchronise", "open_share")
    load = await claimed(world, "assetLoader")
    who = world.dispatcher_id
    attempt = await transact(
        engine,
        verbs.enqueue_at_site,
        load.job_id,
        "here",
        dispatcher_id=who,
        actor="test",
    )
    assert (await shown(world, GUID, "job_list -> 0 ->> 'hpc_job_id'")) == ["-9"]
    await world.sql(
        "WITH made AS (INSERT INTO track.batch (key, site, stage_id, members, external_id)"
        " SELECT 'b1', 'here', stage_id, '{}', '4711' FROM track.job WHERE id = :j RETURNING id)"
        " UPDATE track.attempt SET batch_id = made.id FROM made WHERE attempt.id = :a",
        j=load.job_id,
        a=attempt,
    )
    assert (await shown(world, GUID, "job_list -> 0 ->> 'hpc_job_id'")) == ["4711"]


async def test_a_derivatives_flags_follow_its_scripts(engine: AsyncEngine) -> None:
    world = await scripted(engine)
    await world.register(new(CHILD, "CHILDREN", parent_guid=GUID, ppi=400))
    await with_file(world, CHILD)
    flags = ("hpc_ready", "has_new_file", "jobs_status", "jsonb_array_length(job_list)")
    assert await shown(world, CHILD, *flags) == ["YES", "YES", "DONE", 0]
    await advance(world, "create", guid=CHILD)
    uploader = await claimed(world, "uploader", CHILD)
    assert await shown(world, CHILD, *flags) == ["YES", "UPLOADING", "STARTING", 1]
    await world.finish(uploader)
    assert await shown(world, CHILD, *flags) == ["YES", "AWAIT", "DONE", 1]
    await advance(world, "synchronise", guid=CHILD)
    assert await shown(world, CHILD, *flags) == ["YES", "NO", "DONE", 1]
    clean = await claimed(world, "clean_up", CHILD)
    assert await shown(world, CHILD, *flags) == ["AWAIT", "NO", "STARTING", 2]
    await world.finish(clean)
    assert await shown(world, CHILD, *flags) == ["NO", "NO", "DONE", 2]


async def test_an_open_share_shows_where_its_files_are(engine: AsyncEngine) -> None:
    world = await scripted(engine)
    await world.sql("UPDATE track.asset SET batch_name = 'W_2026-01-01'")
    link = "file_list -> 0 ->> 'ars_link'"
    await advance(world, "ingest")
    assert await shown(world, GUID, "proxy_path", link) == ["", ""]
    await advance(world, "create")
    await transact(engine, shares.opening, GUID, 1)
    path, seen = await shown(world, GUID, "proxy_path", link)
    body = {"asset_guid": GUID, "collection": "Vascular Plants & Ærø", "institution": "NHMD"}
    body |= {"pipeline_name": "P", "workstation_name": "W"}
    metadata = read_document(body).metadata
    assert seen == file_url(PROXY, metadata, f"{GUID}.tif")
    assert path + "g%201.tif" == seen
    await advance(world, "upload", "synchronise")
    await transact(engine, shares.closed, GUID)
    assert await shown(world, GUID, "proxy_path", link) == ["", ""]


@pytest.mark.parametrize(
    "where", ["_id IN ('n1', 'n2')", "batch_list_name = 'few'", "_id = ANY(ARRAY['n1', 'n2'])"]
)
async def test_a_look_at_few_assets_touches_no_others(engine: AsyncEngine, where: str) -> None:
    """Of a million it took minutes, for all of them were put together first."""
    world = await World.make(engine, CHILDREN, SCRIPTS)
    await world.register(*(new(f"n{n}") for n in range(200)))
    await world.sql("UPDATE track.asset SET batch_name = 'few' WHERE guid IN ('n1', 'n2')")
    async with engine.begin() as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM track.dassco WHERE {where}"
        plan = (await tx.execute(text(explain))).scalar_one()
    (root,) = plan if isinstance(plan, list) else json.loads(plan)
    assert root["Plan"]["Actual Rows"] == 2
    own = 2 * len(SCRIPTS["stages"]) + 2  # its flags and list; twice, which part has it
    assert _read(root["Plan"], "job") == 2 * own


def _read(node: dict[str, Any], table: str) -> float:
    """Rows that a plan read of a table."""
    mine = 0.0
    if node.get("Relation Name") == table:
        removed = node.get("Rows Removed by Filter", 0) + node.get(
            "Rows Removed by Index Recheck", 0
        )
        mine = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return mine + sum(_read(each, table) for each in node.get("Plans", ()))
