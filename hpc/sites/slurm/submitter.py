"""Sends a site its batches: each committed first, submitted once, adopted when in doubt.

All that waits goes together in one tar and one command. A batch whose answer was lost is
sent again under its key; over there its id is told, or its job looked for by name. Only
when two looks, further apart than a message can travel, both found nothing may it be
submitted a second time. What a site declines is `hpc.sites.slurm.refusals`' to deal with.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.remote import TruncatedAnswer
from hpc.scheduler.ladder import asked_for
from hpc.sites.collect import refuse
from hpc.sites.shipping import Parcel, batch_script, parcel
from hpc.sites.slurm.cluster import Sent, SiteTrouble, SubmitOutcome
from hpc.sites.slurm.refusals import NO, Answers
from hpc.sites.slurm.state import SiteState
from hpc.transport.errors import WireError
from schemas.backoff import Backoff
from track.jobs.batches import (
    Batch,
    mark_ended,
    mark_refused,
    read_batches,
    unconfirmed_batches,
)
from track.jobs.batching import take_batches
from track.jobs.site_load import read_load
from track.schema.database import transact

MARGIN_S = 2.0
AGAIN_S = 1.0
BLIND_S = 5.0
TROUBLE_PAUSES = Backoff(15.0, 300.0)
"""After the site's own fault, such as a full disk, until anything is sent again."""

UNANSWERED_PAUSES = Backoff(2.0, 300.0)
"""The least time between submissions of one batch of which sbatch gave no answer."""

MOST_AT_ONCE = 20_000
STILL_AT_IT = "an earlier sbatch of ours is still under way there"

log = logging.getLogger(__name__)


@dataclass
class UnconfirmedBatch:
    """A batch without an id: when to look again, since when a look finds nothing, whether it
    is proven that there is no job, how many submissions went unanswered, and when another may
    follow."""

    due_at: float
    absent_since: float | None = None
    proven: bool = False
    times: int = 0
    again_at: float = 0.0


