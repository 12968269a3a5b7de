"""What follows when a site declines a batch: it goes back to the queue, and is sent again later.

A refusal is never held against a specimen. It is the jobs' reason, and they are sent again
after a growing pause, one batch at a time; smaller ones where their number was too large. When
a stage was refused often enough, the site is taken for broken or, if it takes other stages'
jobs, gets none of that module.
"""

import logging
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.ends import Meaning
from hpc.scheduler.refusals import SubmitOutcome
from hpc.scheduler.slurm import SubmitResult
from hpc.sites.collect import report
from hpc.sites.faults import ProgramFailures
from hpc.sites.slurm.state import SiteState
from schemas.backoff import Backoff
from track.commands.site_health import note_lack
from track.jobs.batches import Batch, mark_array, note_pending, release_declined, stages_at
from track.jobs.batching import StageLimits
from track.jobs.sites import note_fault
from track.schema.database import transact

MAX_REFUSALS = 3
"""How often in a row one stage is refused until its module goes elsewhere."""

MAX_FULL = 10
"""The same where there is no place for it, or no answer: after about half an hour."""

REFUSED_PAUSES = Backoff(15.0, 300.0)
WIDER_AFTER_S = 600.0
"""Limits are raised and queues empty: after so long a larger array is tried again."""

MAX_SIZE = 20_000

log = logging.getLogger(__name__)


