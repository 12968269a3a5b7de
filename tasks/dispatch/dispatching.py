"""Being at a session: the lease is taken, the dispatcher works, and everything is given back."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prefect.runtime import flow_run
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.database import RefineryDatabase
from blocks.ndrive import NDrive
from blocks.store import LocalStore
from blocks.tier import OpenTier
from schemas.log_lines import say_about
from schemas.pace import Pace
from tasks.background import begin
from tasks.dispatch.dispatcher import CURRENT, Dispatcher
from tasks.dispatch.run_name import naming_run
from tasks.dispatch.termination import ended_by_sigterm
from tasks.log_lines import write_our_lines
from track.jobs.leases import TTL_S, Lease, SilentHolder
from track.jobs.parking import wake_or_park
from track.jobs.takeover import release_jobs
from track.records.sessions import finish_if_registered as finish_session
from track.records.wake import wake_session
from track.schema.database import make_engine, transact

log = logging.getLogger(__name__)


@asynccontextmanager
async def dispatching(
    session_id: UUID, pace: Pace, open_tier: OpenTier
) -> AsyncIterator[Dispatcher]:
    """Take the session's lease, and give everything back at the end.

    However it ends: subflows stopped, claimed jobs released, the lease given up, and
    then one more look, so that a callback that came meanwhile wakes a successor.
    Raises LeaseTaken when another dispatcher is at the session.
    """
    write_our_lines()
    say_about(session=session_id)
    database: RefineryDatabase = await RefineryDatabase.aload("default")
    drive: NDrive = await NDrive.aload("default")
    store: LocalStore = await LocalStore.aload("default")
    lease = Lease(database.address(), session_id, _flow_run_id())
    lost = asyncio.Event()
    engine = make_engine(database.address(), pool=8, overflow=12)
    try:
        async with (
            naming_run(engine, session_id, lease.flow_run_id),
            open_tier(lease.guard) as tier,
        ):
            await _take_lease(lease, lost)
            dispatcher = Dispatcher(session_id, engine, lease, tier, drive, store, pace)
            async with _at_work(dispatcher, lost):
                yield dispatcher
    finally:
        await engine.dispose()


@asynccontextmanager
async def _at_work(dispatcher: Dispatcher, lost: asyncio.Event) -> AsyncIterator[None]:
    mine = asyncio.current_task()
    watch = begin(_cancel_when(lost, dispatcher, mine), "the watch over the lease")
    token = CURRENT.set(dispatcher)
    await transact(
        dispatcher.engine,
        release_jobs,
        dispatcher.session_id,
        actor=dispatcher.actor,
        keep=dispatcher.id,
    )
    dispatcher.callbacks.start()
    dispatcher.cancellations.start()
    dispatcher.runs.start()
    try:
        async with ended_by_sigterm():
            yield
            await dispatcher.wind_down()
    finally:
        CURRENT.reset(token)
        watch.cancel()
        await asyncio.shield(_shut_down(dispatcher))


async def _shut_down(dispatcher: Dispatcher) -> None:
    await dispatcher.cancellations.stop()
    await dispatcher.cancel()
    await dispatcher.callbacks.stop()
    await asyncio.to_thread(dispatcher.lease.release, dispatcher.ending)

    async def look_once_more(tx: AsyncConnection) -> None:
        await release_jobs(tx, dispatcher.session_id, actor=dispatcher.actor)
        seen = (await wake_or_park(tx, dispatcher.session_id))[dispatcher.session_id]
        # If the last of it ended while this one wound down, its end is still to be announced.
        if dispatcher.ending == "handed over" or (dispatcher.ending == "parked" and seen.quiet):
            await wake_session(tx, dispatcher.session_id)
        elif seen.quiet:
            await finish_session(tx, dispatcher.session_id)

    await transact(dispatcher.engine, look_once_more)
    await dispatcher.runs.close()


async def _cancel_when(
    lost: asyncio.Event, dispatcher: Dispatcher, run: asyncio.Task[object] | None
) -> None:
    await lost.wait()
    dispatcher.ending = "lost"
    log.error("session %s: the lease is lost, every effect stops", dispatcher.session_id)
    if run is not None:
        run.cancel()


async def _take_lease(lease: Lease, lost: asyncio.Event) -> None:
    """Take it; a dispatcher that died is waited for until its last writes cannot be under way."""
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + TTL_S + 2

    def is_lost() -> None:
        loop.call_soon_threadsafe(lost.set)

    while True:
        try:
            await asyncio.to_thread(lease.take, is_lost)
            return
        except SilentHolder:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.5)


def _flow_run_id() -> UUID | None:
    found = flow_run.id
    return UUID(found) if found else None
