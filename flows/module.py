"""Module: one stage of one asset at a site, from its queue to its result in the archive."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.archive.metadata import push_changed
from tasks.archive.stages import submit_with_share
from tasks.dispatch.held_job import held_job
from tasks.dispatch.outcome import outcome
from track.jobs.claims import Claim


@flow(name="module")
async def run_module(claim: Claim) -> State | None:
    """Hand a stage to a site, await its callback and outputs there, push what it changed.

    Args:
        claim: the job, and what its dispatcher knows of it
    """
    job = held_job(claim)
    async with job.reschedule_on_error():
        await submit_with_share(job)
    unfinished, ending = await outcome(job)
    if unfinished:
        async with job.run_stage():
            await push_changed(job)
    return ending
