"""Holding a claimed job: what goes wrong while it is held decides where it goes.

Built-in stages do their work inside `holding`. Their effects probe before they act, so
the answer to nearly everything that is not the specimen's own fault is: again, later.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.ars_client import ArsError
from tasks.dispatch.dispatcher import Dispatcher
from tasks.errors import AskedAPerson, FileError
from track.commands.assets import quarantine
from track.jobs import verbs
from track.jobs.claims import Claim
from track.jobs.moves import Guard
from track.schema.database import transact
from track.schema.states import State

SOON_S = 30.0
"""Pause after the first fault of a file that may pass by itself; it doubles each time."""

SELDOM_S = 1800.0
"""What that pause grows to: a folder that is gone stays gone until a person acts."""

ARCHIVE_S = 300.0
"""The same for the archive: it comes back by itself, and all wait for it."""


class Quarantined(Exception):
    """The specimen's files cannot be taken in: file, problem and remedy, for a person."""

    def __init__(self, file: str, problem: str, remedy: str) -> None:
        remedy = remedy.replace("; ", ", ")  # the last of these parts problem and remedy
        super().__init__(f"{file}: {problem}; {remedy}")
        self.file, self.problem, self.remedy = file, problem, remedy


@asynccontextmanager
async def run_stage(dispatcher: Dispatcher, claim: Claim) -> AsyncIterator[None]:
    """Hold a claimed job through its effects; finish it when they are all done."""
    async with reschedule_on_error(dispatcher, claim):
        yield
    await finish(dispatcher, claim.job_id)


@asynccontextmanager
async def reschedule_on_error(dispatcher: Dispatcher, claim: Claim) -> AsyncIterator[None]:
    """Hold a claimed job through an effect that it needs first; what goes wrong ends its try.

    A quarantine ends the asset; a fault of archive or disk brings the job back after ever
    longer pauses, without using a try, and at once when a person is asked; a final refusal fails
    it. The error goes on to the flow run.
    """
    try:
        yield
    except Quarantined as error:
        reason = str(error)
        await transact(dispatcher.engine, lambda tx: _quarantine(tx, dispatcher, claim, reason))
        raise
    except ArsError as error:
        await _later_or_failed(dispatcher, claim, str(error), error.retry_after, ARCHIVE_S)
        raise
    except AskedAPerson as error:
        # Attention keeps it from being claimed: it goes on the moment that is cleared.
        await _later_or_failed(dispatcher, claim, str(error), 0.0, None)
        raise
    except FileError as error:
        after = SOON_S if error.may_retry else None
        await _later_or_failed(dispatcher, claim, str(error), after, SELDOM_S)
        raise


async def finish(dispatcher: Dispatcher, job_id: int) -> None:
    """The job is done; rules and edges follow in the same transaction."""
    guard = Guard(dispatcher_id=dispatcher.id)
    await transact(
        dispatcher.engine,
        lambda tx: verbs.finish(tx, job_id, actor=dispatcher.actor, guard=guard),
    )


async def _quarantine(
    tx: AsyncConnection, dispatcher: Dispatcher, claim: Claim, reason: str
) -> None:
    await quarantine(
        tx,
        claim.guid,
        claim.job_id,
        dispatcher_id=dispatcher.id,
        reason=reason,
        actor=dispatcher.actor,
    )


async def _later_or_failed(
    dispatcher: Dispatcher, claim: Claim, why: str, after_s: float | None, at_most_s: float | None
) -> None:
    guard = Guard(dispatcher_id=dispatcher.id)
    actor = dispatcher.actor

    async def work(tx: AsyncConnection) -> None:
        if after_s is None:
            await verbs.end(tx, claim.job_id, State.FAILED, actor=actor, why=why, guard=guard)
            return
        await verbs.try_again(
            tx, claim.job_id, actor=actor, why=why, uses_try=False, guard=guard, delay_s=after_s,
            grows_to_s=at_most_s,
        )  # fmt: skip

    await transact(dispatcher.engine, work)
