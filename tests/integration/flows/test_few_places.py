"""Two places at the worker, one specimen in flight: nobody holds a place who can only wait."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.dispatch import dispatch
from hpc import protocol
from hpc.callers import RunnerCaller
from refinery.announcer import Announcer
from schemas.attempts import Complete, Result, Start
from schemas.pace import Pace
from tests.support.flow_world import undispatched
from tests.support.parked import Sessions
from track.schema.database import transact

PIPELINE = {
    "pipeline": "P",
    "throttle": {"assets_in_flight": 1},
    "stages": [{"key": "load", "run": "module load"}],
}
PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=0.5, yield_s=0.2, idle_s=0.5)
PLACES = 2
PATIENCE_S = 240
STILL = "SELECT count(*) FROM track.session WHERE finished_at IS NULL"
QUEUED = """
    SELECT t.id, t.fence FROM track.attempt t
    JOIN track.job j ON j.attempt_id = t.id WHERE j.state = 'queued' ORDER BY t.id
"""


@dataclass
class Worker:
    """Starts a dispatcher for every session that asks for one, as long as it has a place."""

    sessions: Sessions
    at_work: dict[UUID, asyncio.Task[object]] = field(default_factory=dict)
    endings: list[str | None] = field(default_factory=list)

    async def work(self) -> None:
        """Go on until cancelled."""
        asking = "SELECT id FROM track.session WHERE wake_requested_at IS NOT NULL"
        while True:
            for (session_id,) in await self.sessions.sql(f"{asking} ORDER BY wake_requested_at"):
                assert isinstance(session_id, UUID)
                if len(self.at_work) < PLACES and session_id not in self.at_work:
                    self.at_work[session_id] = asyncio.create_task(self._run(session_id))
            await asyncio.sleep(0.05)

    async def _run(self, session_id: UUID) -> object:
        try:
            state = await dispatch(session_id, PACE, return_state=True)
            self.endings.append(state.name)
            return state
        finally:
            del self.at_work[session_id]


@pytest.fixture
async def sessions(blocks: Path, engine: AsyncEngine) -> Sessions:
    """Three sessions of one specimen, of which one may be in flight."""
    await undispatched(engine, PIPELINE)
    made = await Sessions.open(engine, assets_in_flight=1)
    for guid in "abc":
        await made.add(guid)
    await made.sql("UPDATE track.session SET wake_requested_at = now()")
    return made


@pytest.fixture
async def clock(engine: AsyncEngine) -> AsyncIterator[Announcer]:
    """The announcer's clock; nobody hears its events here."""
    announcer = Announcer(engine, "http://127.0.0.1:9", tick_s=0.1)
    running = asyncio.create_task(announcer.run())
    yield announcer
    announcer.stop()
    await running


async def until_queued(sessions: Sessions, but: set[int]) -> tuple[int, int]:
    while True:
        for attempt_id, fence in await sessions.sql(QUEUED):
            assert isinstance(attempt_id, int) and isinstance(fence, int)
            if attempt_id not in but:
                return attempt_id, fence
        await asyncio.sleep(0.05)


async def test_everybody_comes_to_an_end_with_two_places_and_one_in_flight(
    sessions: Sessions, clock: Announcer
) -> None:
    worker = Worker(sessions)
    working = asyncio.create_task(worker.work())
    seen: set[int] = set()
    try:
        async with asyncio.timeout(PATIENCE_S):
            for _ in "abc":
                attempt, fence = await until_queued(sessions, seen)
                seen.add(attempt)
                while worker.at_work:  # all of them park: nobody holds a place only to wait
                    await asyncio.sleep(0.1)
                native = {"native_id": f"n{attempt}", "nonce": "n"}
                start, done = Start(**native), Complete(**native, result=Result())
                await transact(
                    sessions.engine,
                    lambda tx, a=attempt, f=fence, b=start: protocol.start(
                        tx, RunnerCaller(a, f), b
                    ),  # type: ignore[misc]
                )
                await transact(
                    sessions.engine,
                    lambda tx, a=attempt, f=fence, b=done: protocol.complete(
                        tx, RunnerCaller(a, f), b
                    ),  # type: ignore[misc]
                )
            while await sessions.sql(STILL) != [(0,)]:
                await asyncio.sleep(0.1)
    finally:
        working.cancel()
        await asyncio.gather(working, *worker.at_work.values(), return_exceptions=True)
    assert worker.endings.count("Finished") == 3
    assert len(worker.endings) < 20, "who was parked is started again only for a reason"
