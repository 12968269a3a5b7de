"""What goes on when an archive is back: what was put off for it, and nothing else."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands.resuming import resume, resume_after, try_one
from track.jobs import verbs
from track.jobs.setbacks import Setback
from track.schema.database import transact

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create"},
        {"key": "sync", "run": "refinery.synchronise"},
        {"key": "ocr", "run": "module ocr"},
        {"key": "load", "run": "module load"},
    ],
}
SOONER = """
    SELECT s.key, j.asset_guid FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    WHERE j.available_at <= now() ORDER BY 1, 2
"""


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Two specimens of which everything was put off; `load` was at a site before."""
    made = await World.make(engine, PIPELINE)
    await made.register(new("a"), new("b"))
    claims = await made.claim(limit=100)
    for claim in claims:
        if claim.stage == "load":
            await made.enqueue(claim.job_id, "here")
    away = Setback("away", delay_s=300, grows_to_s=300)
    put_off = {claim.job_id: away for claim in claims}
    await transact(engine, verbs.try_again_all, put_off, actor="test")
    assert await made.sql(SOONER) == []
    return made


async def test_what_was_put_off_for_the_archive_goes_on_and_neither_intake_nor_sites(
    world: World,
) -> None:
    assert await transact(world.engine, resume) == 6
    stages = [key for key, _ in await world.sql(SOONER)]
    assert stages == ["create", "create", "ocr", "ocr", "sync", "sync"]
    assert await transact(world.engine, resume) == 0


async def test_one_that_was_refused_first_is_tried_and_its_success_has_the_others_go_on(
    world: World,
) -> None:
    assert not await transact(world.engine, try_one)
    await world.sql(
        "UPDATE track.job SET effects = jsonb_build_object('erda', jsonb_build_object("
        "'since', CASE asset_guid WHEN 'a' THEN '2026-02-01' ELSE '2026-01-01' END, 'times', 9))"
        " WHERE stage_id = (SELECT id FROM track.stage WHERE key = 'sync')"
    )
    assert await transact(world.engine, try_one)
    assert await world.sql(SOONER) == [("sync", "b")]
    await transact(world.engine, resume_after, "unknown")
    assert len(await world.sql(SOONER)) == 1
    await transact(world.engine, resume_after, "b")
    assert len(await world.sql(SOONER)) == 6
