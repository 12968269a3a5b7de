"""The flow of old records: after its days, as a dry run, never without a number."""

from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import ParameterTypeError
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.records import records
from tests.support.old_assets import old_world, rows_of


async def ran(**given: Any) -> str:
    state = await records(**given, return_state=True)
    assert state.is_completed()
    return str(state.message)


async def test_records_leave_after_their_days_below_the_folder_beside_the_store(
    blocks: Path, engine: AsyncEngine
) -> None:
    world = await old_world(engine, "g", "held")
    await world.sql("UPDATE track.asset SET attention = 'look' WHERE guid = 'held'")
    assert await ran() == "keep_days is not set: all records stay"
    assert await ran(keep_days=402) == "records left of 0 assets, 0 rows; stayed of 0"
    assert (await ran(keep_days=400, dry_run=True)).startswith("records would leave of 1 assets")
    rows = sum(map(len, (await rows_of(world, "g")).values())) - 1  # the last attempt
    assert await ran(keep_days=400) == f"records left of 1 assets, {rows} rows; stayed of 1"
    (folder,) = (blocks / "records").glob("*/*")
    async with get_client() as client:
        artifacts = await client.read_latest_artifacts()
    (told,) = (each for each in artifacts if each.key == "records")
    assert folder.name in str(told.data) and "held: it is held for a person" in str(told.data)


async def test_days_that_are_too_few_are_refused() -> None:
    with pytest.raises(ParameterTypeError, match="greater than or equal to 30"):
        await records(keep_days=7)
