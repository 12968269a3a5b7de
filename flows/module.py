"""Module: one stage of one asset at a site, from its queue to its result in the archive."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.dispatcher import this_dispatcher
from tasks.holding import holding
from tasks.metadata import push_patiently
from tasks.retrieval import outputs_here
from tasks.submission import come_back, submit, take_back
from track.claims import Claim


@flow(name="module", flow_run_name="{claim.guid} {claim.stage}")
async def run_module(claim: Claim) -> State | None:
    """Hand one stage to a site, await callback and outputs, push changes, let the next one run."""
    dispatcher = this_dispatcher()
    await submit(dispatcher, claim)
    ending = await come_back(dispatcher, claim)
    if ending is not None or not await take_back(dispatcher, claim):
        return ending
    ending = await outputs_here(dispatcher, claim)
    if ending is None:
        async with holding(dispatcher, claim):
            await push_patiently(dispatcher, claim.guid)
        dispatcher.stir()  # the next stage need not wait until Prefect has this run's end
    return ending
