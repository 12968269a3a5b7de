"""Module: one stage of one asset at a site, from its queue to its result in the archive."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.archive.metadata import push_changed
from tasks.archive.stages import have_share_open
from tasks.dispatch.held_job import held_job
from tasks.dispatch.outcome import outcome
from track.jobs.claims import Claim


async def run_module(claim: Claim) -> State | None:
    """Hand one stage to a site, then follow it there in a subflow of its own.

    In this order, since Prefect takes a quarter of a second to make a run: nothing that a
    site is to do waits for that.
    """
    job = held_job(claim)
    async with job.reschedule_on_error():
        await have_share_open(job)
    await job.submit()
    return await follow_module(claim)


@flow(name="module", flow_run_name="{claim.guid} {claim.stage}")
async def follow_module(claim: Claim) -> State | None:
    """Await a stage's callback and outputs, push what it changed, let the next one run."""
    job = held_job(claim)
    returned, ending = await outcome(job)
    if returned:
        async with job.run_stage(notify=True):
            await push_changed(job)
    return ending
