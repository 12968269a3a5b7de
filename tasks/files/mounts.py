"""Work on a share that may hang: a thread for each place, and a time within which it answers.

A mount whose server is gone does not fail, it waits, and nothing can end the thread that asked.
So each workstation's folder has a thread of its own, never more than one that hangs, and
whoever asks meanwhile gets an error at once. The others go on. Work on many small files has a few
helpers (`each_of`), which are part of it: it waits for them, so what hangs them hangs it.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from anyio.lowlevel import RunVar

from tasks.errors import FileError
from tasks.files.threads import Stop

R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ANSWER_S = 60.0
"""Seconds within which a share gives the next thing it is asked for."""

READERS = 8
"""Small files read at a time: each is some round trips to a server, and most of them is waiting."""


class NotAnswering(FileError):
    """The share has not answered in time, and is still being asked."""

    remedy = "check the mount and its server; it is looked at again once it answers"
    may_retry = True


class Pulse(Stop):
    """A `Stop` by which the work also shows that the share still answers."""

    def __init__(self) -> None:
        super().__init__()
        self.last = time.monotonic()

    def beat(self) -> None:
        """Something has been answered."""
        self.last = time.monotonic()


@dataclass
class _Place:
    """One workstation's folder: whose turn it is, and the last thing it was asked."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: tuple[asyncio.Future[Any], Pulse] | None = None


class Mounts:
    """A thread at a time for each place, for each event loop."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self.answer_s = answer_s
        self._places: RunVar[dict[Path, _Place]] = RunVar("places on the drive")

    async def run(
        self,
        place: Path,
        work: Callable[[Pulse, *Ts], T],
        *args: *Ts,
        changes: bool = False,
    ) -> T:
        """Do `work(pulse, …)` in the place's thread.

        Raises NotAnswering, or what the work raises. A cancelled caller is let go at once; with
        `changes` it waits for the thread to notice, but no longer than for an answer: an effect
        must not outlive its lease.
        """
        found = self._place(place)
        async with found.turn:
            if found.last is not None and not await self._answered(*found.last):
                raise self._not_answering(place)
            pulse = Pulse()
            future = asyncio.wrap_future(_in_a_thread(partial(work, pulse, *args)))
            found.last = future, pulse
            future.add_done_callback(_seen)
            try:
                if await self._answered(future, pulse):
                    return future.result()
            except asyncio.CancelledError:
                pulse.set()
                if changes:
                    await self._answered(future, pulse)
                raise
            pulse.set()
            raise self._not_answering(place)

    def _place(self, place: Path) -> _Place:
        places = self._places.get(None)
        if places is None:
            self._places.set(places := {})
        return places.setdefault(place, _Place())

    async def _answered(self, future: asyncio.Future[Any], pulse: Pulse) -> bool:
        """Whether the work has ended; False once nothing was answered for too long."""
        if future.done():
            return True
        while (left := pulse.last + self.answer_s - time.monotonic()) > 0:
            done, _ = await asyncio.wait([future], timeout=left)
            if done:
                return True
        return future.done()

    def _not_answering(self, place: Path) -> NotAnswering:
        return NotAnswering(place, f"it has not answered for {self.answer_s:g} seconds")


MOUNTS = Mounts()
"""Every look at a workstation's folder goes through it."""


async def need_answer(folder: Path) -> None:
    """Raise NotAnswering unless a session's folder can be looked at now, whether it is there."""
    await MOUNTS.run(folder.parent, lambda _: os.path.lexists(folder))


def each_of(pulse: Pulse, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do `work` on each of `items`, a few at a time, from a place's thread; the results in order.

    Raises the FileError that one after the other would have met first; no more are begun then.
    Nor are they once the pulse is stopped: nobody waits for the results any more.
    """
    found: dict[int, R] = {}
    failed: dict[int, FileError] = {}
    left = deque(enumerate(items))

    def go_through() -> None:
        while not failed and not pulse.is_set():
            try:
                n, item = left.popleft()
            except IndexError:
                return
            try:
                found[n] = work(item)
            except FileError as error:
                failed[n] = error
            pulse.beat()

    helpers = [_in_a_thread(go_through) for _ in range(min(READERS, len(items)))]
    for each in helpers:
        each.result()
    if failed:
        raise failed[min(failed)]
    return [found[n] for n in sorted(found)]


def _in_a_thread(work: Callable[[], T]) -> "Future[T]":
    """The work in a thread that nobody waits for at the end: one that hangs would never let go."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def body() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 (raised in whoever waits for it)
            future.set_exception(error)

    threading.Thread(target=body, name="mount", daemon=True).start()
    return future


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
