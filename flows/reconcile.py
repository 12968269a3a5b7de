"""Reconcile: once a minute, whatever was left behind by something that died is set right."""

from datetime import timedelta
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from schemas.alarm_patience import DEFAULT_PATIENCE, AlarmPatience
from tasks.upkeep.alarms import raise_alarms
from tasks.upkeep.reconcile import reconciling, report, set_right
from tasks.upkeep.run_names import named_by_time


@flow(name="reconcile", flow_run_name=named_by_time("reconcile"))
async def reconcile(
    patience_s: Annotated[float, Field(ge=15)] = 60,
    registration_s: Annotated[float, Field(ge=15)] = 300,
    free_gb: Annotated[float, Field(ge=0)] = 5,
    alarms: AlarmPatience = DEFAULT_PATIENCE,
) -> State:
    """Wake what nobody is at, end what belongs to the dead, push the metadata the archive lacks.

    What is wrong with a part of the system (overdue jobs, failing stages, silent services, a full
    disk, an archive that is away) is told when it begins, daily while it lasts, and when it ends.

    Args:
        patience_s: how long something must have stood still before it counts as left behind
        registration_s: the same for a session whose specimens are not registered yet
        free_gb: less free room than this under the store or the N-Drive is told of, in GB
        alarms: how long a service or the archive must be away before it is told of
    """
    async with reconciling() as engine:
        found = await set_right(
            engine, timedelta(seconds=patience_s), timedelta(seconds=registration_s)
        )
        raised = await raise_alarms(engine, free_gb, alarms)
        found.alarms, found.notes = len(raised), found.notes + raised
    return await report(found)
