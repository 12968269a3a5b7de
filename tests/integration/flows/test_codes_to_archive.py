"""What a cluster reads reaches the archive, identifiers too; what names no specimen fails none."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from flows.dispatch import dispatch
from flows.operate import attention
from schemas.pace import Pace
from tests.support.archive import Archive
from tests.support.archive_road import NAMED
from tests.support.at_site import complete, describe, start
from tests.support.callbacks import until
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.schema.states import State as JobState

QR = "http://coll.mfn-berlin.de/u/{}"
ROAD: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {
            "key": "barcode",
            "run": "module barcode",
            "needs": "create",
            "writes": ["asset_subject", "barcode", "multi_specimen"],
            "params": {"patterns": {"uri": r"http://coll\.mfn-berlin\.de/u/(\w+)"}},
        },
        {"key": "finalise", "run": "refinery.finalise", "needs": "barcode"},
    ],
}
PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600, idle_s=600)
PATIENCE_S = 120


async def reads(world: World, guid: str, *codes: str) -> None:
    """The cluster reads a sheet, once it has the job."""

    async def queued() -> bool:
        return (await world.states(guid))["barcode"] == JobState.QUEUED

    await until(queued)
    ((attempt,),) = await world.sql(
        "SELECT attempt_id FROM track.job WHERE asset_guid = :g AND state = 'queued'", g=guid
    )
    assert isinstance(attempt, int)
    await start(world, attempt)
    barcode = {"asset_subject": "specimen", "barcodes": codes}
    await complete(world, attempt, result={"barcode": barcode})


async def test_identifiers_reach_the_archive_and_an_unknown_one_waits_for_a_person(
    blocks: Path, engine: AsyncEngine, archive: Archive
) -> None:
    known, unknown = str(uuid.uuid4()), str(uuid.uuid4())
    number = uuid.uuid4().hex[:8]
    world = await undispatched(engine, ROAD, new(known), new(unknown), archive=archive.block())
    await describe(world, known, unknown, **NAMED, preparation_type="sheet")

    async def is_done(guid: str, stage: str) -> bool:
        return (await world.states(guid))[stage] == JobState.DONE

    run = asyncio.create_task(dispatch(world.session_id, PACE, return_state=True))
    try:
        await reads(world, known, QR.format(number), number)
        await reads(world, unknown, "https://example.org/elsewhere")
        await until(lambda: is_done(known, "finalise"))
        await until(lambda: is_done(unknown, "barcode"))
        assert (await world.states(unknown))["finalise"] == JobState.READY
        await attention(by="ib", guid=unknown, return_state=True)
        async with asyncio.timeout(PATIENCE_S):
            assert (await run).name == "Finished"
    finally:
        run.cancel()
        await asyncio.wait([run])
    async with ArsClient(archive.address) as ars:
        held = [await ars.assets.get(guid) for guid in (known, unknown)]
    ((link,), nothing) = [(each or {}).get("asset_specimen") or () for each in held]
    assert link["specimen_pid"] == QR.format(number)
    assert link["specimen"]["barcode"] == number
    assert nothing == ()
