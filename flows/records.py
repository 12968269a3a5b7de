"""Records: what the database wrote down of specimens that are long done goes into files."""

from datetime import timedelta
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks.upkeep.records import report, sweeping
from tasks.upkeep.run_names import named_by_time

Days = Annotated[int, Field(ge=30)]
"""Younger records are asked for still: by late calls, alarms and sites' faults."""


@flow(name="records", flow_run_name=named_by_time("records"))
async def records(keep_days: Days | None = None, dry_run: bool = False) -> State:
    """Have history, messages and earlier attempts of old assets leave the database.

    So do their batches, and refused batches and dispatchers that ended long ago.

    Args:
        keep_days: how long they stay after an asset's end, or their own, 30 or more; empty: for
            ever
        dry_run: only count whose would leave, and say whose would not and why
    """
    if keep_days is None:
        return Completed(message="keep_days is not set: all records stay")
    async with sweeping(timedelta(days=keep_days), dry_run=dry_run) as sweep:
        return await report(sweep)
