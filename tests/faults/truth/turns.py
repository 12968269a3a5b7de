"""Who does the next transaction: drawn from a seed, or everybody at once.

Every actor is a task of its own and asks before each transaction. Played in turns, one
transaction is under way at a time and the same seed gives the same run; played as a race,
the seed only fixes what each actor chooses to do.
"""

import asyncio
from asyncio import FIRST_EXCEPTION
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from random import Random

Check = Callable[[], Awaitable[None]]
IDLE_S = 0.005
"""Longest pause of an actor between two transactions of a race; longer for who has little to do."""

LOOK_EVERY = 8
"""Turns between two looks whether the play is over."""


async def _never() -> bool:
    return False


@dataclass
class Turns:
    """Plays actors against one another; `trace` is what they did, oldest first."""

    seed: int
    racing: bool = False
    trace: list[str] = field(default_factory=list)
    _weights: dict[str, float] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False
    _draw: Random = field(init=False)

    def __post_init__(self) -> None:
        self._draw = Random(f"{self.seed} turns")

    def rng(self, name: str) -> Random:
        """An actor's own source of choices."""
        return Random(f"{self.seed} {name}")

    def note(self, name: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{len(self.trace):4} {name:12} {what}")

    async def turn(self, name: str, weight: float = 1) -> None:
        """Wait for this actor's turn; who has little to do comes seldom, by its weight."""
        if self.racing:
            await asyncio.sleep(self._draw.random() * IDLE_S / weight)
            if self._ended:
                raise asyncio.CancelledError
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        self._weights[name] = weight
        self._stirred.set()
        await future

    async def play(
        self,
        actors: dict[str, Coroutine[None, None, None]],
        *,
        turns: int,
        check: Check,
        every: int = 1,
        over: Callable[[], Awaitable[bool]] = _never,
    ) -> None:
        """Run actors for so many turns, checking after each, or after so `every` many.

        What an actor raises ends the play and is raised here.
        """
        tasks = {name: asyncio.create_task(actor, name=name) for name, actor in actors.items()}
        for task in tasks.values():
            task.add_done_callback(lambda _: self._stirred.set())
        self._ended = False
        try:
            if self.racing:
                await self._race(tasks, turns, check, over)
                return
            for number in range(turns):
                if number % LOOK_EVERY == 0 and await over():
                    return
                if not await self._all_wait(tasks):
                    return
                names = sorted(self._waiting)
                (name,) = self._draw.choices(names, [self._weights[name] for name in names])
                self._waiting.pop(name).set_result(None)
                await self._all_wait(tasks)
                if number % every == 0:
                    await check()
        finally:
            await self._stop(tasks.values())

    async def _race(
        self,
        tasks: dict[str, asyncio.Task[None]],
        turns: int,
        check: Check,
        over: Callable[[], Awaitable[bool]],
    ) -> None:
        begun = len(self.trace)
        while len(self.trace) - begun < turns and not await over():
            await check()
            done, _ = await asyncio.wait(tasks.values(), timeout=0.05, return_when=FIRST_EXCEPTION)
            for task in done:
                task.result()
            if len(done) == len(tasks):
                return

    async def _all_wait(self, tasks: dict[str, asyncio.Task[None]]) -> bool:
        """Wait until every actor that still lives waits for its turn; whether any does."""
        while True:
            self._stirred.clear()
            for task in tasks.values():
                if task.done():
                    task.result()
            living = sum(not task.done() for task in tasks.values())
            if len(self._waiting) == living:
                return living > 0
            await self._stirred.wait()

    async def _stop(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Stop actors between two transactions: there they wait in turns, and get to in a race."""
        self._ended = True
        if not self.racing:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._waiting.clear()
