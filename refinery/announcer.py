"""Sends the outbox's events to Prefect: at once when notified, else every second.

Nothing else announces sessions that are ready, wakes and callbacks. Events are wake-up calls:
a row is deleted when Prefect has accepted it, and sent again until then, for as long as it
takes; an event's id makes a repetition harmless. The same clock asks for dispatchers for
parked sessions, since what they wait for may come without a call, and for sessions whose
dispatcher died: only its lease says so. Reconcile would find those too, a minute or two later.

Alarms wait in the outbox for a while, so that people are told of what comes together at once.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial

import httpx
import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.reconcile_watch import watch_reconcile
from schemas.backoff import Backoff
from tasks.background import keep
from track.commands.healing import abandoned, request_dispatcher
from track.jobs.parking import wake_due
from track.records import outbox
from track.records.outbox import TOGETHER, UnsentEvent
from track.reports.alarms_together import release
from track.schema.database import transact
from track.schema.lasting import notices
from track.schema.waking_function import CHANNEL

log = logging.getLogger(__name__)

MAX_EVENTS = 50
"""Events of one request."""
TICK_S = 1.0
LONGEST_PAUSE_S = 10.0
GATHER_S = 0.03
"""Pause after a list that went out, so that under load one list holds many callbacks' events."""
STOPPING_S = 3.0
"""How long the announcer may take to end of itself, and then when it is cancelled."""
POLL_S = 0.25
"""How often the listener checks whether it is to stop."""
LEASES_S = 2.0
"""How often leases are checked."""
TOGETHER_S = 90.0
"""So long an alarm waits for others: longer than from one look of reconcile to the next."""


class NotAccepted(Exception):
    """Prefect did not answer 204; the events are sent again."""


class Rejected(NotAccepted):
    """Prefect will never take this list: something in it is not an event."""


