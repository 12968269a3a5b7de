"""The track record as DaSSCo's tools know it, held against the documented flag combinations."""

from pathlib import Path

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.runner.registry import names
from schemas.files import FileFacts
from schemas.metadata.document import read_document
from schemas.pipeline.load import load_pipelines
from tests.support.world import World, new
from track.commands import shares
from track.commands.results import note_file
from track.records.documents import create_document
from track.schema.database import transact
from track.schema.states import State
from track.schema.tables import document

HERB = Path("deployments/pipelines/herb0001.yaml")
GUID = "7e8-7-17-14-1d-32-0-001-04-000-097367-00000"
CHILD = f"{GUID}_400"

FLAGS = (
    "jobs_status",
    "hpc_ready",
    "is_in_ars",
    "has_new_file",
    "has_open_share",
    "erda_sync",
    "update_metadata",
)


async def flags(world: World, guid: str = GUID) -> dict[str, str]:
    columns = ", ".join(FLAGS)
    (row,) = await world.sql(f"SELECT {columns} FROM track.dassco WHERE _id = :guid", guid=guid)
    return dict(zip(FLAGS, map(str, row), strict=True))


async def herbarium(engine: AsyncEngine) -> World:
    definitions = load_pipelines(HERB.read_text(encoding="utf-8"), str(HERB), names())
    world = await World.make(engine, *(each.definition() for each in definitions))
    await world.register(new(GUID, "PIPEHERB0001", size_mb=160))
    return world


async def record_document(world: World, guid: str) -> None:
    body = {
        "asset_guid": guid,
        "collection": "Vascular plants",
        "institution": "NHMD",
        "pipeline_name": "PIPEHERB0001",
        "workstation_name": "WORKHERB0001",
    }
    async with world.engine.begin() as tx:
        await create_document(tx, guid, read_document(body), actor="test")
        await tx.execute(update(document).values(ars_revision=document.c.revision))
        facts = FileFacts(name=f"{guid}.tif", crc32=1, size_bytes=10)
        await note_file(tx, guid, facts, mime_type="image/tiff")


async def advance(world: World, stage: str) -> None:
    """Finish the one stage that is ready, which must be this one."""
    (found,) = await world.claim()
    assert found.stage == stage
    await world.finish(found)


async def test_a_masters_flags_are_those_of_the_documented_table_at_every_step(
    engine: AsyncEngine,
) -> None:
    world = await herbarium(engine)
    start = {
        "jobs_status": "WAITING",
        "hpc_ready": "NO",
        "is_in_ars": "AWAIT",
        "has_new_file": "NO",
        "has_open_share": "NO",
        "erda_sync": "NO",
        "update_metadata": "NO",
    }
    assert await flags(world) == start
    await record_document(world, GUID)
    await advance(world, "ingest")  # process_new_files has ended
    seen = start | {"is_in_ars": "NO", "has_new_file": "YES"}
    assert await flags(world) == seen
    await advance(world, "create")  # asset_creator
    await transact(engine, shares.opening, GUID, 1)
    seen |= {"is_in_ars": "YES", "has_open_share": "YES"}
    assert await flags(world) == seen
    await advance(world, "upload")  # file_uploader
    seen |= {"has_new_file": "AWAIT"}
    assert await flags(world) == seen
    (sync,) = await world.claim()  # sync_erda
    seen |= {"erda_sync": "AWAIT"}
    assert await flags(world) == seen
    await world.finish(sync)  # validate_sync_erda
    await transact(engine, shares.closed, GUID)
    seen |= {"erda_sync": "YES", "has_open_share": "NO", "has_new_file": "NO"}
    assert await flags(world) == seen
    await advance(world, "open_share")
    await transact(engine, shares.opening, GUID, 1)
    seen |= {"has_open_share": "YES"}
    assert await flags(world) == seen
    (load,) = await world.claim()  # hpc_asset_creator
    seen |= {"hpc_ready": "AWAIT", "jobs_status": "STARTING"}
    assert await flags(world) == seen
    await world.finish(load)  # asset_ready
    seen |= {"hpc_ready": "YES", "jobs_status": "WAITING"}
    assert await flags(world) == seen


async def test_pending_metadata_shows_as_update_metadata(engine: AsyncEngine) -> None:
    world = await herbarium(engine)
    await record_document(world, GUID)
    await advance(world, "ingest")
    await advance(world, "create")
    await world.sql("UPDATE metadata.document SET revision = revision + 1")
    assert (await flags(world))["update_metadata"] == "YES"


async def test_the_job_list_names_the_modules_in_their_order(engine: AsyncEngine) -> None:
    world = await herbarium(engine)
    (row,) = await world.sql("SELECT job_list FROM track.dassco WHERE _id = :guid", guid=GUID)
    names = [entry["name"] for entry in row[0]]  # type: ignore[attr-defined]
    assert names == ["assetLoader", "barcode", "ocr", "cropping", "derivative", "clean_up"]
    assert {entry["hpc_job_id"] for entry in row[0]} == {"-9"}  # type: ignore[attr-defined]


async def test_a_derivative_waits_with_its_jobs_done_until_its_upload_begins(
    engine: AsyncEngine,
) -> None:
    world = await herbarium(engine)
    await world.register(new(CHILD, "DERIVATIVE", parent_guid=GUID, ppi=400))
    await record_document(world, CHILD)
    seen = await flags(world, CHILD)
    assert (seen["jobs_status"], seen["is_in_ars"], seen["has_new_file"]) == ("DONE", "NO", "YES")
    (create,) = [found for found in await world.claim() if found.guid == CHILD]
    await world.finish(create)
    (uploader,) = [found for found in await world.claim() if found.guid == CHILD]
    seen = await flags(world, CHILD)
    assert (seen["jobs_status"], seen["has_new_file"]) == ("STARTING", "UPLOADING")
    await world.finish(uploader)
    assert (await flags(world, CHILD))["has_new_file"] == "AWAIT"


async def test_every_state_of_a_job_has_a_word_of_dasscos(engine: AsyncEngine) -> None:
    statement = text(
        "SELECT track.dassco_status(state, 0) FROM unnest(CAST(:states AS text[])) state"
    )
    async with engine.connect() as connection:
        rows = await connection.execute(statement, {"states": [state.value for state in State]})
        words = set(rows.scalars())
    known = {"NONE", "WAITING", "STARTING", "QUEUED", "RUNNING", "DONE", "SKIPPED", "ERROR"}
    assert words == known | {"STOPPED"}
