"""Ingest: from the N-Drive into the store, checked, with its metadata on record."""

from prefect import flow

from tasks.dispatch.dispatcher import this_dispatcher
from tasks.dispatch.held_job import held_job
from tasks.intake.folders import closing_folder
from tasks.intake.ingest import ingest
from track.jobs.claims import Claim


@flow(name="ingest")
async def ingest_asset(claim: Claim) -> None:
    """Take one specimen in, or put it into quarantine with the reason.

    Args:
        claim: the job, and what its dispatcher knows of it
    """
    dispatcher = this_dispatcher()
    async with closing_folder(dispatcher), held_job(claim).run_stage():
        await ingest(dispatcher, claim.guid)