class Announcer:
    """One per application: `run` until cancelled, `notify` after a commit."""

    def __init__(
        self,
        engine: AsyncEngine,
        events_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        tick_s: float = TICK_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        together_s: float = TOGETHER_S,
    ) -> None:
        self._engine = engine
        self._headers = dict(headers or {})
        self._url = events_url.rstrip("/") + "/events"
        self._tick_s = tick_s
        self._longest_pause_s = longest_pause_s
        self._notified = asyncio.Event()
        self._stopping = asyncio.Event()
        self._together_s = together_s
        self._failing = 0
        self._held: list[int] = []
        self._held_until = 0.0
        self._rejected: set[int] = set()
        self.last_error = ""

    def notify(self) -> None:
        """There may be something to announce."""
        self._notified.set()

    def stop(self) -> None:
        """Let `run` end, within a second unless Prefect is slow to answer.

        Rather than by cancelling: a connection cancelled while it logs in stays open at the
        database's side, and a cancellation that meets `wait_for` at its end can be lost.
        """
        self._stopping.set()
        self.notify()

    async def run(self) -> None:
        """Announce until stopped; the database and Prefect may come and go."""
        try:
            async with (
                httpx.AsyncClient(headers=self._headers, timeout=10, trust_env=False) as http,
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(self._listen())
                tasks.create_task(self._wake_parked())
                tasks.create_task(self._pump(http))
        finally:
            self.last_error = "the announcer has ended"

    async def _pump(self, http: httpx.AsyncClient) -> None:
        pauses = Backoff(self._tick_s, self._longest_pause_s)
        while not self._stopping.is_set():
            self._notified.clear()
            try:
                while (sent := await self._round(http)) == MAX_EVENTS:
                    pass
            except (NotAccepted, httpx.HTTPError, SQLAlchemyError, OSError) as error:
                self._failing += 1
                self._complain(error)
                await _set_within(self._stopping, pauses.pause_s(self._failing))
                continue
            self._failing, self.last_error = 0, ""
            if sent:
                await _set_within(self._stopping, GATHER_S)
            await _set_within(self._notified, self._tick_s)

    def _complain(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"[:300]
        if text != self.last_error:
            log.warning("events wait, for they cannot be announced: %s", text)
        self.last_error = text

    async def _round(self, http: httpx.AsyncClient) -> int:
        """Announce up to MAX_EVENTS events; how many were taken."""
        async with self._engine.begin() as tx:
            if self._held and time.monotonic() >= self._held_until and not self._failing:
                await release(tx, self._held)
                self._held = []
            found = await outbox.due(tx, MAX_EVENTS, but=self._rejected.union(self._held))
        events = [each for each in found if not self._hold(each)]
        if not events:
            return 0
        accepted = await self._send(http, events)
        async with self._engine.begin() as tx:
            await outbox.delete_sent(tx, [each.id for each in accepted])
        return len(accepted)

    def _hold(self, found: UnsentEvent) -> bool:
        """Whether it is an alarm that waits for others; for how long, its first one says."""
        if TOGETHER not in found.event:
            return False
        if not self._held:
            self._held_until = time.monotonic() + self._together_s - found.age_s
        self._held.append(found.id)
        return True

    async def _send(
        self, http: httpx.AsyncClient, events: Sequence[UnsentEvent]
    ) -> list[UnsentEvent]:
        """Post them; those that were accepted. One that never will be must not delay the rest."""
        try:
            await self._post(http, events)
        except Rejected as error:
            if (half := len(events) // 2) > 0:
                return [
                    *await self._send(http, events[:half]),
                    *await self._send(http, events[half:]),
                ]
            log.error("Prefect rejects the event %s: %s", events[0].event, error)
            self._rejected.add(events[0].id)
            return []
        return list(events)

    async def _post(self, http: httpx.AsyncClient, events: Sequence[UnsentEvent]) -> None:
        now = datetime.now(UTC).isoformat()
        body = [{**each.event, "occurred": now} for each in events]
        answer = await http.post(self._url, json=body)
        if answer.status_code == httpx.codes.NO_CONTENT:
            return
        text = f"{self._url} answered {answer.status_code}: {answer.text[:200]}"
        raise (Rejected if answer.status_code in (400, 413, 422) else NotAccepted)(text)

    async def _wake_parked(self) -> None:
        """Ask, every tick, for dispatchers of sessions whose time or room has come."""
        while not self._stopping.is_set():
            try:
                async with self._engine.begin() as tx:
                    asked = await wake_due(tx)
                if asked:
                    self.notify()
            except (SQLAlchemyError, OSError) as error:
                log.warning("parked sessions cannot be looked at: %s", error)
            await _set_within(self._stopping, self._tick_s)

    async def _listen(self) -> None:
        """Listen for the database's notices; without a connection the clock alone wakes `_pump`."""
        while not self._stopping.is_set():
            try:
                async with aclosing(notices(self._engine.url, CHANNEL, POLL_S)) as found:
                    async for payload in found:
                        if self._stopping.is_set():
                            return
                        if payload is not None:
                            self.notify()
            except (psycopg.Error, OSError) as error:
                self._complain(error)
            await _set_within(self._stopping, self._tick_s)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Return when `event` is set, at the latest after `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def watch_leases(engine: AsyncEngine) -> None:
    """Ask for a dispatcher where a lease has run out, until cancelled."""
    while True:
        await asyncio.sleep(LEASES_S)
        try:
            for session_id in await transact(engine, abandoned):
                if await transact(engine, request_dispatcher, session_id):
                    log.warning("session %s lost its dispatcher; it gets another", session_id)
        except (SQLAlchemyError, OSError) as error:
            log.info("leases cannot be looked at: %s", error)


@asynccontextmanager
async def announcing(
    engine: AsyncEngine,
    events_url: str,
    headers: Mapping[str, str] | None = None,
    together_s: float = TOGETHER_S,
) -> AsyncIterator[Announcer]:
    """A running announcer, and the watches over dispatchers' leases and over reconcile."""
    announcer = Announcer(engine, events_url, headers=headers, together_s=together_s)
    task = keep(announcer.run, "the announcer")
    watches = [
        keep(partial(watch_leases, engine), "the watch over leases"),
        keep(partial(watch_reconcile, engine, events_url, headers), "the watch over reconcile"),
    ]
    try:
        yield announcer
    finally:
        announcer.stop()
        for each in watches:
            each.cancel()
        await asyncio.wait([task, *watches], timeout=STOPPING_S)
        task.cancel()
        await asyncio.wait([task], timeout=STOPPING_S)
