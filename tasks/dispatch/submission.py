"""Handing a job to a site's queue; a driver takes it from there."""

from prefect.client.schemas.objects import State as PrefectState
from prefect.states import Cancelled, Completed, Failed
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks.dispatch.dispatcher import Dispatcher
from track.jobs import verbs
from track.jobs.claims import Claim, take_returned
from track.jobs.moves import Guard
from track.jobs.sites import NoSite, choose_site
from track.schema.database import transact
from track.schema.states import State
from track.schema.tables import job

NO_SITE_S = 5.0  # it was closed this very moment: the job is not claimed before one is open
NO_SITE_AT_MOST_S = 300.0


async def submit(dispatcher: Dispatcher, claim: Claim) -> int | None:
    """Queue a claimed job at the best open site; its attempt, or None when no site is open.

    A job that has been handed over already is left where it is.
    """

    async def work(tx: AsyncConnection) -> int | None:
        found = await tx.execute(
            select(job.c.state, job.c.attempt_id).where(job.c.id == claim.job_id)
        )
        state, attempt_id = found.one()
        if state != State.CLAIMED:
            return int(attempt_id)
        try:
            site = await choose_site(tx, claim.job_id)
        except NoSite as error:
            guard = Guard(dispatcher_id=dispatcher.id)
            await verbs.try_again(
                tx,
                claim.job_id,
                actor=dispatcher.actor,
                why=str(error),
                uses_try=False,
                guard=guard,
                delay_s=NO_SITE_S,
                grows_to_s=NO_SITE_AT_MOST_S,
            )
            return None
        return await verbs.enqueue_at_site(
            tx, claim.job_id, site, dispatcher_id=dispatcher.id, actor=dispatcher.actor
        )

    return await transact(dispatcher.engine, work)


async def wait_for_outcome(dispatcher: Dispatcher, claim: Claim) -> PrefectState | None:
    """Wait until the site is done with a job: None when it brought a result.

    Otherwise how the subflow ends: parked, to be tried again, failed with the reason.
    """
    match await dispatcher.callbacks.settled(claim.job_id):
        case State.RETURNED:
            return None
        case None:
            return Completed(name="Parked", message="its site has it; a callback goes on with it")
        case State.FAILED:
            return Failed(message=await _reason(dispatcher, claim))
        case State.CANCELLED:
            return Cancelled(message=await _reason(dispatcher, claim))
        case _:
            return Completed(name="Retrying", message=await _reason(dispatcher, claim))


async def _reason(dispatcher: Dispatcher, claim: Claim) -> str:
    async with dispatcher.engine.connect() as connection:
        statement = select(job.c.reason).where(job.c.id == claim.job_id)
        return (await connection.execute(statement)).scalar_one() or ""


async def claim_returned(dispatcher: Dispatcher, claim: Claim) -> bool:
    """Take a job that came back, for its last effects; False when another one has it."""
    return await transact(
        dispatcher.engine, lambda tx: take_returned(tx, claim.job_id, dispatcher.id)
    )
