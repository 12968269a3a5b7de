"""Dispatcher leases: who may act for a session, by the database's clock alone.

A lease is two things at once: a session-level advisory lock on a connection of
its own, and a row with `alive_until` that a thread of its own renews. Taking over
needs both gone, so neither a stopped clock nor a cut connection gives one session
two dispatchers. Losing the connection stops the holder at once.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from uuid import UUID, uuid4

import psycopg

from track.schema.lasting import CONNECT, SETTINGS

TTL_S = 10.0
"""How long a silent dispatcher is still believed to be alive."""

RENEW_S = 3.0

MIN_LEFT_S = 1.0
"""Nothing outside is begun with less than this left: two renewals are overdue by then."""


LOCK_SESSION = "SELECT 1 FROM track.session WHERE id = %(session)s FOR NO KEY UPDATE"

ALIVE = """
    SELECT 1 FROM track.dispatcher
    WHERE session_id = %(session)s AND ended_at IS NULL AND alive_until > now()
"""

INSERT = """
    INSERT INTO track.dispatcher (id, session_id, host, process, flow_run_id, alive_until)
    VALUES (%(id)s, %(session)s, %(host)s, %(process)s, %(run)s,
            now() + make_interval(secs => %(ttl)s))
"""

CLEAR_WAKE = """
    UPDATE track.session SET wake_requested_at = NULL, finished_at = NULL, parked_at = NULL,
           wake_at = NULL, room = NULL
    WHERE id = %(session)s
"""


def session_key(session_id: UUID) -> int:
    """The advisory lock of a session: what its dispatcher's connection holds."""
    return int.from_bytes(session_id.bytes[:8], signed=True)


class LeaseTaken(Exception):
    """Another dispatcher is at this session; there is nothing to do here."""


class SilentHolder(LeaseTaken):
    """The last dispatcher's connection is gone, but its last writes may still be under way."""


class LeaseLost(Exception):
    """The connection that proves this dispatcher's lease is gone: stop every effect."""


class Lease:
    """One dispatcher's lease on one session; `take` it, then `release` it once.

    Moves are guarded with its `dispatcher_id`. `lost` is called, in the renewing thread, when the
    lease can no longer be proved.
    """

    def __init__(self, url: str, session_id: UUID, flow_run_id: UUID | None = None) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://")
        self.session_id = session_id
        self.flow_run_id = flow_run_id
        self.dispatcher_id = uuid4()
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._proved_until = 0.0  # by this process's clock, earlier than by the database's

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Hold around every call that changes something outside.

        The call ends before `alive_until`, however long it takes: that moves with each renewal,
        and when none comes the call is cut off there, since a successor may act from then on.
        Raises LeaseLost, at once when the time that is left is no time to start anything.
        """
        lost = LeaseLost(f"session {self.session_id}: the lease is lost")
        if self._lost.is_set() or self._left_s() < MIN_LEFT_S:
            raise lost
        try:
            async with asyncio.timeout(self._left_s()) as deadline:
                following = asyncio.create_task(self._follow(deadline))
                try:
                    yield
                finally:
                    following.cancel()
        except TimeoutError as cut:
            raise (lost if deadline.expired() else cut) from cut

    async def _follow(self, deadline: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        while not deadline.expired():
            deadline.reschedule(loop.time() + self._left_s())
            await asyncio.sleep(RENEW_S / 3)

    def _left_s(self) -> float:
        """Seconds that the lease is proved for."""
        return self._proved_until - time.monotonic()

    def take(self, lost: Callable[[], None]) -> None:
        """Take the lease and start renewing it.

        Raises LeaseTaken while another one's lock or `alive_until` stands.
        """
        named = {"application_name": "refinery dispatcher lease", **CONNECT}
        connection = psycopg.connect(self._url, autocommit=True, **named)  # type: ignore[arg-type]
        with ExitStack() as undo:
            undo.callback(connection.close)  # the lock goes with the connection
            connection.execute(SETTINGS)
            key = session_key(self.session_id)
            locked = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
            if locked != (True,):
                raise LeaseTaken(f"session {self.session_id} has a dispatcher")
            asked_at = time.monotonic()
            self._insert(connection)
            self._proved_until = asked_at + TTL_S
            undo.pop_all()
        self._connection = connection
        self._thread = threading.Thread(target=self._renew, args=(lost,), name="lease", daemon=True)
        self._thread.start()

    def _insert(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Insert our row and clear the wake it answers, unless a silent one may still act."""
        row: dict[str, object] = {
            "session": self.session_id,
            "id": self.dispatcher_id,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "run": self.flow_run_id,
            "ttl": TTL_S,
        }
        with connection.transaction():
            connection.execute(LOCK_SESSION, row)
            if connection.execute(ALIVE, row).fetchone() is not None:
                raise SilentHolder(f"session {self.session_id}: its last dispatcher may still act")
            connection.execute(INSERT, row)
            connection.execute(CLEAR_WAKE, row)

    def _renew(self, lost: Callable[[], None]) -> None:
        try:
            while not self._stop.wait(RENEW_S) and self._prolong():
                pass
        finally:  # whatever ended it: what is not renewed any more is lost
            if not self._stop.is_set():
                self._lost.set()
                lost()

    def _prolong(self) -> bool:
        """Prove the lease once more; False when it is gone."""
        asked_at, connection = time.monotonic(), self._connection
        if connection is None:
            return False
        try:
            renewed = connection.execute(
                "UPDATE track.dispatcher SET alive_until = now() + make_interval(secs => %s)"
                " WHERE id = %s AND ended_at IS NULL",
                (TTL_S, self.dispatcher_id),
            ).rowcount
        except psycopg.Error:
            return False
        if renewed:
            self._proved_until = asked_at + TTL_S
        return bool(renewed)

    def release(self, why: str) -> None:
        """Give the lease up: the row ends and the session row is touched in one transaction.

        Touching the session makes a waker that reads leases wait for us, or us for it. A
        wake that was asked for while we were here is answered: whoever releases looks once
        more and asks again, if need be.
        """
        self._stop.set()
        connection = self._connection
        if connection is None:
            return
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=TTL_S)
        try:
            with connection.transaction():
                connection.execute(
                    "UPDATE track.session SET wake_requested_at = NULL WHERE id = %s",
                    (self.session_id,),
                )
                connection.execute(
                    "UPDATE track.dispatcher SET ended_at = now(), ended_why = %s WHERE id = %s",
                    (why, self.dispatcher_id),
                )
            # Explicitly, for the server notices a closed connection only a little later.
            key = session_key(self.session_id)
            connection.execute("SELECT pg_advisory_unlock(%s)", (key,))
        except psycopg.Error:
            # The connection is gone: the row ends by its clock, the lock with the connection.
            return
        finally:
            connection.close()
            self._connection = None
