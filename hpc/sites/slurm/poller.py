"""Polls a site for its batches: all of them at once, and not while they report by themselves.

What a poll does not show changes nothing. The results that jobs left on the disk are applied
before any attempt is reported as ended.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.remote import TruncatedAnswer
from hpc.scheduler.slurm import SchedulerAnswer
from hpc.scheduler.states import JobState
from hpc.sites.collect import collect_result, report
from hpc.sites.slurm.answers import PollResult, SiteTrouble
from hpc.sites.slurm.judge import (
    JobVerdict,
    SiteStatus,
    WatchedAttempt,
    arrays_of,
    judge,
    snapshots,
)
from hpc.sites.slurm.state import SiteState
from hpc.transport.errors import WireError
from track.jobs.attempts import note_reason
from track.jobs.batches import (
    Member,
    mark_ended,
    note_pending,
    open_arrays,
    read_batches,
    spent_batches,
    still_open,
)
from track.jobs.site_load import silent_for
from track.jobs.sites import note_fault, note_node
from track.schema.database import transact

SLOWDOWN = 1.5
MAX_SLOWDOWN = 5
MAX_POSTPONED = 10
KEYS_AT_ONCE = 400
TAILS_AT_ONCE = 200
"""Jobs of which one command reads what they printed."""

OpenArrays = Mapping[int, tuple[str, str]]
"""Batches by id: their key and their array job."""

Judged = tuple[WatchedAttempt, JobVerdict]

log = logging.getLogger(__name__)


@dataclass
class Poller:
    """Polls one site when it is time to.

    `unknown` holds attempts that are not seen, `ended` since when an attempt's job is known to
    be over and more of it may still show, `pending` the last known reason why a batch has not
    begun, `arrays` the array jobs known of a batch.
    """

    state: SiteState
    interval_s: float = 0.0
    due_at: float = 0.0
    postponed: int = 0
    arrays: dict[int, tuple[str, ...]] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)
    ended: dict[int, float] = field(default_factory=dict)
    pending: dict[int, str] = field(default_factory=dict)

    @property
    def held(self) -> set[int]:
        """The attempts whose results lie there until what they made is in the archive."""
        relay = self.state.relay
        return set() if relay is None else set(relay.waiting.values())

    async def spent_batches(self) -> list[int]:
        """The batches of which every attempt is over."""
        return await transact(self.state.engine, spent_batches, self.state.site.name)

    async def close_batches(self, spent: Sequence[int]) -> None:
        """Close batches that are over, and of which nothing is left to be stopped."""

        async def work(tx: AsyncConnection) -> None:
            for batch_id in spent:
                await mark_ended(tx, batch_id)

        await transact(self.state.engine, work)
        for batch_id in spent:
            self.arrays.pop(batch_id, None)
            self.pending.pop(batch_id, None)

    async def poll(self) -> bool:
        """Poll if it is due; whether it was. Raises WireError, TruncatedAnswer."""
        now = self.state.clock()
        if now < self.due_at:
            return False
        self.interval_s = self.interval_s or float(self.state.site.poll_s)
        await self._forget_closed()
        found = await transact(self.state.engine, open_arrays, self.state.site.name)
        if not found:
            self.state.squeue.lapse(now)
        if not found or await self._is_fresh(now):
            self.due_at = max(self.due_at, now + (0 if found else self.interval_s))
            return False
        changed = False
        ids = list(found)
        for first in range(0, len(ids), KEYS_AT_ONCE):
            some = {each: found[each] for each in ids[first : first + KEYS_AT_ONCE]}
            changed |= await self._poll_some(some)
        self._pace(changed)
        if self.state.squeue.open:
            self.due_at = self.state.squeue.again_at
        return True

    async def _is_fresh(self, now: float) -> bool:
        """Whether the jobs report by themselves: then the poll waits, though not for ever."""
        silence = await transact(self.state.engine, silent_for, self.state.site.name)
        fresh = silence is not None and silence < self.interval_s and not self.state.relay
        if not fresh or self.due_at == 0.0 or self.postponed >= MAX_POSTPONED:
            return False
        if self.unknown or self.ended or self.state.squeue.open:
            return False
        self.postponed += 1
        self.due_at = now + self.interval_s - (silence or 0.0)
        return True

    def _pace(self, changed: bool) -> None:
        """Poll less often while nothing happens, yet before Slurm forgets what ended."""
        shortest = float(self.state.site.poll_s)
        longest = max(shortest, min(MAX_SLOWDOWN * shortest, self.state.limits.min_job_age_s / 2))
        # Where there is a relay, only polls show that a job started or ended.
        slower = shortest if self.state.relay else min(longest, self.interval_s * SLOWDOWN)
        self.interval_s = shortest if changed or self.unknown or self.ended else slower
        self.due_at = self.state.clock() + self.interval_s
        self.postponed = 0

    async def _poll_some(self, found: OpenArrays) -> bool:
        """Poll some batches; whether anything was new."""
        keys = [key for key, _ in found.values()]
        relay = self.state.relay
        starts, known = relay is not None, [] if relay is None else relay.known()
        seen = await self.state.cluster.poll(keys, starts=starts, known=known)
        news = await self._collect(seen)
        if seen.more:
            return news  # a result that was not read yet would be taken for a job without one
        if seen.queue is None:
            log.warning("site %s: its queue cannot be asked", self.state.site.name)
            self.state.squeue.note(seen.silence or "no answer", self.state.clock())
            return news
        self._note_readable(seen.queue)
        await self._note_pending(found, seen.queue)
        verdicts = await self._judge(found, seen)
        unsure = {
            watched.key
            for watched, verdict in verdicts
            if verdict.status in (SiteStatus.UNKNOWN, SiteStatus.OVER)
        }
        if unsure:
            source = "accounting" if self.state.accounting else "disk"
            more = await self.state.cluster.poll(
                sorted(unsure), queue=False, history=source, starts=starts, known=known
            )
            news |= await self._collect(more)
            both = PollResult(seen.queue, more.history, more.ended)
            some = {each: pair for each, pair in found.items() if pair[0] in unsure}
            verdicts = await self._judge(some, both)
        return await self._report(verdicts) or news

    def _note_readable(self, queue: SchedulerAnswer) -> None:
        """Note whether all of the queue could be read: else it proves no end, and, for long, it
        is a fault."""
        if queue.complete:
            self.state.squeue.clear()
        else:
            cut = f"a line of its answer cannot be read: {queue.unreadable[0]!r}"
            self.state.squeue.note(cut, self.state.clock())

    async def _note_pending(self, found: OpenArrays, queue: SchedulerAnswer) -> None:
        """Note on jobs why the scheduler has not begun them, in its own words, when that is new."""
        shown = {
            task.name: task.reason
            for task in queue.tasks
            if task.state is JobState.PENDING and task.reason not in ("", "None")
        }
        now = {batch_id: shown.get(key, "") for batch_id, (key, _) in found.items()}
        news = [each for each, why in now.items() if why and self.pending.get(each) != why]

        async def work(tx: AsyncConnection) -> None:
            for each in news:
                why = f"it waits in the queue of {self.state.site.name}: {now[each]}"
                await note_pending(tx, each, why)

        if news:
            await transact(self.state.engine, work)
        self.pending |= now

    async def _collect(self, seen: PollResult) -> bool:
        """Apply the results that could not be called back, then set them aside over there.

        One that wants something archived first is applied once that was sent.
        """
        relay, applied = self.state.relay, []
        if relay is not None:
            await relay.note_starts(seen.starts)
        for name, text in seen.results.items():
            if relay is not None and relay.send_first(name, text) is not None:
                continue
            await collect_result(self.state.engine, name, text)
            applied.append(name)
        if applied:
            await self.state.cluster.taken(applied)
        if seen.more:
            self.due_at = 0.0
        return bool(seen.results)

    async def _judge(self, found: OpenArrays, seen: PollResult) -> list[Judged]:
        """Every open attempt of these batches, and how it stands."""
        batches = await transact(self.state.engine, read_batches, list(found))
        now = self.state.clock()
        shown = snapshots((batch.key for batch in batches), seen)
        verdicts, held = [], self.held
        for batch in batches:
            snapshot = shown[batch.key]
            known = self.arrays.get(batch.id, (found[batch.id][1],))
            self.arrays[batch.id] = arrays = arrays_of(known, snapshot)
            for member in batch.members:
                if not member.open or member.attempt in held:
                    continue
                ended = self.ended.get(member.attempt)
                watched = WatchedAttempt(member, batch.key, arrays, batch.alone, ended)
                verdicts.append((watched, judge(watched, snapshot, now)))
        await self._note_verdicts(verdicts, now)
        return verdicts

    async def _note_verdicts(self, verdicts: Iterable[Judged], now: float) -> None:
        """Keep which attempts are unknown, and since when ended; note on jobs what is awaited."""
        ending = []
        for watched, verdict in verdicts:
            attempt = watched.member.attempt
            if verdict.status is SiteStatus.UNKNOWN and not verdict.ending:
                self.unknown.add(attempt)
            else:
                self.unknown.discard(attempt)
            if verdict.status in (SiteStatus.PENDING, SiteStatus.RUNNING):
                self.ended.pop(attempt, None)
            elif verdict.ending and attempt not in self.ended:
                self.ended[attempt] = now
                ending.append((attempt, f"{verdict.why}; it is looked for"))
            if watched.member.started:
                self.state.faults.clear()

        async def work(tx: AsyncConnection) -> None:
            for attempt, why in sorted(ending):
                await note_reason(tx, attempt, why)

        if ending:
            await transact(self.state.engine, work)

    async def _forget_closed(self) -> None:
        """Forget attempts that have reported by themselves."""
        awaited = self.unknown | self.ended.keys()
        if awaited:
            still = await transact(self.state.engine, still_open, awaited)
            self.unknown &= still
            self.ended = {each: at for each, at in self.ended.items() if each in still}

    async def _report(self, verdicts: Iterable[Judged]) -> bool:
        over = [(w, v) for w, v in verdicts if v.status is SiteStatus.OVER]
        over = await self._never_started(over)
        printed = await self._printed(over)
        for watched, verdict in over:
            tail = printed.get((watched.key, watched.member.line))
            await self._report_end(watched.member, verdict, tail)
            self.unknown.discard(watched.member.attempt)
            self.ended.pop(watched.member.attempt, None)
            self.state.avoid(verdict.node)
            fault = verdict.site_fault
            if fault and self.state.faults.note(fault, self.state.clock()):
                await transact(self.state.engine, note_fault, self.state.site.name, fault)
        return bool(over)

    async def _never_started(self, over: list[Judged]) -> list[Judged]:
        """Without those that had started unseen, where only the shared disk shows starts.

        What they left is read at the next poll. Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        quiet = [watched for watched, _ in over if not watched.member.started]
        if self.state.relay is None or not quiet:
            return over
        _, started = await self.state.relay.take((w.key, w.member.attempt) for w in quiet)
        begun = {attempt for attempt, start in started.items() if start is not None}
        if begun:
            self.due_at = 0.0
        return [(w, v) for w, v in over if w.member.attempt not in begun]

    async def _printed(self, over: Iterable[Judged]) -> dict[tuple[str, int], str]:
        """What those that had begun printed last, by key and line, as far as it can be read.

        No end waits for it: where it cannot be read the job goes on without.
        """
        begun = [(w.key, w.member.line) for w, v in over if v.end and w.member.started]
        found: dict[tuple[str, int], str] = {}
        try:
            for first in range(0, len(begun), TAILS_AT_ONCE):
                some = begun[first : first + TAILS_AT_ONCE]
                found |= await self.state.cluster.printed(some)
        except (WireError, TruncatedAnswer, SiteTrouble) as error:
            name = self.state.site.name
            log.info("site %s: what killed jobs printed cannot be read: %s", name, error)
        return found

    async def _report_end(
        self, member: Member, verdict: JobVerdict, printed: str | None = None
    ) -> None:
        end = verdict.end
        if end is None:
            return

        async def work(tx: AsyncConnection) -> None:
            if verdict.node:
                await note_node(tx, self.state.site.name, verdict.node, end.why)
            await report(
                tx,
                member.attempt,
                end,
                actor=self.state.actor,
                exit_code=verdict.exit_code,
                printed=printed,
            )

        await transact(self.state.engine, work)
