"""Module: one stage of one asset at a site, from its queue to its result in the archive."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.archive.metadata import push_changed
from tasks.archive.stages import have_share_open
from tasks.dispatch.dispatcher import this_dispatcher
from tasks.dispatch.holding import reschedule_on_error, run_stage
from tasks.dispatch.retrieval import outputs_here
from tasks.dispatch.submission import claim_returned, submit, wait_for_outcome
from track.jobs.claims import Claim


async def run_module(claim: Claim) -> State | None:
    """Hand one stage to a site, then follow it there in a subflow of its own.

    In this order, since Prefect takes a quarter of a second to make a run: nothing that a
    site is to do waits for that.
    """
    dispatcher = this_dispatcher()
    async with reschedule_on_error(dispatcher, claim):
        await have_share_open(dispatcher, claim)
    await submit(dispatcher, claim)
    return await follow_module(claim)


@flow(name="module", flow_run_name="{claim.guid} {claim.stage}")
async def follow_module(claim: Claim) -> State | None:
    """Await a stage's callback and outputs, push what it changed, let the next one run."""
    dispatcher = this_dispatcher()
    ending = await wait_for_outcome(dispatcher, claim)
    if ending is not None or not await claim_returned(dispatcher, claim):
        return ending
    ending = await outputs_here(dispatcher, claim)
    if ending is None:
        async with run_stage(dispatcher, claim):
            await push_changed(dispatcher, claim.guid)
        dispatcher.notify()  # the next stage need not wait until Prefect has this run's end
    return ending
