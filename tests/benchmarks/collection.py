"""Finds the benchmarks of this folder and runs each in its own way.

A benchmark is a module `bench_<name>.py` with `measure(...)`, plain or async. It is given
what it asks for by name: `quick`, `size` if one was named, and `system` for one that is shared
by all.
"""

import asyncio
import importlib
import inspect
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.benchmarks.rows import Row
from tests.benchmarks.system import System

SMALL: dict[str, dict[str, Any]] = {
    "callbacks": {"ROUNDS": 1, "PER_ROUND": 32, "CLIENTS": 4},
    "submission": {"JOBS": 20, "SINGLES": 3, "ROUNDS": 1, "WATCHED_MINUTES": 1},
}
"""What is changed in a benchmark that knows no `quick` of its own."""


def names() -> list[str]:
    """Every benchmark there is, by the name `--only` takes."""
    here = Path(__file__).parent
    return sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))


class Benchmarks(AsyncExitStack):
    """Runs benchmarks one after another, each that needs a system in a fresh one.

    What an earlier one left in it would slow the next. `quick` keeps one for all.
    """

    def __init__(self, *, quick: bool, size: int | None = None) -> None:
        super().__init__()
        self._size = size
        self._quick = quick
        self._system: System | None = None

    async def rows(self, name: str) -> list[Row]:
        """Run one benchmark. Raises whatever keeps it from running."""
        module = importlib.import_module(f"tests.benchmarks.bench_{name}")
        wanted = inspect.signature(module.measure).parameters
        given: dict[str, Any] = {"quick": self._quick} if "quick" in wanted else {}
        if "size" in wanted:
            given["size"] = self._size
        async with AsyncExitStack() as for_this:
            if "system" in wanted:
                given["system"] = await self._running(self if self._quick else for_this)
            if self._quick and name in SMALL:
                for_this.enter_context(patch.multiple(module, **SMALL[name]))
            if inspect.iscoroutinefunction(module.measure):
                found: list[Row] = await module.measure(**given)
            else:  # in a thread of its own, where it may run a loop of its own
                found = await asyncio.to_thread(module.measure, **given)
        return found

    async def _running(self, until: AsyncExitStack) -> System:
        if self._system is None or not self._quick:
            self._system = await until.enter_async_context(System.running())
        return self._system