@dataclass
class Submitter:
    """Sends what is queued. `doubts` are batches whose fate is open, by id; `unheard` those
    of them of which sbatch gave no answer."""

    state: SiteState
    unconfirmed: dict[int, UnconfirmedBatch] = field(default_factory=dict)
    unheard: set[int] = field(default_factory=set)
    held_until: float = 0.0
    holds: int = 0
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self.answers = Answers(self.state)

    async def adopt(self) -> None:
        """Take up the batches that an earlier driver meant to send."""
        found = await transact(
            self.state.engine, lambda tx: unconfirmed_batches(tx, self.state.site.name)
        )
        for batch_id in found:
            self.unconfirmed.setdefault(batch_id, UnconfirmedBatch(due_at=self.state.clock()))

    async def send(self) -> bool:
        """Send everything that is queued and what is in doubt and due; whether there was any.

        Raises WireError, TruncatedAnswer, SiteTrouble; the batches then stay in doubt.
        """
        now = self.state.clock()
        # First the wire: what no batch holds yet can still go to another site.
        await self.state.cluster.wire.open()
        for batch_id in await self._take():
            self.unconfirmed[batch_id] = UnconfirmedBatch(due_at=now)
        due = [batch_id for batch_id, doubt in self.unconfirmed.items() if doubt.due_at <= now]
        if not due:
            return False
        batches = await transact(self.state.engine, lambda tx: read_batches(tx, due))
        arrays = [each for each in await self._wanted(batches) if not each.is_script]
        grants = await self._grants(arrays)
        if grants:
            await self._ship([batch for batch in arrays if batch.id in grants], grants)
        return True

    async def _grants(self, batches: Iterable[Batch]) -> dict[int, str]:
        """What goes along with each batch that may go; one whose inputs are on their way waits."""
        relay = self.state.relay
        if relay is None:
            return {batch.id: "" for batch in batches}
        found = {batch.id: await relay.provide(batch) for batch in batches}
        return {batch_id: text for batch_id, text in found.items() if text is not None}

    def scripts(self) -> list[int]:
        """Batches in doubt and due; those that run scripts are the caller's to find."""
        now = self.state.clock()
        return [batch_id for batch_id, doubt in self.unconfirmed.items() if doubt.due_at <= now]

    def settled(self, batch_id: int) -> None:
        """A batch is in doubt no more."""
        self.unconfirmed.pop(batch_id, None)
        self.unheard.discard(batch_id)

    async def _take(self) -> list[int]:
        """Commit batches of what is queued, as far as there is room at the site."""
        state = self.state
        if not self.unheard:
            state.sbatch.lapse(state.clock())
        self.answers.lapse()
        if state.clock() < self.held_until or state.faulty() or state.quiet:
            return []

        async def take(tx: AsyncConnection) -> list[int]:
            load = await read_load(tx, state.site.name)
            room = state.site.capacity - load.sent
            if state.site.max_queued is not None:
                room = min(room, state.site.max_queued - load.waiting)
            if load.unsent == 0 or room <= 0:
                return []
            running = state.site.max_running
            return await take_batches(
                tx,
                state.site.name,
                members=min(room, MOST_AT_ONCE),
                size=min(state.site.max_array, state.limits.largest_array),
                shape=partial(asked_for, state.site.resources, allowed=state.allowed),
                running=None if running is None else running - load.throttled,
                limits=self.answers.limits(),
            )

        return await transact(state.engine, take)

    async def _wanted(self, batches: Iterable[Batch]) -> list[Batch]:
        """Those of which any attempt is still open; the others are over: no job of theirs,
        should there be one, is granted a start."""
        wanted = []
        for batch in batches:
            if any(member.open for member in batch.members):
                wanted.append(batch)
            else:
                await transact(self.state.engine, lambda tx, b=batch: mark_ended(tx, b.id))  # type: ignore[misc]
                self.settled(batch.id)
        return wanted

    async def _ship(self, batches: Sequence[Batch], grants: Mapping[int, str]) -> None:
        state = self.state
        again = {batch.key for batch in batches if self.unconfirmed[batch.id].proven}
        for batch in batches:
            # Should this process end now, the next one finds nothing proven; nor may we.
            doubt = self.unconfirmed[batch.id]
            self.unconfirmed[batch.id] = replace(
                doubt, due_at=state.clock() + AGAIN_S, proven=False
            )
        try:
            outcomes = await state.cluster.send(
                [self._parcel(batch, grants[batch.id]) for batch in batches],
                again=again,
                runner=None if state.runner_there else state.runner,
                accounting=state.accounting,
            )
        except (WireError, TruncatedAnswer) as error:
            log.warning("site %s: %s; its batches are in doubt", state.site.name, error)
            if isinstance(error, TruncatedAnswer):  # of the wire its breaker takes care
                self._unheard(batches, str(error))
            raise
        except SiteTrouble:
            self._hold()
            for batch in batches:
                self.unconfirmed[batch.id].due_at = self.held_until
            raise
        state.runner_there = True
        for batch in batches:
            sent = outcomes.get(batch.key, Sent(SubmitOutcome.DOUBT, why="not told"))
            await self._settle(batch, sent)

    def _parcel(self, batch: Batch, grants: str) -> Parcel:
        state = self.state
        script = batch_script(
            state.site,
            batch.key,
            len(batch.members),
            batch.resources,
            runner=f"../../bin/{state.runner.name}",
            prelude=state.cluster.prelude,
            exclude=state.avoided(),
        )
        return parcel(
            batch,
            script,
            state.keys,
            callback=state.callback,
            root=state.site.root,
            grants=grants,
        )

    async def _settle(self, batch: Batch, sent: Sent) -> None:
        """Draw the conclusions from what became of a submission."""
        now, name = self.state.clock(), self.state.site.name
        doubt = self.unconfirmed[batch.id]
        self._note_answer(batch, sent, now)
        match sent.outcome:
            case SubmitOutcome.KNOWN:
                await self.answers.took(batch, sent.job_id)
                self.settled(batch.id)
                self.held_until, self.holds = 0.0, 0
                if sent.others:
                    log.error("site %s: %s has more jobs: %s", name, batch.key, sent.others)
                    await self.state.cluster.cancel({batch.key: sent.others})
            case SubmitOutcome.REFUSED:
                await self._refuse(batch, sent.why)
            case outcome if outcome in NO:
                if await self.answers.declined(batch, sent):
                    self.settled(batch.id)
            case SubmitOutcome.ABSENT:
                since = now if doubt.absent_since is None else doubt.absent_since
                travelled = self.state.limits.message_timeout_s + MARGIN_S
                proven = now - since > travelled
                due = now + AGAIN_S * (not proven)
                if proven:  # the next is a submission
                    due = max(due, self.state.sbatch.again_at, doubt.again_at)
                self.unconfirmed[batch.id] = replace(
                    doubt, due_at=due, absent_since=since, proven=proven
                )
            case SubmitOutcome.QUEUE_UNREADABLE:
                due = max(now + BLIND_S, self.state.squeue.again_at)
                self.unconfirmed[batch.id] = replace(doubt, due_at=due)
                await self.answers.tell(batch, f"cannot be asked whether it took it: {sent.why}")
            case SubmitOutcome.BUSY:
                due = max(now + AGAIN_S, self.state.sbatch.again_at)
                self.unconfirmed[batch.id] = replace(doubt, due_at=due)
                await self.answers.tell(batch, f"has not taken it yet: {STILL_AT_IT}")
            case SubmitOutcome.DOUBT:
                log.warning("site %s: %s may or may not be there: %s", name, batch.key, sent.why)
                due = max(now + AGAIN_S, self.state.sbatch.again_at)
                times = doubt.times + 1
                self.unconfirmed[batch.id] = UnconfirmedBatch(
                    due, times=times, again_at=now + UNANSWERED_PAUSES.pause_s(times)
                )
                await self.answers.unheard(batch, times, sent.why)

    def _note_answer(self, batch: Batch, sent: Sent, now: float) -> None:
        """What a submission's fate says of sbatch and squeue over there."""
        state = self.state
        match sent.outcome:
            case outcome if outcome in NO or outcome in (
                SubmitOutcome.KNOWN,
                SubmitOutcome.REFUSED,
            ):
                state.sbatch.clear()
                self.unheard.discard(batch.id)
            case SubmitOutcome.DOUBT:
                self._unheard([batch], sent.why)
            case SubmitOutcome.BUSY:
                self._unheard([batch], STILL_AT_IT)
            case SubmitOutcome.QUEUE_UNREADABLE:
                state.squeue.note(sent.why, now)
            case SubmitOutcome.ABSENT:
                state.squeue.clear()

    def _unheard(self, batches: Iterable[Batch], why: str) -> None:
        """sbatch gave no answer: it is asked again after a growing pause."""
        state = self.state
        state.sbatch.note(why, state.clock())
        for batch in batches:
            self.unheard.add(batch.id)
            doubt = self.unconfirmed[batch.id]
            doubt.due_at = max(doubt.due_at, state.sbatch.again_at)

    def _hold(self) -> None:
        self.holds += 1
        self.held_until = self.state.clock() + TROUBLE_PAUSES.pause_s(self.holds)

    async def _refuse(self, batch: Batch, why: str) -> None:
        """The same again would be refused again: the jobs fail, with Slurm's own words."""
        told = f"{self.state.site.name} refuses what the stage asks for: {why}"

        async def work(tx: AsyncConnection) -> None:
            for member in batch.members:
                await refuse(tx, member, why=told, actor=self.state.actor)
            await mark_refused(tx, batch.id)

        await transact(self.state.engine, work)
        self.settled(batch.id)
