"""Sends a site its batches: each committed first, submitted once, adopted when no answer came.

All that waits goes together in one tar and one command, and what is queued soon after a
submission waits for what follows it, so that a burst is a few arrays. A batch whose answer was
lost is sent again under its key; the script over there answers its id, or looks for its job by
name. Only when two searches, further apart than a message can travel, both found nothing may it be
submitted a second time. What a site declines is the subject of `hpc.sites.slurm.refusals`.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.remote import TruncatedAnswer
from hpc.scheduler.ladder import asked_for
from hpc.scheduler.refusals import SubmitOutcome
from hpc.scheduler.slurm import SubmitResult
from hpc.sites.collect import refuse
from hpc.sites.shipping import Parcel, batch_script, parcel
from hpc.sites.slurm.answers import SiteTrouble
from hpc.sites.slurm.refusals import Refusals
from hpc.sites.slurm.state import SiteState
from hpc.transport.errors import WireError
from schemas.backoff import Backoff
from track.jobs.batches import Batch, mark_ended, read_batches, unconfirmed_batches
from track.jobs.batching import take_batches
from track.jobs.site_load import read_load
from track.schema.database import transact

MARGIN_S = 2.0
"""Beyond the longest that a message of Slurm's may travel."""

AGAIN_S = 1.0
UNREADABLE_S = 5.0
"""Until a site is asked again whose queue gave no answer."""

TROUBLE_PAUSES = Backoff(15.0, 300.0)
"""After the site's own fault, such as a full disk, until anything is sent again."""

UNANSWERED_PAUSES = Backoff(2.0, 300.0)
"""The least time between submissions of one batch of which sbatch gave no answer."""

MAX_AT_ONCE = 20_000
STILL_BUSY = "an earlier sbatch of ours is still under way there"

log = logging.getLogger(__name__)


@dataclass
class UnconfirmedBatch:
    """A batch of which no native id is known.

    It is sent again at `due_at`. No job of it was found since `absent_since`; `proven`: there
    is none. `times` submissions had no answer, and another may follow at `again_at`.
    """

    due_at: float
    absent_since: float | None = None
    proven: bool = False
    times: int = 0
    again_at: float = 0.0


@dataclass
class SubmitPace:
    """When new work may be sent: at once, unless some was a moment ago.

    What comes then is left in the queue until `interval_s` after that, and goes together.
    A driver that has just begun knows of no submission: it sends at once.
    """

    interval_s: float
    took_at: float = -math.inf
    holding: bool = False

    def admits(self, now: float) -> bool:
        """Whether new work may be sent now."""
        self.holding = now < self.took_at + self.interval_s
        return not self.holding

    def due_s(self, now: float) -> float | None:
        """In how many seconds what was held back is due; None when nothing was asked for."""
        return max(0.0, self.took_at + self.interval_s - now) if self.holding else None


