"""Cancels jobs at a cluster that nobody wants any more, again and again until their end is seen."""

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.ends import Meaning
from hpc.scheduler.by_id import NATIVE
from hpc.scheduler.slurm import scancel_command
from hpc.sites.collect import report
from hpc.sites.slurm.script_ends import poll_ids
from hpc.sites.slurm.state import SiteState
from track.jobs.site_load import Unwanted, unwanted
from track.schema.database import transact

CANCEL_AGAIN_S = 30.0


@dataclass
class Canceller:
    """Ends jobs of one site. `again_at` is when each attempt's job may be cancelled again."""

    state: SiteState
    again_at: dict[int, float] = field(default_factory=dict)

    async def cancel(self) -> bool:
        """End what nobody wants, all in one command; whether any was.

        Its end is seen at a later poll. Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        found = await transact(self.state.engine, unwanted, self.state.site.name)
        now = self.state.clock()
        due = [
            each
            for each in found
            if now >= self.again_at.get(each.attempt, 0.0) and NATIVE.fullmatch(each.external_id)
        ]
        still = {each.attempt for each in found}
        self.again_at = {each: at for each, at in self.again_at.items() if each in still}
        if not due or self._queue_unreadable():
            return False
        await self._end_unstarted(due)
        if not await self._end_jobs(due):
            return False
        # Only now: what a lost link kept from them is sent again at once.
        for each in due:
            self.again_at[each.attempt] = now + CANCEL_AGAIN_S
        return True

    def _queue_unreadable(self) -> bool:
        """Whether the queue gave no answer a moment ago; nothing is ended that is not shown."""
        return self.state.squeue.open and self.state.clock() < self.state.squeue.again_at

    async def _end_jobs(self, due: list[Unwanted]) -> bool:
        """End native jobs; False when the queue cannot be asked whose they are."""
        named: dict[str, list[str]] = {}
        ids: dict[str, float] = {}
        for each in due:
            if each.reported_at is None:
                named.setdefault(each.key, []).append(each.external_id)
            else:
                ids[each.external_id] = max(each.reported_at, ids.get(each.external_id, 0.0))
        if named and (silence := await self.state.cluster.cancel(named)):
            self.state.squeue.note(silence, self.state.clock())
            return False
        shown = await poll_ids(self.state, ids) if ids else {}
        if shown is None:
            return False
        alive = {task.native_id for tasks in shown.values() for task in tasks if task.state.alive}
        if alive:
            await self.state.cluster.run(scancel_command(sorted(alive)))
        return True

    async def _end_unstarted(self, due: list[Unwanted]) -> None:
        """Where the shared disk decides: what was never started is over once we have its start."""
        quiet = [each for each in due if each.open and not each.started]
        if self.state.relay is None or not quiet:
            return
        ours, _ = await self.state.relay.take((each.key, each.attempt) for each in quiet)

        async def work(tx: AsyncConnection) -> None:
            gone = Meaning("cancelled", False, "it was cancelled before it started")
            for attempt in sorted(ours):
                await report(tx, attempt, gone, actor=self.state.actor)

        await transact(self.state.engine, work)
