"""Polls and ends jobs of which only the ids are known, since scripts told them."""

from collections.abc import Mapping

from hpc.scheduler import by_id
from hpc.scheduler.slurm import scancel_command
from hpc.sites.slurm.state import SiteState

CLOCKS_APART_S = 60.0
"""How far clocks may be apart, in seconds, beyond what was measured when the site was greeted."""


async def poll(state: SiteState, told_at: Mapping[str, float]) -> by_id.Shown | None:
    """What the queue shows of ids, and accounting of what the queue does not; None: no answer.

    `told_at`: by when each id had been told to us, in seconds since 1970. Of a job that has an
    id now and was submitted later nothing is shown: it is somebody else's. Raises WireError,
    TruncatedAnswer.
    """
    cluster, skew = state.cluster, state.hello.clock_skew_s if state.hello else 0.0
    told = {each: at + skew + CLOCKS_APART_S for each, at in told_at.items()}
    ids = sorted(told)
    code, output, complaint = await cluster.run(by_id.squeue_command(ids))
    shown = by_id.read_queue(code, output.splitlines(), complaint, ids)
    if shown is None:
        state.squeue.note(complaint.strip() or f"it ended with code {code}", state.clock())
        return None
    if others := by_id.strangers(shown, told):
        _, output, _ = await cluster.run(by_id.restart_command(sorted(others)))
        shown = by_id.without(shown, others - by_id.read_restarted(output.splitlines()))
    gone = [each for each in ids if not shown[each]]
    if not gone or not state.accounting:
        return shown
    code, output, complaint = await cluster.run(by_id.sacct_command(gone))
    past = by_id.read_accounting(code, output.splitlines(), complaint, gone, told)
    return {**shown, **(past or {})}


async def stop(state: SiteState, told_at: Mapping[str, float]) -> bool:
    """End those jobs that are ours and alive; False when the queue gave no answer.

    Raises WireError, TruncatedAnswer.
    """
    shown = await poll(state, told_at)
    if shown is None:
        return False
    alive = {task.native_id for tasks in shown.values() for task in tasks if task.state.alive}
    if alive:
        await state.cluster.run(scancel_command(sorted(alive)))
    return True
