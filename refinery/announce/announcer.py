"""Tells Prefect what stands in the outbox: at once when told, else every second.

It alone tells of sessions that are ready, of wakes and of callbacks. Events are wake-up calls:
a row is deleted when Prefect has accepted it, and sent again until then, for as long as it
takes; an event's id makes a repetition harmless. The same clock asks for dispatchers for
parked sessions: what they wait for may have come without anybody's word.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.announce.abandoned import watch_leases
from track.jobs.parking import wake_due
from track.records import outbox
from track.records.outbox import Owed
from track.schema import lasting
from track.schema.waking_function import CHANNEL

log = logging.getLogger(__name__)

MOST = 50
"""Events of one request."""
TICK_S = 1.0
LONGEST_PAUSE_S = 10.0
GATHER_S = 0.03
"""Pause after a list that went out: under load one list then holds what many callbacks owe."""
STOPPING_S = 3.0
"""How long the announcer may take to end of itself, and then when it is cancelled."""
LOOK_S = 0.25
"""How often the listener looks whether it is to stop."""


class NotAccepted(Exception):
    """Prefect did not answer 204; what was to be announced is still owed."""


class Rejected(NotAccepted):
    """Prefect will never take this list: something in it is not an event."""


class Announcer:
    """One per application: `run` until cancelled, `notify` after a commit."""

    def __init__(
        self,
        engine: AsyncEngine,
        events_url: str,
        *,
        tick_s: float = TICK_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self._engine = engine
        self._url = events_url.rstrip("/") + "/events"
        self._tick_s = tick_s
        self._longest_pause_s = longest_pause_s
        self._told = asyncio.Event()
        self._stopping = asyncio.Event()
        self._rejected: set[int] = set()
        self.last_error = ""

    def notify(self) -> None:
        """There may be something to announce."""
        self._told.set()

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
                httpx.AsyncClient(timeout=10, trust_env=False) as http,
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(self._listen())
                tasks.create_task(self._wake_parked())
                tasks.create_task(self._pump(http))
        finally:
            self.last_error = "the announcer has ended"

    async def _pump(self, http: httpx.AsyncClient) -> None:
        pause = self._tick_s
        while not self._stopping.is_set():
            self._told.clear()
            try:
                while (sent := await self._round(http)) == MOST:
                    pass
            except (NotAccepted, httpx.HTTPError, SQLAlchemyError, OSError) as error:
                self._complain(error)
                await _first(self._stopping, pause)
                pause = min(self._longest_pause_s, pause * 2)
                continue
            pause, self.last_error = self._tick_s, ""
            if sent:
                await _first(self._stopping, GATHER_S)
            await _first(self._told, self._tick_s)

    def _complain(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"[:300]
        if said != self.last_error:
            log.warning("events wait, for they cannot be announced: %s", said)
        self.last_error = said

    async def _round(self, http: httpx.AsyncClient) -> int:
        """Announce up to MOST events; how many were taken."""
        async with self._engine.begin() as tx:
            owed = await outbox.due(tx, MOST, but=self._rejected)
        if not owed:
            return 0
        accepted = await self._send(http, owed)
        async with self._engine.begin() as tx:
            await outbox.delete_sent(tx, [each.id for each in accepted])
        return len(accepted)

    async def _send(self, http: httpx.AsyncClient, owed: Sequence[Owed]) -> list[Owed]:
        """Post them; those that were accepted. One that never will be must not hold the rest."""
        try:
            await self._post(http, owed)
        except Rejected as error:
            if len(owed) > 1:
                halves = (owed[: len(owed) // 2], owed[len(owed) // 2 :])
                return [each for half in halves for each in await self._send(http, half)]
            log.error("Prefect rejects the event %s: %s", owed[0].event, error)
            self._rejected.add(owed[0].id)
            return []
        return list(owed)

    async def _post(self, http: httpx.AsyncClient, owed: Sequence[Owed]) -> None:
        now = datetime.now(UTC).isoformat()
        answer = await http.post(self._url, json=[{**each.event, "occurred": now} for each in owed])
        if answer.status_code == httpx.codes.NO_CONTENT:
            return
        said = f"{self._url} answered {answer.status_code}: {answer.text[:200]}"
        if answer.status_code in (400, 413, 422):
            raise Rejected(said)
        raise NotAccepted(said)

    async def _wake_parked(self) -> None:
        """Ask, every tick, for dispatchers for whoever has waited for a time or for room."""
        while not self._stopping.is_set():
            try:
                async with self._engine.begin() as tx:
                    asked = await wake_due(tx)
                if asked:
                    self.notify()
            except (SQLAlchemyError, OSError) as error:
                log.warning("parked sessions cannot be looked at: %s", error)
            await _first(self._stopping, self._tick_s)

    async def _listen(self) -> None:
        """Hear notices; while there is no connection, the clock alone has to do."""
        address = self._engine.url.set(drivername="postgresql")
        text = address.render_as_string(hide_password=False)
        while not self._stopping.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(
                    text,
                    autocommit=True,
                    **lasting.CONNECT,  # type: ignore[arg-type]
                ) as heard:
                    await heard.execute(lasting.SETTINGS)
                    await heard.execute(f"LISTEN {CHANNEL}".encode())
                    self.notify()
                    while not self._stopping.is_set():
                        async for _ in heard.notifies(timeout=LOOK_S):
                            self.notify()
            except (psycopg.Error, OSError) as error:
                self._complain(error)
            await _first(self._stopping, self._tick_s)


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Return when `event` is set, at the latest after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


@asynccontextmanager
async def announcing(engine: AsyncEngine, events_url: str) -> AsyncIterator[Announcer]:
    """An announcer at work, and beside it the watch over dispatchers' leases."""
    announcer = Announcer(engine, events_url)
    task = asyncio.create_task(announcer.run(), name="announcer")
    task.add_done_callback(_report)
    leases = asyncio.create_task(watch_leases(engine), name="leases")
    try:
        yield announcer
    finally:
        announcer.stop()
        leases.cancel()
        await asyncio.wait([task, leases], timeout=STOPPING_S)
        task.cancel()
        await asyncio.wait([task], timeout=STOPPING_S)


def _report(task: asyncio.Task[None]) -> None:
    """Say it when the announcer ends of itself, which it never should."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the announcer has ended: events wait", exc_info=error)
