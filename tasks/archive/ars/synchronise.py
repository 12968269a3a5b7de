"""Bringing a share's files to ERDA: ask for it, and watch until it is proven.

ARS answers the request before it begins, may forget it (stuck in ASSET_RECEIVED) and fails
while ERDA is away. Asking again is harmless and is the cure for each. After a failure that
is left to whoever called: an outage may last for hours, and nobody is to stand and wait.

Success is three things at once: a status that says so, no open share, and every file we
expect listed as synchronised with our checksum and size. Any two of them have been seen
without the third.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from blocks.ars_client import IN_ERDA, NOT_IN_ERDA, RECEIVED, ArsClient, AssetStatus, FileRow
from blocks.tier import Facts, NoShare, Outcome, TierBusy, TierUnknown, Verdict
from tasks.archive.ars.share import ensure_share_closed, known
from tasks.archive.ars.unconfirmed import act_then_look


@dataclass(frozen=True)
class SynchronisePace:
    """How often to ask and how long to wait in each state, in seconds.

    `silent` is how long ARS may not answer at all before that is reported.
    """

    first: float = 0.5
    longest: float = 10.0
    stuck: float = 900.0
    share_open: float = 30.0
    silent: float = 600.0
    remedies: int = 3

    def patience(self, outcome: Outcome) -> float:
        """How long this outcome may last before something is done about it."""
        return self.stuck if outcome is Outcome.PENDING else self.share_open


DEFAULT_PACE = SynchronisePace()


async def ensure_synchronise_requested(
    ars: ArsClient, guid: str, workstation: str, pipeline: str
) -> bool:
    """Have ARS bring the share to ERDA; False when it was asked or done before this call.

    Raises NoShare when there is none to bring, TierUnknown when the answer was lost
    and nothing shows that ARS heard it.
    """
    if await _under_way(ars, guid):
        return False
    if (await known(ars, guid)).share_allocation_mb is None:
        raise NoShare(f"asset {guid} has no open share to synchronise: upload its files first")

    async def ask() -> bool:
        await ars.shares.synchronise(guid, workstation, pipeline)
        return True

    return await act_then_look(ask, lambda: _under_way(ars, guid))


async def synchronised(ars: ArsClient, guid: str, expected: Sequence[Facts]) -> Verdict:
    """Ask ARS, once, whether the asset is archived. Raises TierError."""
    # Status first: files are listed as synchronised before the status says so.
    status = await ars.assets.status(guid)
    return decide(status, await ars.files.listed(guid), expected)


def decide(
    status: AssetStatus | None, files: Sequence[FileRow], expected: Sequence[Facts]
) -> Verdict:
    """Judge by what ARS says. ValueError when nothing is expected: nothing proves nothing."""
    if not expected:
        raise ValueError("an asset without expected files cannot be verified")
    missing = tuple(file.name for file in expected if not _saved(files, file))
    if status is None:
        return Verdict(Outcome.FAILED, "ARS does not know the asset", missing)
    share_open = status.share_allocation_mb is not None
    if status.status in NOT_IN_ERDA:
        reason = f"{status.status}: {status.error_message or 'no reason given'}"
        return Verdict(Outcome.FAILED, reason, missing, share_open)
    if status.status not in IN_ERDA:
        return Verdict(Outcome.PENDING, status.status, missing, share_open)
    if missing:
        reason = f"{status.status}, yet ERDA lacks {', '.join(missing)} with our checksum and size"
        return Verdict(Outcome.MISSING, reason, missing, share_open)
    if share_open:
        return Verdict(Outcome.SHARE_OPEN, f"{status.status}, share still open", (), True)
    return Verdict(Outcome.DONE, status.status)


def _saved(rows: Sequence[FileRow], file: Facts) -> bool:
    return any(row.synchronised and row.holds(file) for row in rows)


async def await_synchronised(
    ars: ArsClient,
    guid: str,
    expected: Sequence[Facts],
    workstation: str,
    pipeline: str,
    *,
    pace: SynchronisePace = DEFAULT_PACE,
) -> Verdict:
    """Watch until the asset is archived or cannot be; returns the last verdict.

    Asks ARS again, at most `pace.remedies` times, when it is stuck, and closes a share it
    left open. A crash loses only the time already waited. Raises TierBusy after `pace.silent`
    seconds without an answer, TierRefused.
    """
    watch = Watch(pace)
    while True:
        verdict = await watch.unless_silent(synchronised(ars, guid, expected))
        if verdict is not None:
            step = watch.step(verdict, time.monotonic())
            if step is Step.STOP:
                return watch.final(verdict)
            if step is Step.ASK:
                await _remedy(ars.shares.synchronise(guid, workstation, pipeline))
            if step is Step.CLOSE:
                await _remedy(ensure_share_closed(ars, guid))
        await asyncio.sleep(watch.pause())


class Step(Enum):
    """What to do after a verdict."""

    WAIT = auto()
    ASK = auto()
    CLOSE = auto()
    STOP = auto()


@dataclass
class Watch:
    """What one watch remembers: since when, how often it helped, how long to sleep."""

    pace: SynchronisePace
    last: Verdict | None = None
    since: float = 0.0
    remedies: int = 0
    sleep: float = field(init=False)
    silent_since: float | None = None

    def __post_init__(self) -> None:
        self.sleep = self.pace.first

    def step(self, verdict: Verdict, now: float) -> Step:
        """Decide on what was just seen; `now` is monotonic seconds."""
        if self.last is None or verdict.outcome is not self.last.outcome:
            self.since, self.sleep = now, self.pace.first
        self.last = verdict
        if verdict.outcome in (Outcome.DONE, Outcome.MISSING, Outcome.FAILED):
            return Step.STOP
        if now - self.since < self.pace.patience(verdict.outcome):
            return Step.WAIT
        if self.remedies >= self.pace.remedies:
            return Step.STOP
        self.remedies += 1
        self.since, self.sleep = now, self.pace.first
        return Step.CLOSE if verdict.outcome is Outcome.SHARE_OPEN else Step.ASK

    def final(self, verdict: Verdict) -> Verdict:
        """The verdict to return: a watch that ends on "pending" has failed."""
        if verdict.outcome is not Outcome.PENDING:
            return verdict
        reason = f"still {verdict.reason} after asking again {self.remedies} times"
        return Verdict(Outcome.FAILED, reason, verdict.missing, verdict.share_open)

    def pause(self) -> float:
        sleep, self.sleep = self.sleep, min(self.sleep * 1.5, self.pace.longest)
        return sleep

    async def unless_silent(self, reading: Awaitable[Verdict]) -> Verdict | None:
        """The verdict, or None while ARS has not been silent for too long. Raises TierBusy."""
        try:
            verdict = await reading
        except TierBusy:
            now = time.monotonic()
            self.silent_since = self.silent_since or now
            if now - self.silent_since > self.pace.silent:
                raise
            return None
        self.silent_since = None
        return verdict


async def _remedy(act: Awaitable[object]) -> None:
    try:
        await act
    except (TierUnknown, TierBusy):
        return  # the next look shows whether it helped


async def _under_way(ars: ArsClient, guid: str) -> Literal[True] | None:
    """True when ARS was asked, or has nothing left to do; None when it has to be asked."""
    status = await known(ars, guid)
    if status.status == RECEIVED:
        return True
    if status.status not in IN_ERDA:
        return None
    if status.share_allocation_mb is None:
        return True
    # The share was re-opened, for more files or only to read, or is about to be closed.
    rows = await ars.files.listed(guid)
    saved = bool(rows) and all(row.synchronised and not row.leaving for row in rows)
    return True if saved else None
