"""A job's way to a site and back to its subflow; each step is one transaction's worth."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs import verbs
from track.jobs.claims import take_returned
from track.jobs.moves import Guard
from track.jobs.outputs import retrieval
from track.jobs.sites import NoSite, choose_site
from track.schema.states import State
from track.schema.tables import job

NO_SITE_S = 5.0  # it was closed this very moment: the job is not claimed before one is open
MAX_NO_SITE_S = 300.0


async def submit(
    tx: AsyncConnection, job_id: int, dispatcher_id: UUID, *, actor: str
) -> int | None:
    """Queue a claimed job at the best open site; its attempt, or None when no site is open.

    A job that has been queued already is left where it is.
    """
    found = await tx.execute(select(job.c.state, job.c.attempt_id).where(job.c.id == job_id))
    state, attempt_id = found.one()
    if state != State.CLAIMED:
        return int(attempt_id)
    try:
        site = await choose_site(tx, job_id)
    except NoSite as error:
        await verbs.try_again(
            tx,
            job_id,
            actor=actor,
            why=str(error),
            uses_try=False,
            guard=Guard(dispatcher_id=dispatcher_id),
            delay_s=NO_SITE_S,
            grows_to_s=MAX_NO_SITE_S,
        )
        return None
    return await verbs.enqueue_at_site(tx, job_id, site, dispatcher_id=dispatcher_id, actor=actor)


async def take_back(
    tx: AsyncConnection, job_id: int, dispatcher_id: UUID
) -> tuple[bool, str | None]:
    """Take a job that came back, for its last effects: whether it was taken, and by `retrieval`
    how its outputs stand."""
    if not await take_returned(tx, job_id, dispatcher_id):
        return False, None
    return True, await retrieval(tx, job_id)


async def do_again(
    tx: AsyncConnection, job_id: int, dispatcher_id: UUID, *, actor: str, why: str
) -> None:
    """Have a returned stage done again, unless a person decided meanwhile what becomes of it."""
    if (await verbs.locked_job(tx, job_id)).state is State.RETURNED:
        guard = Guard(dispatcher_id=dispatcher_id)
        await verbs.try_again(tx, job_id, actor=actor, why=why, uses_try=True, guard=guard)


async def reason_of(tx: AsyncConnection, job_id: int) -> str:
    """Why a job stands as it does; empty without a reason."""
    return (await tx.execute(select(job.c.reason).where(job.c.id == job_id))).scalar_one() or ""
