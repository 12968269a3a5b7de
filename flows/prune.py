"""Prune: temporary copies go once the archive proves that it holds what they held."""

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.upkeep.prune import pruning, report
from tasks.upkeep.run_names import named_by_time


@flow(name="prune", flow_run_name=named_by_time("prune"))
async def prune(dry_run: bool = False) -> State:
    """Sweep the copies whose time is up: on the N-Drive, in the store, at local sites.

    Args:
        dry_run: only list what would be removed, and what would be kept and why
    """
    async with pruning(dry_run=dry_run) as pruner:
        outcomes = [outcome async for outcome in pruner.sweep()]
    return await report(pruner, outcomes)
