"""Archive: into the archive, to durable copies there, and a share opened for the clusters."""

from prefect import flow

from tasks.archive.stages import STAGES
from tasks.dispatch.dispatcher import this_dispatcher
from tasks.dispatch.held_job import held_job
from track.jobs.claims import Claim


@flow(name="archive")
async def archive_asset(claim: Claim) -> None:
    """Do an asset's archive stages one after another, as far as its pipeline goes on with them.

    Args:
        claim: the first of these jobs, and what its dispatcher knows of it
    """
    dispatcher = this_dispatcher()
    step: Claim | None = claim
    while step is not None:
        async with held_job(step).run_stage():
            await STAGES[step.run](dispatcher, step.guid)
        step = await dispatcher.continue_with(claim.guid, frozenset(STAGES))