@dataclass
class StageRecord:
    """What a site's answers showed of one stage, for as long as the driver lives.

    `size` is its largest array (None: what the site allows, 0: no array, each job alone);
    nothing of it is sent `until` then after `times` refusals in a row.
    """

    size: int | None = None
    narrowed_at: float = 0.0
    times: int = 0
    until: float = 0.0

    def narrow(self, refused: int, smallest: int, now: float) -> None:
        """An array of so many was too large; `smallest` is the smallest that may be tried."""
        half = max(smallest, refused // 2)
        self.size = half if self.size is None else min(self.size, half)
        self.narrowed_at = now

    def refused(self, now: float) -> None:
        """Note that the site did not take it: the next pause is longer."""
        if self.times and now < self.until:
            return  # another of the same command's
        self.times += 1
        self.until = now + REFUSED_PAUSES.pause_s(self.times)

    def taken(self, now: float) -> None:
        """Note that the site took what was sent."""
        self.times, self.until = 0, 0.0
        if self.size is not None and now - self.narrowed_at >= WIDER_AFTER_S:
            wider = max(1, 2 * self.size)
            self.size, self.narrowed_at = (wider if wider < MAX_SIZE else None), now


@dataclass
class Refusals:
    """Deals with what one site declines.

    `stages` is what is known of each stage, by its id; `noted`: that the site refuses everything
    is in the database already.
    """

    state: SiteState
    stages: dict[int, StageRecord] = field(default_factory=dict)
    noted: bool = False

    def of(self, batch: Batch) -> StageRecord:
        """What is known of a batch's stage."""
        return self.stages.setdefault(batch.stage_id, StageRecord())

    def limits(self) -> StageLimits:
        """The limits within which the next batches are made."""
        now, stages = self.state.clock(), self.stages.items()
        return StageLimits(
            max_sizes={each: record.size for each, record in stages if record.size is not None},
            paused={each for each, record in stages if now < record.until},
            probing={each for each, record in stages if record.times},
        )

    def lapse(self) -> None:
        """Note that nothing is left to be refused: the next work finds out."""
        for each in (self.state.denied, self.state.full):
            each.lapse(self.state.clock())

    async def took(self, batch: Batch, job_id: str) -> None:
        """Note the id of a batch that the site took, and that its jobs wait no more."""
        record = self.of(batch)
        held = record.times > 0 or record.size is not None

        async def work(tx: AsyncConnection) -> None:
            await mark_array(tx, batch.id, job_id, alone=batch.alone)
            if held:
                await note_pending(tx, batch.id, None)

        await transact(self.state.engine, work)
        record.taken(self.state.clock())
        self.state.denied.clear()
        self.state.full.clear()
        self.noted = False

    async def declined(self, batch: Batch, sent: SubmitResult) -> bool:
        """Release a batch that the site took nothing of; False when a job of it has started.

        Raises WireError, TruncatedAnswer, SiteTrouble where the shared disk grants starts.
        """
        state = self.state
        why = self._reason(batch, sent)
        if not await self._release(batch, why):
            return False
        log.warning("site %s: %s: %s", state.site.name, batch.key, why)
        there = await transact(state.engine, stages_at, state.site.name)
        if self._shrink(batch, sent.outcome, bool(there)):
            return True
        now, record = state.clock(), self.of(batch)
        record.refused(now)
        if sent.outcome in (SubmitOutcome.UNWILLING, SubmitOutcome.ARRAY):
            state.denied.note(sent.why, now)
            await self._bound(batch, record.times, MAX_REFUSALS, state.denied, why)
        elif there:
            state.full.clear()
        else:
            state.full.note(sent.why, now)
        crowded = sent.outcome in (SubmitOutcome.FULL, SubmitOutcome.FEWER)
        if crowded and batch.stage_id not in there:
            await self._bound(batch, record.times, MAX_FULL, state.full, why)
        return True

    async def unanswered(self, batch: Batch, times: int, why: str) -> None:
        """Note that so many times in a row the site did not answer whether it took a batch."""
        reason = await self.note(batch, f"did not say whether it took it: {why}")
        await self._bound(batch, times, MAX_FULL, self.state.sbatch, reason)

    async def note(self, batch: Batch, what: str) -> str:
        """Note on a batch's jobs what its site does; the reason as it is noted."""
        reason = f"site {self.state.site.name} {what}"
        await transact(self.state.engine, note_pending, batch.id, reason)
        return reason

    def _reason(self, batch: Batch, sent: SubmitResult) -> str:
        name = self.state.site.name
        match sent.outcome:
            case SubmitOutcome.ARRAY if not batch.alone:
                return f"site {name} takes no array of {len(batch.members)}: {sent.why}"
            case SubmitOutcome.FULL | SubmitOutcome.FEWER:
                return f"site {name} takes no more just now: {sent.why}"
        return f"site {name} refuses it, for no fault of the specimen's: {sent.why}"

    async def _release(self, batch: Batch, why: str) -> bool:
        """Put a batch's attempts back; those that were to be cancelled are, for no job exists."""
        state = self.state
        if state.relay is not None:
            # Should a job exist after all, it has lost its start before another may get one.
            mine = {member.attempt for member in batch.members if member.open}
            ours, _ = await state.relay.take((batch.key, attempt) for attempt in mine)
            if not mine <= ours:
                return False

        async def work(tx: AsyncConnection) -> bool:
            unwanted = await release_declined(tx, batch.id, why)
            gone = Meaning("cancelled", False, "it was cancelled before the site took it")
            for attempt in unwanted or ():
                await report(tx, attempt, gone, actor=state.actor)
            return unwanted is not None

        return await transact(state.engine, work)

    def _shrink(self, batch: Batch, outcome: SubmitOutcome, crowded: bool) -> bool:
        """Whether the batch was too large, and a smaller one may be tried at once.

        Where `crowded` with ours, too many at a time says nothing of one array's size; unless
        there is never room for it, since smaller ones are quicker.
        """
        record, size, now = self.of(batch), len(batch.members), self.state.clock()
        if outcome is SubmitOutcome.ARRAY and not batch.alone:
            record.narrow(size, 0, now)
            return True
        if outcome is not SubmitOutcome.FEWER or size == 1:
            return False
        if crowded and record.times < MAX_REFUSALS:
            return False
        record.narrow(size, 1, now)
        return not crowded

    async def _bound(
        self, batch: Batch, times: int, often: int, all_of: ProgramFailures, why: str
    ) -> None:
        """After many refusals, hold the site for broken when it takes nothing; when other stages'
        jobs were taken meanwhile, give it none of this module."""
        state, name, now = self.state, self.state.site.name, self.state.clock()
        if all_of is state.denied and all_of.proven(now) and not self.noted:
            await transact(state.engine, note_fault, name, all_of.describe(now))
            self.noted = True
        if times >= often and all_of.times < times:
            run = batch.members[0].run
            await transact(state.engine, note_lack, name, run, why)
