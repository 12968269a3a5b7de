"""Blocking work off the event loop: it is bounded, and cancelling it ends it."""

import asyncio
import threading

import pytest

from tasks.files.threads import Stop, Threads


async def test_no_more_than_its_size_runs_at_a_time() -> None:
    pool = Threads("test", 2)
    lock, running, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    def work(_: Stop) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(10)
        with lock:
            running -= 1

    await asyncio.gather(*(pool.run(work) for _ in range(6)))
    assert most == 2


async def test_a_cancelled_caller_waits_until_the_work_has_stopped() -> None:
    pool, begun, ended = Threads("test", 1), threading.Event(), threading.Event()

    def work(stop: Stop) -> None:
        begun.set()
        assert stop.wait(10)
        ended.set()

    task = asyncio.create_task(pool.run(work))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_an_error_of_the_work_reaches_the_caller() -> None:
    def work(_: Stop) -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        await Threads("test", 1).run(work)