@dataclass
class Submitter:
    """Sends what is queued at a site.

    `unconfirmed` are the batches without a native id, `unanswered` those of them of which
    sbatch gave no answer. After `troubles` of the site's own in a row nothing is sent until
    `paused_until`.
    """

    state: SiteState
    unconfirmed: dict[int, UnconfirmedBatch] = field(default_factory=dict)
    unanswered: set[int] = field(default_factory=set)
    paused_until: float = 0.0
    troubles: int = 0
    refusals: Refusals = field(init=False)
    pace: SubmitPace = field(init=False)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.state)
        self.pace = SubmitPace(self.state.site.submit_s)

    async def adopt(self) -> None:
        """Read the batches that an earlier driver meant to send."""
        state = self.state
        for batch_id in await transact(state.engine, unconfirmed_batches, state.site.name):
            self.unconfirmed.setdefault(batch_id, UnconfirmedBatch(due_at=state.clock()))

    async def send(self) -> bool:
        """Send everything that is queued and what is unconfirmed and due; whether there was any.

        Raises WireError, TruncatedAnswer, SiteTrouble; the batches then stay unconfirmed.
        """
        now = self.state.clock()
        # Connect first: what no batch holds yet can still go to another site.
        await self.state.cluster.wire.open()
        for batch_id in await self._take():
            self.unconfirmed[batch_id] = UnconfirmedBatch(due_at=now)
        due = self.due(now)
        if not due:
            return False
        batches = await transact(self.state.engine, read_batches, due)
        arrays = [each for each in await self._still_wanted(batches) if not each.is_script]
        grants = await self._grants(arrays)
        if grants:
            await self._ship([batch for batch in arrays if batch.id in grants], grants)
        return True

    def due(self, now: float) -> list[int]:
        """The batches that are unconfirmed and due, those that run scripts among them."""
        return [batch_id for batch_id, batch in self.unconfirmed.items() if batch.due_at <= now]

    def confirm(self, batch_id: int) -> None:
        """Forget a batch of which it is known what became of it."""
        self.unconfirmed.pop(batch_id, None)
        self.unanswered.discard(batch_id)

    async def _grants(self, batches: Iterable[Batch]) -> dict[int, str]:
        """The grants of each batch that may be sent; one whose inputs are on their way waits."""
        relay = self.state.relay
        if relay is None:
            return {batch.id: "" for batch in batches}
        found = {batch.id: await relay.provide(batch) for batch in batches}
        return {batch_id: text for batch_id, text in found.items() if text is not None}

    async def _take(self) -> list[int]:
        """Commit batches of what is queued, as far as there is room at the site."""
        state = self.state
        if not self.unanswered:
            state.sbatch.lapse(state.clock())
        self.refusals.lapse()
        now = state.clock()
        if now < self.paused_until or state.faulty() or state.quiet or not self.pace.admits(now):
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
                members=min(room, MAX_AT_ONCE),
                size=min(state.site.max_array, state.limits.largest_array),
                shape=partial(asked_for, state.site.resources, allowed=state.allowed),
                running=None if running is None else running - load.throttled,
                limits=self.refusals.limits(),
            )

        taken = await transact(state.engine, take)
        if taken:
            self.pace.took_at = now
        return taken

    async def _still_wanted(self, batches: Iterable[Batch]) -> list[Batch]:
        """Those of which any attempt is still open; the others are over: no job of theirs,
        should there be one, is granted a start."""
        wanted = []
        for batch in batches:
            if any(member.open for member in batch.members):
                wanted.append(batch)
            else:
                await transact(self.state.engine, mark_ended, batch.id)
                self.confirm(batch.id)
        return wanted

    async def _ship(self, batches: Sequence[Batch], grants: Mapping[int, str]) -> None:
        state = self.state
        again = {batch.key for batch in batches if self.unconfirmed[batch.id].proven}
        for batch in batches:
            # Should this process end now, the next one finds nothing proven; nor may we.
            self.unconfirmed[batch.id].proven = False
            self._put_off(batch, AGAIN_S)
        try:
            outcomes = await state.cluster.send(
                [self._parcel(batch, grants[batch.id]) for batch in batches],
                again=again,
                runner=None if state.runner_there else state.runner,
                accounting=state.accounting,
            )
        except (WireError, TruncatedAnswer) as error:
            log.warning("site %s: %s; its batches are unconfirmed", state.site.name, error)
            if isinstance(error, TruncatedAnswer):  # of the link its breaker takes care
                self._note_no_answer(batches, str(error))
            raise
        except SiteTrouble:
            self._back_off(batches)
            raise
        state.runner_there = True
        missing = SubmitResult(SubmitOutcome.UNKNOWN, why="not told")
        for batch in batches:
            await self._apply(batch, outcomes.get(batch.key, missing))

    def _put_off(self, batch: Batch, seconds: float, until: float = 0.0) -> None:
        """Send a batch again after so many seconds, and not before `until`."""
        self.unconfirmed[batch.id].due_at = max(self.state.clock() + seconds, until)

    def _back_off(self, batches: Iterable[Batch]) -> None:
        """Send nothing for a while: the site has trouble of its own."""
        self.troubles += 1
        self.paused_until = self.state.clock() + TROUBLE_PAUSES.pause_s(self.troubles)
        for batch in batches:
            self.unconfirmed[batch.id].due_at = self.paused_until

    def _parcel(self, batch: Batch, grants: str) -> Parcel:
        state = self.state
        script = batch_script(
            state.site,
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

    async def _apply(self, batch: Batch, sent: SubmitResult) -> None:
        """Draw the conclusions from what became of a submission. Raises WireError,
        TruncatedAnswer, SiteTrouble."""
        state = self.state
        match sent.outcome:
            case SubmitOutcome.UNKNOWN:
                self._note_no_answer([batch], sent.why)
                await self._unanswered(batch, sent.why)
            case SubmitOutcome.BUSY:
                self._note_no_answer([batch], STILL_BUSY)
                self._put_off(batch, AGAIN_S, state.sbatch.again_at)
                await self.refusals.note(batch, f"has not taken it yet: {STILL_BUSY}")
            case SubmitOutcome.QUEUE_UNREADABLE:
                state.squeue.note(sent.why, state.clock())
                self._put_off(batch, UNREADABLE_S, state.squeue.again_at)
                why = f"cannot be asked whether it took it: {sent.why}"
                await self.refusals.note(batch, why)
            case SubmitOutcome.ABSENT:
                state.squeue.clear()
                self._note_absence(batch)
            case _:
                state.sbatch.clear()
                self.unanswered.discard(batch.id)
                await self._conclude(batch, sent)

    async def _conclude(self, batch: Batch, sent: SubmitResult) -> None:
        """Draw the conclusions from an answer of sbatch's own."""
        if sent.outcome is SubmitOutcome.KNOWN:
            await self._accepted(batch, sent)
        elif sent.outcome is SubmitOutcome.REFUSED:
            await self._refuse(batch, sent.why)
        elif await self.refusals.declined(batch, sent):
            self.confirm(batch.id)

    def _note_no_answer(self, batches: Iterable[Batch], why: str) -> None:
        """Note that sbatch gave no answer: it is asked again after a growing pause."""
        sbatch = self.state.sbatch
        sbatch.note(why, self.state.clock())
        for batch in batches:
            self.unanswered.add(batch.id)
            unconfirmed = self.unconfirmed[batch.id]
            unconfirmed.due_at = max(unconfirmed.due_at, sbatch.again_at)

    async def _accepted(self, batch: Batch, sent: SubmitResult) -> None:
        await self.refusals.took(batch, sent.job_id)
        self.confirm(batch.id)
        self.paused_until, self.troubles = 0.0, 0
        if sent.others:
            name = self.state.site.name
            log.error("site %s: %s has more jobs: %s", name, batch.key, sent.others)
            await self.state.cluster.cancel({batch.key: sent.others})

    def _note_absence(self, batch: Batch) -> None:
        """Note that a search found no job; long enough after the first, none can exist."""
        state, found, now = self.state, self.unconfirmed[batch.id], self.state.clock()
        if found.absent_since is None:
            found.absent_since = now
        found.proven = now - found.absent_since > state.limits.message_timeout_s + MARGIN_S
        if found.proven:  # the next is a submission
            found.due_at = max(now, state.sbatch.again_at, found.again_at)
        else:
            found.due_at = now + AGAIN_S

    async def _unanswered(self, batch: Batch, why: str) -> None:
        """Nobody knows whether a submission reached the controller."""
        state, now = self.state, self.state.clock()
        log.warning("site %s: %s may or may not be there: %s", state.site.name, batch.key, why)
        due = max(now + AGAIN_S, state.sbatch.again_at)
        times = self.unconfirmed[batch.id].times + 1
        again_at = now + UNANSWERED_PAUSES.pause_s(times)
        self.unconfirmed[batch.id] = UnconfirmedBatch(due, times=times, again_at=again_at)
        await self.refusals.unanswered(batch, times, why)

    async def _refuse(self, batch: Batch, why: str) -> None:
        """The same again would be refused again: the jobs fail, with Slurm's own words."""
        words = f"{self.state.site.name} refuses what the stage asks for: {why}"

        async def work(tx: AsyncConnection) -> None:
            for member in batch.members:
                await refuse(tx, member, why=words, actor=self.state.actor)
            await mark_ended(tx, batch.id, refused=True)

        await transact(self.state.engine, work)
        self.confirm(batch.id)
