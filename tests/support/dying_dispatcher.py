"""A dispatcher in a process of its own that is ended at one await of its way.

An await is told by the lines of ours that lead to it, and by what is awaited there: an answer of
the database, or of Prefect. It is ended when the question is on its way and nobody here has the
answer yet: what was asked for is done, or is not. Between two such awaits nothing changes that
anybody outside could see. Processes are forked off one that has everything imported already.
"""

import asyncio
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import httpx
import psycopg
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.dispatch import dispatch
from schemas.pace import Pace
from tasks.dispatch import crowding

ROOT = Path(__file__).parents[2]
OURS = tuple(f"{ROOT / room}/" for room in ("flows", "tasks", "track", "blocks"))
PATIENCE_S = 240
KILLED, CANCELLED = -signal.SIGKILL, 3
"""Exit codes of a dispatcher's process."""
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")

Point = tuple[str, ...]
"""What is awaited, then the lines of ours that lead there, the innermost first."""

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Life:
    """A dispatcher at `session`, that at its first await of `at` is killed, as by `kill -9`, or
    cancelled, as by Prefect; or untouched.

    `prefect` is the address of Prefect's API, `run` the flow run there that it belongs to.
    """

    session: UUID
    pace: Pace
    prefect: str
    run: UUID
    at: Point | None = None
    cancelled: bool = False

    async def lived(self) -> tuple[int, list[Point]]:
        """Its process's exit code, once it is over; and, untouched, the awaits that it passed."""
        mine, its = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_live, args=(self, its), daemon=True)
        process.start()
        its.close()
        try:
            await asyncio.to_thread(process.join, PATIENCE_S)
            assert process.exitcode is not None, f"it does not end: {self}"
            passed = mine.recv() if self.at is None and mine.poll() else []
            return process.exitcode, passed
        finally:
            mine.close()
            process.kill()
            process.join()
            process.close()


def _live(life: Life, tell: Connection) -> None:
    """The body of its process."""
    passed: dict[Point, None] = {}
    work: list[asyncio.Task[Any]] = []

    async def main() -> None:
        work[:] = [asyncio.create_task(dispatch.fn(life.session, life.pace))]
        await work[0]

    def passes(point: Point) -> None:
        if point == life.at and point not in passed:
            if not life.cancelled:
                os.kill(os.getpid(), signal.SIGKILL)
            work[0].cancel()
        passed[point] = None

    _watch_database(passes)
    _watch_prefect(passes)
    crowding.SHORT_S = 0.0  # so that a run is made before its work is over, and ended after it
    os.environ["PREFECT__RUNTIME__FLOW_RUN__ID"] = str(life.run)  # its engine is not what dies here
    with temporary_settings({PREFECT_API_URL: life.prefect}):
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            sys.exit(CANCELLED)
    tell.send(list(passed))


def _watch_database(passes: Callable[[Point], None]) -> None:
    real = psycopg.AsyncConnection.wait

    async def wait(self: Any, generator: Any, *args: Any, **named: Any) -> Any:
        def asked() -> Iterator[Any]:
            found = yield from _sent(generator, lambda: passes(point))
            return found

        point = _point(sys._getframe(1).f_code.co_name, sys._getframe(1))
        return await real(self, asked() if len(point) > 1 else generator, *args, **named)

    psycopg.AsyncConnection.wait = wait  # type: ignore[method-assign]


def _sent(generator: Any, call: Callable[[], None]) -> Iterator[Any]:
    """The same generator of a question to the database; `call` comes once it is on its way."""
    try:
        wants = next(generator)
    except StopIteration as over:
        return over.value
    call()
    while True:
        ready = yield wants
        try:
            wants = generator.send(ready)
        except StopIteration as over:
            return over.value


def _watch_prefect(passes: Callable[[Point], None]) -> None:
    real = httpx.AsyncHTTPTransport.handle_async_request

    async def handle(self: Any, request: httpx.Request) -> httpx.Response:
        answer = await real(self, request)
        kind = ID.sub("…", request.url.path)
        point = _point(f"{request.method} {kind}", sys._getframe(1))
        if len(point) > 1:
            passes(point)
        return answer

    httpx.AsyncHTTPTransport.handle_async_request = handle  # type: ignore[method-assign]


def _point(what: str, frame: FrameType | None) -> Point:
    lines = []
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(OURS):
            lines.append(f"{name.removeprefix(f'{ROOT}/')}:{frame.f_lineno}")
        frame = frame.f_back
    return (what, *lines)
