"""Jobs' way to a site and back to their subflow; each step is one transaction's worth."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs import verbs
from track.jobs.claims import take_returned
from track.jobs.locked import locked_job, locked_jobs
from track.jobs.moves import Guard
from track.jobs.outputs import retrievals
from track.jobs.setbacks import Setback
from track.jobs.sites import choose_sites
from track.schema.states import State
from track.schema.tables import job

NO_SITE_S = 5.0  # it was closed this very moment: the job is not claimed before one is open
MAX_NO_SITE_S = 300.0


async def submit_all(
    tx: AsyncConnection, job_ids: Sequence[int], dispatcher_id: UUID, *, actor: str
) -> dict[int, int | None]:
    """Queue claimed jobs, each at its best open site; their attempts, None where no site is open.

    A job that has been queued already is left where it is. One that is claimed, but not by this
    dispatcher, is not among them.
    """
    found = await locked_jobs(tx, job_ids)
    queued = {each.id: each.attempt_id for each in found if each.state != State.CLAIMED}
    claimed = [each.id for each in found if each.state == State.CLAIMED]
    sites = await choose_sites(tx, claimed)
    for site in sorted({*sites.values()}):
        there = [job_id for job_id in claimed if sites.get(job_id) == site]
        queued |= await verbs.enqueue_all(tx, there, site, dispatcher_id=dispatcher_id, actor=actor)
    nowhere = {
        job_id: Setback(
            f"job {job_id}: no open site may take it", delay_s=NO_SITE_S, grows_to_s=MAX_NO_SITE_S
        )
        for job_id in claimed
        if job_id not in sites
    }
    guard = Guard(dispatcher_id=dispatcher_id)
    put_off = await verbs.try_again_all(tx, nowhere, actor=actor, guard=guard)
    queued |= dict.fromkeys(put_off)
    return queued


async def take_back_all(
    tx: AsyncConnection, job_ids: Sequence[int], dispatcher_id: UUID
) -> dict[int, str | None]:
    """Take jobs that came back, for their last effects: those taken, and by `retrieval` how their
    outputs stand."""
    return await retrievals(tx, await take_returned(tx, job_ids, dispatcher_id))


async def do_again(
    tx: AsyncConnection, job_id: int, dispatcher_id: UUID, *, actor: str, why: str
) -> None:
    """Have a returned stage done again, unless a person decided meanwhile what becomes of it."""
    if (await locked_job(tx, job_id)).state is State.RETURNED:
        guard = Guard(dispatcher_id=dispatcher_id)
        await verbs.try_again(tx, job_id, actor=actor, why=why, uses_try=True, guard=guard)


async def reason_of(tx: AsyncConnection, job_id: int) -> str:
    """Why a job stands as it does; empty without a reason."""
    return (await tx.execute(select(job.c.reason).where(job.c.id == job_id))).scalar_one() or ""
