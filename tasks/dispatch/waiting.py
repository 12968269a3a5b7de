"""Awaiting a cluster's callbacks: events wake, the database decides.

One subscriber per dispatcher receives Prefect's events of its session, and one connection the
database's own notices of it, which come first where Prefect is busy; each of them only makes
the database be read again. The same happens every few seconds anyway, so a lost one costs
latency and nothing else.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from uuid import UUID

import psycopg
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter, EventRelatedFilter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.exceptions import WebSocketException

from schemas.events import resource_id
from tasks.background import keep
from tasks.dispatch.spacing import Spacing
from track.jobs.outputs import standing_at_sites
from track.records.wake import SESSION_CHANNEL
from track.schema.database import transact
from track.schema.lasting import notices
from track.schema.states import AT_SITE, State

log = logging.getLogger(__name__)

RECONNECT_S = 2.0
POLL_S = 60.0
"""After which a silent connection to the database is used again."""


class EventWaiter:
    """Waits for sites, for a dispatcher's subflows: one future per job, one query for all."""

    def __init__(
        self, engine: AsyncEngine, session_id: UUID, recheck_s: float, notify: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._session_id = session_id
        self._recheck_s = recheck_s
        self._notify = notify
        self._waiting: dict[int, asyncio.Future[State | None]] = {}
        self._asked: set[int] = set()
        self._parked = self._hears = False
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen and to read."""
        self._tasks = [
            keep(self._listen, "the listening to events"),
            keep(self._hear_database, "the listening to the database"),
            keep(self._read, "the reading of waiting jobs"),
        ]

    async def stop(self) -> None:
        """Stop; whoever still waits gets None."""
        while self._tasks:
            # Once is not enough: under psycopg, Python 3.11's `wait_for` swallows a
            # cancellation that arrives just as what it waits for does.
            for task in self._tasks:
                task.cancel()
            _, pending = await asyncio.wait(self._tasks, timeout=0.5)
            self._tasks = list(pending)
        self.park()

    def park(self) -> None:
        """Let everybody who waits go, with None for "not yet"; whoever comes later, too."""
        self._parked = True
        for future in self._waiting.values():
            if not future.done():
                future.set_result(None)

    @property
    def waiting(self) -> int:
        """How many subflows wait for a site."""
        return len(self._waiting)

    async def await_end(self, job_id: int) -> State | None:
        """Wait until no site has the job any more; its state then, or None when parked.

        A site has it as long as what was made there is not brought here.
        """
        if self._parked:
            return None
        future = asyncio.get_running_loop().create_future()
        self._waiting[job_id] = future
        self._ask(job_id)  # the callback may have been faster than we
        try:
            found: State | None = await future
            return found
        finally:
            del self._waiting[job_id]

    def look(self, job_id: int) -> bool:
        """Read a job at once; whether anybody waits for it."""
        self._ask(job_id)
        return job_id in self._waiting

    def _ask(self, job_id: int) -> None:
        self._asked.add(job_id)
        self._wanted.set()

    async def _read(self) -> None:
        """Read the asked-for jobs at once, and all that wait every `recheck_s`.

        However often is asked meanwhile: it is in a burst that events get lost.
        """
        clock, looks = asyncio.get_running_loop().time, Spacing()
        due = clock() + self._recheck_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wanted.wait()
            await looks.wait()
            ids = self._asked & self._waiting.keys()
            if clock() >= due:
                ids, due = set(self._waiting), clock() + self._recheck_s
            self._wanted.clear()
            self._asked = set()
            try:
                if ids:
                    with looks.look():
                        states = await transact(self._engine, standing_at_sites, ids)
                    self._resolve(states)
            except SQLAlchemyError as error:
                log.warning("waiting jobs cannot be read, they are read again soon: %s", error)
                await asyncio.sleep(RECONNECT_S)
                self._asked |= ids
                self._wanted.set()

    def _resolve(self, states: dict[int, State]) -> None:
        for job_id, state in states.items():
            future = self._waiting.get(job_id)
            if state not in AT_SITE and future is not None and not future.done():
                future.set_result(state)

    async def _listen(self) -> None:
        """Receive the session's events for as long as the dispatcher lives."""
        session = resource_id("session", self._session_id)
        wanted = EventFilter(
            event=EventNameFilter(prefix=["hpc.job.", "specimen."]),
            related=EventRelatedFilter(id=[session]),
        )
        while True:
            try:
                subscriber = get_events_subscriber(filter=wanted, reconnect_on_clean_close=True)
                async with subscriber as events:
                    async for event in events:
                        self._received(event.payload)
            except (OSError, TimeoutError, WebSocketException) as error:
                log.info("events are silent (%s); the database is read meanwhile", error)
            await asyncio.sleep(RECONNECT_S)

    async def _hear_database(self) -> None:
        """Receive the database's notices of the session for as long as the dispatcher lives."""
        while True:
            try:
                async with aclosing(notices(self._engine.url, SESSION_CHANNEL, POLL_S)) as found:
                    async for payload in found:
                        self._hears = True
                        if payload is not None:
                            self._noticed(payload)
            except (psycopg.Error, OSError) as error:
                log.info("the database notifies of nothing (%s); it is read meanwhile", error)
            self._hears = False
            await asyncio.sleep(RECONNECT_S)

    def _noticed(self, payload: str) -> None:
        """Read the jobs that a notice names; look for work, if it names any that nobody awaits.

        One that names none is of very many; the empty one comes first, of all before it.
        """
        session, *names = payload.split() or [str(self._session_id)]
        if session != str(self._session_id):
            return
        jobs = {int(name) for name in names} or set(self._waiting)
        awaited = jobs & self._waiting.keys()
        if awaited:
            self._asked |= awaited
            self._wanted.set()
        if not names or awaited != jobs:
            self._notify()

    def _received(self, payload: dict[str, object]) -> None:
        """What is not awaited the database has told of already, unless it is not heard."""
        job_id = payload.get("job")
        if isinstance(job_id, int) and job_id in self._waiting:
            self._ask(job_id)
        elif not (isinstance(job_id, int) and self._hears):
            self._notify()
