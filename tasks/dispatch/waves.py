"""Waves: which of a dispatcher's jobs share one subflow in Prefect.

A job's work never waits for its subflow. So what waits here waits only to be shown: the later
stages first, and the more there is, the more is shown by one subflow. A wave is no state: the
database knows jobs only, and whoever takes over after a crash finds those.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from prefect import Flow
from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Crashed, Failed

from track.jobs.claims import Claim

MAX_JOBS = 500
"""Jobs that one subflow shows at most."""

AUTO = 0
"""The `wave` of a stage whose jobs share subflows only when there are too many for their own."""

MAX_REASONS = 3
"""Specimens that a wave's message names; its artifact has the others."""

PARKED = "Parked"
"""How a work ends whose site still has its job."""

CUT_OFF = "cut off; its job goes on under the next dispatcher"


@dataclass(eq=False)
class Work:
    """What a dispatcher does for one job: its flow's own code, which runs already.

    `at` is when it ended.
    """

    claim: Claim
    flow: Flow[..., Any]
    task: asyncio.Task[Any]
    at: datetime | None = None

    def __post_init__(self) -> None:
        self.task.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[Any]) -> None:
        self.at = datetime.now(UTC)

    @property
    def may_have_printed(self) -> bool:
        """Whether it saw the end of an attempt at a site; one that is parked did not."""
        return self.claim.kind != "builtin" and self.state().name != PARKED

    @property
    def error(self) -> BaseException | None:
        """What it raised."""
        return None if self.task.cancelled() else self.task.exception()

    def state(self) -> State[Any]:
        """How it ended, as Prefect names it."""
        if self.task.cancelled():
            return Crashed(message=CUT_OFF)
        if (error := self.task.exception()) is not None:
            return Failed(message=f"{type(error).__name__}: {error}")
        found = self.task.result()
        return found if isinstance(found, State) else Completed()


@dataclass(eq=False)
class Wave:
    """Works of one stage that one subflow shows.

    `key` names it to Prefect before it has a run, `run` is that run's id once it is known.
    """

    works: Sequence[Work]
    key: UUID = field(default_factory=uuid4)
    run: UUID | None = None

    @property
    def flow(self) -> Flow[..., Any]:
        """The flow whose code its jobs run."""
        return self.works[0].flow

    @property
    def stage(self) -> str:
        """The key of the stage that its jobs began with."""
        return self.works[0].claim.stage

    @property
    def pipeline(self) -> str:
        """Whose stage that is."""
        return self.works[0].claim.pipeline

    @property
    def name(self) -> str:
        """What people see: the specimen and its stage, or the stage and how many."""
        first, several = self.works[0].claim, len(self.works)
        return f"{first.guid} {first.stage}" if several == 1 else f"{first.stage} × {several}"

    @property
    def parameters(self) -> dict[str, Any]:
        """What its run was given, for people and for whoever cancels it."""
        claims = [work.claim for work in self.works]
        return {
            "pipeline": self.pipeline,
            "stage": self.stage,
            "jobs": [claim.job_id for claim in claims],
            "specimens": [claim.guid for claim in claims],
        }

    @property
    def over(self) -> bool:
        """Whether all of its works have ended."""
        return all(work.at is not None for work in self.works)

    def on_end(self, call: Callable[["Wave"], None]) -> None:
        """Have `call` called once all of its works have ended; they have not by now."""
        left = sum(work.at is None for work in self.works)

        def one_less(_: asyncio.Task[Any]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                call(self)

        for work in self.works:
            if work.at is None:
                work.task.add_done_callback(one_less)

    def state(self, *, late: bool) -> State[Any]:
        """How it ended; `late`: its run is made only now, and says when that was."""
        ends = [work.state() for work in self.works]
        at = max(work.at for work in self.works if work.at is not None)
        if len(ends) == 1:
            (state,) = ends
            message = state.message or ""
        else:
            state = _joint(ends)
            first = (f"{guid}: {end.message}" for guid, end in islice(self.troubles(), MAX_REASONS))
            message = "; ".join([self.counts, *first])
        if late:
            message = f"{message}; done at {at.astimezone():%H:%M:%S}".removeprefix("; ")
        return state.model_copy(update={"message": message or None})

    def troubles(self) -> Iterator[tuple[str, State[Any]]]:
        """The specimens whose work did not go well, with its end."""
        ends = ((work.claim.guid, work.state()) for work in self.works)
        return (each for each in ends if not each[1].is_completed())

    @property
    def counts(self) -> str:
        """How many ended in which way."""
        names = Counter(work.state().name for work in self.works)
        return ", ".join(f"{n} {str(name).lower()}" for name, n in names.most_common())


def _joint(ends: Sequence[State[Any]]) -> State[Any]:
    """What stands for all of them: the worst, and its own name only where all have it."""
    types = {end.type for end in ends}
    for worst in (StateType.FAILED, StateType.CRASHED):
        if worst in types:
            return State(type=worst)
    if types == {StateType.CANCELLED}:
        return State(type=StateType.CANCELLED)
    names = {end.name for end in ends}
    return State(type=StateType.COMPLETED, name=names.pop() if len(names) == 1 else None)


class Unshown:
    """Works that have no run yet: those of later stages first, then those that came first."""

    def __init__(self) -> None:
        self._by_stage: dict[tuple[str, str, str], deque[Work]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_stage.values()))

    def add(self, work: Work) -> None:
        """One more; a returned one before the others of its stage."""
        claim = work.claim
        queue = self._by_stage.setdefault((work.flow.name, claim.pipeline, claim.stage), deque())
        if claim.returned:
            queue.appendleft(work)
        else:
            queue.append(work)

    def take(self, *, crowded: bool) -> Wave | None:
        """The works of the next run, None without any.

        As many of a stage as its `wave` says. Where that is `AUTO`: all, when the runs are
        `crowded`, else one.
        """
        if not self._by_stage:
            return None
        key, queue = max(self._by_stage.items(), key=lambda each: each[1][0].claim.position)
        works = list(_first(queue, _size(queue[0].claim.wave, crowded)))
        if not queue:
            del self._by_stage[key]
        return Wave(works)


def _size(wave: int, crowded: bool) -> int:
    if wave == AUTO:
        return MAX_JOBS if crowded else 1
    return wave


def _first(queue: deque[Work], most: int) -> Iterator[Work]:
    while queue and most > 0:
        most -= 1
        yield queue.popleft()
