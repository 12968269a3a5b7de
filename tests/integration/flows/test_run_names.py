"""What runs are called on Prefect's server, so that a person finds one."""

import re
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from flows import operate
from flows.prune import prune
from flows.records import records


async def name_of(state: State[Any]) -> str:
    assert state.state_details.flow_run_id is not None
    async with get_client() as client:
        return (await client.read_flow_run(state.state_details.flow_run_id)).name


async def test_a_run_by_schedule_is_named_by_the_minute_it_was_due(blocks: Path) -> None:
    name = await name_of(await records(return_state=True))
    assert re.fullmatch(r"records \d{4}-\d\d-\d\d \d\d:\d\d", name)
    name = await name_of(await prune(dry_run=True, return_state=True))
    assert name.startswith("prune dry run 20")


async def test_a_verbs_run_is_named_by_what_was_asked_and_leaves_out_what_was_not(
    blocks: Path,
) -> None:
    state: State[Any] = await operate.switch(
        by="ada", on=False, pipeline="P", stage="ocr", return_state=True
    )
    assert await name_of(state) == "switch off P ocr by ada"
    state = await operate.retention(by="ada", kind="store", days=3, dry_run=True, return_state=True)
    assert await name_of(state) == "retention store dry run by ada"
