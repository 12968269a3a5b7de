"""Shares that hang: one thread each, a word in time, and nobody else held up."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from tasks.errors import SourceVanished
from tasks.files.mounts import READERS, Mounts, NotAnswering, Pulse, each_of

HERE, THERE = Path("/n/HERE"), Path("/n/THERE")


async def test_what_the_work_gives_or_raises_reaches_whoever_waits() -> None:
    mounts = Mounts()

    def fails(_: Pulse) -> None:
        raise SourceVanished(HERE, "it is not there")

    assert await mounts.run(HERE, lambda _, n: n + 1, 2) == 3
    with pytest.raises(SourceVanished, match="not there"):
        await mounts.run(HERE, fails)


async def test_a_share_that_hangs_is_said_has_one_thread_and_holds_up_no_other() -> None:
    mounts, answers, asked = Mounts(answer_s=0.2), threading.Event(), 0

    def hangs(_: Pulse) -> str:
        nonlocal asked
        asked += 1
        answers.wait()
        return "here"

    with pytest.raises(NotAnswering, match="seconds; check the mount"):
        await mounts.run(HERE, hangs)
    for _ in range(3):
        with pytest.raises(NotAnswering):
            await mounts.run(HERE, hangs)
    assert asked == 1, "never more than one thread hangs"
    assert await mounts.run(THERE, lambda _: "there") == "there"
    answers.set()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await mounts.run(HERE, hangs) == "here"
                break
            except NotAnswering:
                await asyncio.sleep(0.01)


async def test_a_share_that_is_slow_but_answers_has_all_the_time_it_needs() -> None:
    mounts = Mounts(answer_s=1)

    def slow(pulse: Pulse) -> str:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            time.sleep(0.01)
            pulse.beat()
        return "all of it"

    assert await mounts.run(HERE, slow) == "all of it"


async def test_who_only_looks_is_let_go_at_once_and_who_changes_something_waits() -> None:
    mounts, going_on = Mounts(), threading.Event()

    def work(pulse: Pulse) -> None:
        going_on.set()
        pulse.wait(120)

    for changes in (False, True):
        task = asyncio.create_task(mounts.run(HERE, work, changes=changes))
        await asyncio.to_thread(going_on.wait, 60)
        going_on.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await mounts.run(HERE, lambda _: 1) == 1


async def test_many_small_files_are_read_a_few_at_a_time_and_given_in_order() -> None:
    together = threading.Barrier(READERS, timeout=60)

    def read(n: int) -> int:
        together.wait()
        return n * n

    count = 3 * READERS
    found = await Mounts().run(HERE, each_of, read, range(count))
    assert found == [n * n for n in range(count)]


async def test_the_error_that_comes_first_in_order_is_raised_whichever_was_met_first() -> None:
    second, begun = threading.Event(), []

    def read(n: int) -> int:
        begun.append(n)
        if n == 1:
            assert second.wait(60)
        if n == 2:
            second.set()
        if n in (1, 2):
            raise SourceVanished(HERE / str(n), "it is not there")
        time.sleep(0.001)
        return n

    with pytest.raises(SourceVanished, match="1"):
        await Mounts().run(HERE, each_of, read, range(100_000))
    assert len(begun) < 100_000, "nothing more is begun after an error"


async def test_one_file_that_hangs_among_many_is_said_once_the_others_are_read() -> None:
    mounts, answers, read_already = Mounts(answer_s=0.2), threading.Event(), []

    def read(n: int) -> None:
        if n == 3:
            answers.wait()
        read_already.append(n)

    with pytest.raises(NotAnswering):
        await mounts.run(HERE, each_of, read, range(50))
    assert sorted([*read_already, 3]) == list(range(50))
    with pytest.raises(NotAnswering):
        await mounts.run(HERE, lambda _: "nothing else hangs there")
    answers.set()


async def test_who_no_longer_waits_has_no_more_files_read() -> None:
    mounts, going_on, begun = Mounts(), threading.Event(), []

    def read(n: int) -> None:
        begun.append(n)
        going_on.set()
        time.sleep(0.001)

    task = asyncio.create_task(mounts.run(HERE, each_of, read, range(100_000)))
    await asyncio.to_thread(going_on.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await mounts.run(HERE, lambda _: len(begun)) < 100_000
