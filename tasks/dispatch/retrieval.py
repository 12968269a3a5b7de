"""Awaiting the outputs that a site's driver brings, before their job is done."""

import asyncio

from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Completed
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks.dispatch.dispatcher import Dispatcher
from track.jobs import verbs
from track.jobs.claims import Claim
from track.jobs.moves import Guard
from track.jobs.outputs import retrieval
from track.schema.database import transact
from track.schema.states import State

LOOK_S = 1.0


async def outputs_here(dispatcher: Dispatcher, claim: Claim) -> PrefectState | None:
    """Wait until all that a stage declares as its outputs is here, checked; then None.

    When the site has lost it the job is tried again, and how its subflow ends is returned.
    """
    trouble: str | None = None
    while trouble is None:
        trouble = await transact(dispatcher.engine, lambda tx: retrieval(tx, claim.job_id))
        if trouble is None:
            await asyncio.sleep(LOOK_S)
    if not trouble:
        return None
    why = f"its outputs are lost: {trouble}"
    await transact(dispatcher.engine, lambda tx: _do_again(tx, dispatcher, claim, why))
    return Completed(name="Retrying", message=why)


async def _do_again(tx: AsyncConnection, dispatcher: Dispatcher, claim: Claim, why: str) -> None:
    """Have the stage done again, unless a person has decided meanwhile what becomes of it."""
    if (await verbs.locked_job(tx, claim.job_id)).state is State.RETURNED:
        guard = Guard(dispatcher_id=dispatcher.id)
        await verbs.try_again(
            tx, claim.job_id, actor=dispatcher.actor, why=why, uses_try=True, guard=guard
        )
