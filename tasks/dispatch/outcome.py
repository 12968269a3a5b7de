"""Awaiting what becomes of a job at its site, and the outputs that its driver brings."""

import asyncio

from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Cancelled, Completed, Failed

from tasks.dispatch.dispatcher import this_dispatcher
from tasks.dispatch.held_job import HeldJob
from tasks.dispatch.waves import PARKED
from track.jobs import at_site
from track.jobs.outputs import retrieval
from track.schema.database import transact
from track.schema.states import State

POLL_S = 1.0


async def outcome(job: HeldJob) -> tuple[bool, PrefectState | None]:
    """Wait until a job came back with all its outputs, and take it: (True, None) when something
    is left to do outside the database.

    Otherwise how the subflow ends: parked, to be tried again, failed with the reason; or None,
    when the job is done, or another one has it.
    """
    state = await this_dispatcher().callbacks.await_end(job.claim.job_id)
    if state is not State.RETURNED:
        return False, await _ended(job, state)
    taken = await job.take_back()
    if taken is None or taken.done:
        return False, None
    ending = await outputs_here(job, taken.trouble)
    return ending is None, ending


async def _ended(job: HeldJob, state: State | None) -> PrefectState:
    if state is None:
        return Completed(name=PARKED, message="its site has it; a callback goes on with it")
    why = await transact(job.engine, at_site.reason_of, job.claim.job_id)
    match state:
        case State.FAILED:
            return Failed(message=why)
        case State.CANCELLED:
            return Cancelled(message=why)
    return Completed(name="Retrying", message=why)


async def outputs_here(job: HeldJob, trouble: str | None = None) -> PrefectState | None:
    """Wait until all that a stage declares as its outputs is here, checked; then None.

    `trouble` is what was reported of them last. When the site has lost it the job is tried again,
    and how its subflow ends is returned.
    """
    while trouble is None:
        await asyncio.sleep(POLL_S)
        trouble = await transact(job.engine, retrieval, job.claim.job_id)
    if not trouble:
        return None
    why = f"its outputs are lost: {trouble}"
    await transact(
        job.engine, at_site.do_again, job.claim.job_id, job.holder, actor=job.actor, why=why
    )
    return Completed(name="Retrying", message=why)
