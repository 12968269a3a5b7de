"""Doing for many at once what each of them asks for alone.

A subflow says what is to become of its own job and waits for that. What is asked for while one
transaction runs is done by the next, all of it: at rest each goes by itself and at once, and the
more there are, the more go together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.log_lines import say_about
from schemas.quarantine import QuarantineEntry
from tasks.dispatch.spacing import Spacing
from track.commands import shares
from track.commands.assets import quarantine_all
from track.jobs import at_site, verbs
from track.jobs.moves import Guard, lock
from track.jobs.setbacks import Setback
from track.records.mos import may_lack_metadata
from track.schema.database import transact
from track.schema.states import State

Asked = TypeVar("Asked")
Found = TypeVar("Found")

DATABASE_AWAY = (OperationalError, InterfaceError, OSError)
"""Of these no job is the cause."""

MAX_JOBS = 500
"""Jobs of one transaction: it holds their rows until it ends."""


class Group(Generic[Asked, Found]):
    """Has `work` done for jobs, each with what is asked for it; it answers by job, and may leave
    out some.

    What it raises for several is asked again for each alone, so that one that cannot be done
    costs no other anything; not so when the database is away, or all would wait for it in turn.
    """

    def __init__(
        self, work: Callable[[Mapping[int, Asked]], Awaitable[Mapping[int, Found]]]
    ) -> None:
        self._work = work
        self._asked: dict[int, tuple[Asked, asyncio.Future[Found | None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._turns = Spacing()

    async def ask(self, job_id: int, what: Asked) -> Found | None:
        """What became of one job; None when `work` left it out. Raises what `work` raises.

        Whoever is cancelled while it waits does not take back what it asked for; of what is
        asked for one job at the same time the first is done.
        """
        if job_id not in self._asked:
            self._asked[job_id] = what, asyncio.get_running_loop().create_future()
        _, future = self._asked[job_id]
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Wait until all that was asked for is done."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Break off where it stands; whoever still waits is never answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        say_about(guid=None, stage=None)  # who asked first began it, and it works for all
        while self._asked:
            await self._turns.wait()
            taken = sorted(islice(self._asked, MAX_JOBS))
            with self._turns.look():
                await self._answer({job_id: self._asked.pop(job_id) for job_id in taken})

    async def _answer(
        self, taken: Mapping[int, tuple[Asked, asyncio.Future[Found | None]]]
    ) -> None:
        try:
            found = await self._work({job_id: what for job_id, (what, _) in taken.items()})
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            if len(taken) > 1 and not isinstance(error, DATABASE_AWAY):
                for job_id, asked in taken.items():
                    await self._answer({job_id: asked})
                return
            for _, future in taken.values():
                future.set_exception(error)
                future.exception()  # whoever asked may be gone: nobody need be told of it
            return
        for job_id, (_, future) in taken.items():
            future.set_result(found.get(job_id))


class Shared:
    """What is done once for all who ask for it before it begins; each of them waits for its end."""

    def __init__(self) -> None:
        self._group: Group[Callable[[], Awaitable[None]], None] = Group(self._first)

    async def do(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done; raises what `work` raises."""
        await self._group.ask(0, work)

    async def stop(self) -> None:
        """Break it off; nobody waits for it any more."""
        await self._group.stop()

    async def _first(
        self, asked: Mapping[int, Callable[[], Awaitable[None]]]
    ) -> Mapping[int, None]:
        await asked[0]()
        return {}


class TakenBack(NamedTuple):
    """What became of a job that came back: done; or how its outputs stand, by `retrievals`."""

    done: bool
    trouble: str | None = None


@dataclass(frozen=True)
class GroupedMoves:
    """What becomes of many jobs of the dispatcher `holder` in the same way, at once.

    `actor` is how history names it. Each group answers for the jobs that are still the holder's.
    """

    engine: AsyncEngine
    holder: UUID
    actor: str
    submit: Group[None, bool] = field(init=False)
    submit_shared: Group[None, bool] = field(init=False)
    take_back: Group[None, TakenBack] = field(init=False)
    finish: Group[None, bool] = field(init=False)
    retry: Group[Setback, State] = field(init=False)
    fail: Group[str, bool] = field(init=False)
    quarantine: Group[QuarantineEntry, bool] = field(init=False)

    def __post_init__(self) -> None:
        for name in GROUPS:
            object.__setattr__(self, name, Group(getattr(self, f"_{name}")))

    @property
    def guard(self) -> Guard:
        """What its moves are guarded with: they fail once another dispatcher has the job."""
        return Guard(dispatcher_id=self.holder)

    async def close(self) -> None:
        """Wait until all that was asked for is done."""
        for name in GROUPS:
            await getattr(self, name).close()

    async def _submit(self, asked: Mapping[int, None]) -> Mapping[int, bool]:
        """Whether each is at a site now: not one whose asset's share is to be opened first."""

        async def work(tx: AsyncConnection) -> Mapping[int, bool]:
            await lock(tx, [*asked])
            opening = await shares.opening_for(tx, asked)
            others = [each for each in asked if each not in opening]
            return {**dict.fromkeys(opening, False), **await self._queue(tx, others)}

        return await transact(self.engine, work)

    async def _submit_shared(self, asked: Mapping[int, None]) -> Mapping[int, bool]:
        return await transact(self.engine, self._queue, [*asked])

    async def _queue(self, tx: AsyncConnection, job_ids: Sequence[int]) -> Mapping[int, bool]:
        if not job_ids:
            return {}
        queued = await at_site.submit_all(tx, job_ids, self.holder, actor=self.actor)
        return dict.fromkeys(queued, True)

    async def _take_back(self, asked: Mapping[int, None]) -> Mapping[int, TakenBack]:
        """Those that were taken; one with which nothing is left to do outside is done at once."""

        async def work(tx: AsyncConnection) -> Mapping[int, TakenBack]:
            taken = await at_site.take_back_all(tx, [*asked], self.holder)
            here = [job_id for job_id, trouble in taken.items() if trouble == ""]
            lacking = await may_lack_metadata(tx, here)
            done = await self._done(tx, [each for each in here if each not in lacking])
            return {each: TakenBack(each in done, trouble) for each, trouble in taken.items()}

        return await transact(self.engine, work)

    async def _finish(self, asked: Mapping[int, None]) -> Mapping[int, bool]:
        return dict.fromkeys(await transact(self.engine, self._done, [*asked]), True)

    async def _done(self, tx: AsyncConnection, job_ids: Sequence[int]) -> list[int]:
        if not job_ids:
            return []
        done, _ = await verbs.finish_all(tx, job_ids, actor=self.actor, guard=self.guard)
        return done

    async def _retry(self, asked: Mapping[int, Setback]) -> Mapping[int, State]:
        return await transact(
            self.engine, verbs.try_again_all, asked, actor=self.actor, guard=self.guard
        )

    async def _fail(self, asked: Mapping[int, str]) -> Mapping[int, bool]:
        failed = await transact(
            self.engine, verbs.end_all, asked, State.FAILED, actor=self.actor, guard=self.guard
        )
        return dict.fromkeys(failed, True)

    async def _quarantine(self, asked: Mapping[int, QuarantineEntry]) -> Mapping[int, bool]:
        ended = await transact(
            self.engine, quarantine_all, asked, dispatcher_id=self.holder, actor=self.actor
        )
        return dict.fromkeys(ended, True)


GROUPS = ("submit", "submit_shared", "take_back", "finish", "retry", "fail", "quarantine")
"""Each by the name of the method that does its work."""
