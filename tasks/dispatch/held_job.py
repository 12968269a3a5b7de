"""A claimed job in its subflow's hands: what may become of it, each one transaction.

What goes wrong while it is held decides where it goes. Effects look before they act, so the
answer to nearly everything that is not the specimen's own fault is: again, later.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.tier import TierError
from schemas.log_lines import say_about
from tasks.dispatch.dispatcher import this_dispatcher
from tasks.dispatch.groups import GroupedMoves, TakenBack
from tasks.errors import AskedAPerson, FileError, Quarantined
from track.jobs.claims import Claim
from track.jobs.moves import Guard, StaleMove
from track.jobs.setbacks import Setback

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 30.0
"""Pause after the first fault of a file that may pass by itself; it doubles each time."""

MAX_PAUSE_S = 1800.0
"""What that pause grows to: a folder that is gone stays gone until a person acts."""

MAX_ARCHIVE_PAUSE_S = 300.0
"""The same for the archive: it comes back by itself, and all wait for it."""


@dataclass(frozen=True)
class HeldJob:
    """One claimed job of a dispatcher, and the moves that it shares with the others.

    Every method is one transaction, of all that ask the same just then; each raises StaleMove
    when the job is not held any more.
    """

    claim: Claim
    moves: GroupedMoves

    @property
    def engine(self) -> AsyncEngine:
        """The database's."""
        return self.moves.engine

    @property
    def holder(self) -> UUID:
        """The dispatcher that has it."""
        return self.moves.holder

    @property
    def actor(self) -> str:
        """How history names that dispatcher."""
        return self.moves.actor

    @property
    def guard(self) -> Guard:
        """What its moves are guarded with: they fail once another dispatcher has the job."""
        return self.moves.guard

    async def finish(self) -> None:
        """It is done; rules and edges follow in the same transaction."""
        self._check(await self.moves.finish.ask(self.claim.job_id, None))
        log.info("done")

    async def retry(self, why: str, *, delay_s: float, grows_to_s: float | None) -> None:
        """Put it off without using a try; the pause doubles each time in a row, up to a bound."""
        setback = Setback(why, delay_s=delay_s, grows_to_s=grows_to_s)
        self._check(await self.moves.retry.ask(self.claim.job_id, setback))
        log.info("put off: %s", why)

    async def fail(self, why: str) -> None:
        """End it without success; a person decides what becomes of it."""
        self._check(await self.moves.fail.ask(self.claim.job_id, why))
        log.warning("failed: %s", why)

    async def quarantine(self, error: Quarantined) -> None:
        """End its asset, whose files cannot be taken in."""
        self._check(await self.moves.quarantine.ask(self.claim.job_id, error.entry))
        log.warning("put into quarantine: %s", error.entry)

    async def submit(self) -> bool:
        """Queue it at the best open site, or put it off while none is open; False when its
        asset's share is to be opened first, which is noted."""
        submitted = await self.moves.submit.ask(self.claim.job_id, None) is not False
        if submitted:
            log.info("left to a site")
        return submitted

    async def submit_shared(self) -> None:
        """The same once its share has been opened."""
        await self.moves.submit_shared.ask(self.claim.job_id, None)
        log.info("left to a site, its share opened")

    async def take_back(self) -> TakenBack | None:
        """Take it for its last effects; it is done when there are none. None if it is another's
        by now."""
        taken = await self.moves.take_back.ask(self.claim.job_id, None)
        if taken is not None:
            log.info("it came back: done" if taken.done else "it came back")
        return taken

    def _check(self, done: object) -> None:
        """Raise StaleMove when its group left it out."""
        if done is None:
            raise StaleMove(f"job {self.claim.job_id} is not held by dispatcher {self.holder}")

    @asynccontextmanager
    async def run_stage(self) -> AsyncIterator[None]:
        """Hold it through its effects; finish it when they are all done."""
        async with self.reschedule_on_error():
            yield
        await self.finish()

    @asynccontextmanager
    async def reschedule_on_error(self) -> AsyncIterator[None]:
        """Hold it through an effect that it needs first; what goes wrong ends its try.

        A quarantine ends the asset; a fault of archive or disk brings the job back after ever
        longer pauses, without using a try, and at once when a person is asked; a final refusal
        fails it. The error goes on to the flow run.
        """
        try:
            yield
        except Quarantined as error:
            await self.quarantine(error)
            raise
        except (TierError, FileError) as error:
            delay_s, grows_to_s = _pause_after(error)
            if delay_s is None:
                await self.fail(str(error))
            else:
                await self.retry(str(error), delay_s=delay_s, grows_to_s=grows_to_s)
            raise


def _pause_after(error: TierError | FileError) -> tuple[float | None, float | None]:
    """Seconds until the next try, None for no more; and what they grow to, each doubling them."""
    if isinstance(error, TierError):
        return error.retry_after, MAX_ARCHIVE_PAUSE_S
    if isinstance(error, AskedAPerson):
        return 0.0, None  # attention keeps it from being claimed: it goes on once that is cleared
    return FIRST_PAUSE_S if error.may_retry else None, MAX_PAUSE_S


def held_job(claim: Claim) -> HeldJob:
    """The claim's job, held by the dispatcher that the running subflow belongs to.

    The lines of the running task are about it from here on.
    """
    dispatcher = this_dispatcher()
    say_about(guid=claim.guid, stage=claim.stage)
    log.info("taken up: it came back" if claim.returned else "taken up")
    return HeldJob(claim, dispatcher.moves)
