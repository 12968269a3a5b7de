"""Finalise: the share closed, the last metadata archived, and the specimen at its end."""

from prefect import flow

from tasks.archive.finalise import finalise, is_final
from tasks.dispatch.dispatcher import this_dispatcher
from tasks.dispatch.held_job import held_job
from tasks.dispatch.reports import announce_finalised
from track.jobs.claims import Claim


@flow(name="finalise")
async def finalise_asset(claim: Claim) -> None:
    """Close, date, push, read back, perhaps lock; its end is noted when the stage is finished.

    Args:
        claim: the job, and what its dispatcher knows of it
    """
    dispatcher = this_dispatcher()
    async with held_job(claim).run_stage():
        await finalise(dispatcher, claim)
    if await is_final(dispatcher, claim):
        announce_finalised(dispatcher, claim)
