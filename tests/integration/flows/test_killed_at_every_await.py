"""A dispatcher killed or cancelled at any await of its way: the next one does all of it, once.

One of its stages shows its jobs in waves, the other each in a subflow of its own. Several chains
of dispatchers go on side by side, each at a session of its own, until all awaits have had their
kill: each dispatcher takes over from the killed one before it and finds new specimens as well.
Questions that only read, and those of a transaction before its commit, leave nothing behind: by
themselves they are no moment of their own, but for the first of a transaction that moves jobs, when
the work is done and nobody knows. `REFINERY_EVERY_AWAIT=1` kills at all of them. One is cancelled
where it moves jobs: there its end has most to give back.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from flows.dispatch import dispatch
from schemas.pace import Pace
from tests.faults.truth.invariants import check, history_replays
from tests.faults.truth.turns import Turns
from tests.faults.truth.world import Truth
from tests.integration.flows.test_waves import LOAD, OCR, Cluster, keep_working
from tests.support.dying_dispatcher import CANCELLED, KILLED, Life, Point
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.jobs.leases import session_key
from track.records.sessions import mark_registered, open_session
from track.schema.database import transact

ALL = bool(os.environ.get("REFINERY_EVERY_AWAIT"))
CHAINS = 3
EACH = 3
"""Specimens that each dispatcher finds new."""
PACE = Pace(tick_s=0.1, recheck_s=0.2, linger_s=600, burst_s=0.001, runs_at_once=2)
PIPELINE = {"pipeline": "W", "stages": [LOAD | {"wave": "auto"}, OCR | {"wave": 1}]}
TRANSACT = "track/schema/database.py"
MOVES_JOBS = ("tasks/dispatch/groups.py", "tasks/dispatch/dispatcher.py")
SHOWS = "tasks/dispatch/reports.py"

Strike = tuple[Point, bool]
"""At which await; and whether it is cancelled there, rather than killed."""
MUST = {
    "claims": ("commit", "tasks/dispatch/dispatcher.py"),
    "hands over, takes back and finishes": ("commit", "tasks/dispatch/groups.py"),
    "follows": ("commit", "tasks/dispatch/waiting.py"),
    "takes over": ("commit", "tasks/dispatch/dispatching.py"),
    "has a run made": ("POST /api/flow_runs/", "tasks/dispatch/runs.py"),
    "has a run ended": ("POST /api/flow_runs/…/set_state", "tasks/dispatch/runs.py"),
}
"""What a dispatcher does that is certainly among its awaits, each by what it awaits and where."""


@dataclass
class Chain:
    """Dispatchers one after the other at one session; `struck`: at which awaits, and how."""

    world: World
    run: UUID
    struck: list[Strike] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    async def live(self, at: Point | None = None, *, cancelled: bool = False) -> list[Point]:
        """Let the next one live, with new specimens; the awaits that it passed untouched."""
        world = self.world
        await world.sql("UPDATE track.session SET finished_at = NULL WHERE id = :s", **self._me)
        guids = [f"{world.session_id} {next(self.numbers)}" for _ in range(EACH)]
        await world.register(*(new(guid, "W") for guid in guids))
        prefect, struck = str(PREFECT_API_URL.value()), CANCELLED if cancelled else KILLED
        life = Life(world.session_id, PACE, prefect, self.run, at, cancelled)
        code, passed = await life.lived()
        assert code == 0 or (at is not None and code == struck), (code, at)
        if at is not None and code == struck:
            self.struck.append((at, cancelled))
        if code == KILLED:
            await self._run_out()
        return passed

    @property
    def _me(self) -> dict[str, object]:
        return {"s": self.world.session_id}

    async def _run_out(self) -> None:
        """Wait until nobody has the session's lock, and let the dead one's time be over."""
        key = session_key(self.world.session_id) & 0xFFFFFFFFFFFFFFFF
        locked = (
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = :high"
            " AND objid::bigint = :low"
        )
        async with asyncio.timeout(60):
            while await self.world.sql(locked, high=key >> 32, low=key & 0xFFFFFFFF):
                await asyncio.sleep(0.02)
        await self.world.sql(
            "UPDATE track.dispatcher SET alive_until = now() - interval '1 s'"
            " WHERE session_id = :s AND ended_at IS NULL",
            **self._me,
        )


@asynccontextmanager
async def chains(engine: AsyncEngine) -> AsyncIterator[list[Chain]]:
    """Sessions with a chain each, and a cluster that does at once what is queued."""
    first = await undispatched(engine, PIPELINE)
    worlds = [first, *[await beside(first, n) for n in range(1, CHAINS)]]
    async with get_client() as client:
        run = await client.create_flow_run(dispatch, parameters={"session": first.session_id})
    working = asyncio.create_task(keep_working(Cluster(first)))
    try:
        yield [Chain(world, run.id) for world in worlds]
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        async with get_client() as client:  # or it would count as one that nobody is at
            await client.delete_flow_run(run.id)


async def beside(world: World, n: int) -> World:
    """Another session in the same database."""

    async def opened(tx: AsyncConnection) -> UUID:
        found = await open_session(
            tx, path=f"/n/{n}", workstation="W", listing_hash=f"h{n}", actor="test"
        )
        assert found is not None
        await mark_registered(tx, found)
        return found

    return World(world.engine, await transact(world.engine, opened), world.dispatcher_id)


def strikes(passed: list[Point]) -> Iterator[Strike]:
    """A kill at those of the awaits that leave a state of their own behind, or at all."""
    for at in passed:
        reads = at[0].startswith("GET") or any(SHOWS in each for each in at)
        moves_jobs = at[1].startswith(TRANSACT) and at[2].startswith(MOVES_JOBS)
        changes = at[0] == "commit" or "/api/" in at[0] or moves_jobs
        if ALL or (changes and not reads):
            yield at, False
        if at[0] == "commit" and moves_jobs:
            yield at, True


@pytest.mark.timeout(3600 if ALL else 900)
async def test_a_dispatcher_killed_at_any_await_is_followed_by_one_that_loses_and_doubles_nothing(
    blocks: Path, engine: AsyncEngine
) -> None:
    async with chains(engine) as several:
        (first, *_) = several
        left = deque(planned := list(strikes(await first.live())))

        async def go_on(chain: Chain) -> None:
            while left:
                at, cancelled = left.popleft()
                await chain.live(at, cancelled=cancelled)
                await holds(engine)
            await chain.live()

        await asyncio.gather(*(go_on(chain) for chain in several))
    struck = [each for chain in several for each in chain.struck]
    missed = [each for each in planned if each not in struck]
    for what, (awaited, where) in MUST.items():
        died = [at for at, cancelled in struck if at[0] == awaited and not cancelled]
        assert any(where in " ".join(at) for at in died), f"none died as it {what}: {missed}"
    assert len(missed) < len(struck) / 4, missed
    await done_once(first.world)


async def holds(engine: AsyncEngine) -> None:
    """What holds between any two transactions."""
    async with engine.execution_options(isolation_level="REPEATABLE READ").connect() as tx:
        await check(tx, Truth(engine, Turns(0, racing=True)), [])


async def done_once(world: World) -> None:
    """Every job is done, at its first try and by one attempt, and its history says so."""
    jobs = await world.sql("SELECT DISTINCT state, tries FROM track.job")
    assert jobs == [("done", 0)]
    attempts = "SELECT DISTINCT outcome, count(*) FROM track.attempt GROUP BY job_id, outcome"
    assert await world.sql(attempts) == [("done", 1)]
    twice = (
        "SELECT job_id FROM track.history WHERE what = 'job.state' AND new = 'done'"
        " GROUP BY job_id HAVING count(*) > 1"
    )
    assert await world.sql(twice) == []
    async with world.engine.connect() as tx:
        await history_replays(tx)
