"""What many ask for at once is done together, and nobody pays for what another asked."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from sqlalchemy.exc import OperationalError

from tasks.dispatch.groups import MAX_JOBS, Group, Shared


@dataclass
class Database:
    """Answers twice the job's id, once it may; `broken` jobs cannot be done, `gone` ones are not
    the caller's."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    broken: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    calls: list[list[int]] = field(default_factory=list)

    async def work(self, job_ids: Mapping[int, None]) -> Mapping[int, int]:
        self.calls.append(list(job_ids))
        await self.open.wait()
        if self.broken & {*job_ids}:
            raise ValueError("one of them cannot be done")
        return {each: 2 * each for each in job_ids if each not in self.gone}


async def asked(group: Group[None, int], *job_ids: int) -> list[asyncio.Task[int | None]]:
    tasks = [asyncio.create_task(group.ask(each, None)) for each in job_ids]
    await asyncio.sleep(0)
    return tasks


async def test_one_alone_is_done_at_once() -> None:
    database = Database()
    database.open.set()
    assert await Group(database.work).ask(4, None) == 8


async def test_what_is_asked_meanwhile_is_done_together_by_the_next() -> None:
    database = Database()
    group = Group(database.work)
    first = await asked(group, 1)
    others = await asked(group, 5, 3, 4)
    await asyncio.sleep(0)
    database.open.set()
    assert await asyncio.gather(*first, *others) == [2, 10, 6, 8]
    assert database.calls[-1][-3:] == [3, 4, 5]
    assert len(database.calls) <= 2


async def test_one_transaction_takes_no_more_than_so_many() -> None:
    database = Database()
    database.open.set()
    jobs = range(2 * MAX_JOBS + 1)
    group = Group(database.work)
    await asyncio.gather(*(group.ask(each, None) for each in jobs))
    assert max(map(len, database.calls)) == MAX_JOBS
    assert sorted(each for call in database.calls for each in call) == list(jobs)


async def test_one_that_cannot_be_done_costs_no_other_anything() -> None:
    database = Database(broken={2}, gone={3})
    database.open.set()
    group = Group(database.work)
    ends = await asyncio.gather(
        *(group.ask(each, None) for each in (1, 2, 3)), return_exceptions=True
    )
    assert ends[0] == 2 and ends[2] is None
    assert isinstance(ends[1], ValueError)
    assert await group.ask(1, None) == 2


async def test_a_database_that_is_away_is_not_asked_for_each_job_in_turn() -> None:
    asked_for: list[Mapping[int, None]] = []

    async def away(job_ids: Mapping[int, None]) -> Mapping[int, int]:
        asked_for.append(job_ids)
        raise OperationalError("SELECT 1", {}, ConnectionError("refused"))

    group = Group(away)
    ends = await asyncio.gather(
        *(group.ask(each, None) for each in range(9)), return_exceptions=True
    )
    assert all(isinstance(each, OperationalError) for each in ends)
    assert len(asked_for) == 1


async def test_what_was_asked_for_is_done_though_its_asker_is_gone() -> None:
    database = Database()
    group = Group(database.work)
    (asker,) = await asked(group, 7)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    asyncio.get_running_loop().call_later(0.01, database.open.set)
    await group.close()
    assert database.calls == [[7]]
    assert await group.ask(7, None) == 14


async def test_shared_work_is_done_once_more_for_all_who_asked_while_it_was_under_way() -> None:
    shared, open_, begun = Shared(), asyncio.Event(), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        await open_.wait()

    first = asyncio.create_task(shared.do(work))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(shared.do(work)) for _ in range(20)]
    await asyncio.sleep(0.01)
    assert begun == 1
    open_.set()
    await asyncio.gather(first, *others)
    assert begun == 2


async def test_shared_work_that_is_broken_off_is_not_begun_again() -> None:
    shared, begun = Shared(), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    askers = [asyncio.create_task(shared.do(work)) for _ in range(3)]
    await asyncio.sleep(0.01)
    for asker in askers:
        asker.cancel()
    await asyncio.gather(*askers, return_exceptions=True)
    await shared.stop()
    await asyncio.sleep(0.01)
    assert begun == 1
