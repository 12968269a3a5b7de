"""Reconcile: once a minute, whatever was left behind by something that died is set right."""

from datetime import timedelta
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.reconciliation import reconciling, report, set_right


@flow(name="reconcile")
async def reconcile(
    patience_s: Annotated[float, Field(ge=15)] = 60,
    registration_s: Annotated[float, Field(ge=15)] = 300,
) -> State:
    """Wake what nobody is at, end what belongs to the dead, tell the archive what it is owed.

    Args:
        patience_s: how long something must have stood still before it counts as left behind
        registration_s: the same for a session whose specimens are not registered yet
    """
    async with reconciling() as engine:
        found = await set_right(
            engine, timedelta(seconds=patience_s), timedelta(seconds=registration_s)
        )
    return await report(found)
