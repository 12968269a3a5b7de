"""Finds the benchmarks of this folder and runs each in its own way.

A benchmark is a module `bench_<name>.py` with `measure(...)`, or `run()`, plain or async.
It is given what it asks for by name: `quick`, and `system` for one that is shared by all.
"""

import asyncio
import dataclasses
import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self
from unittest.mock import patch

from tests.benchmarks.rows import Row
from tests.benchmarks.system import System

SMALL: dict[str, dict[str, Any]] = {
    "callbacks": {"ROUNDS": 1, "PER_ROUND": 32, "CLIENTS": 4},
    "submission": {"JOBS": 20, "SINGLES": 3, "ROUNDS": 1, "WATCHED_MINUTES": 1},
}
"""What is changed in a benchmark that knows no `quick` of its own."""

FIGURES = {
    "callbacks": Row(
        "callbacks committed ÷ bare INSERT and commit, same server",
        0,
        0,
        target=0.4,
        unit="per s",
        at_least=True,
    )
}
"""The row of a benchmark that returns its two figures alone, ours first."""


def names() -> list[str]:
    """Every benchmark there is, by the name `--only` takes."""
    here = Path(__file__).parent
    return sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))


class Benchmarks:
    """Runs benchmarks one after another, each that needs a system in a fresh one.

    What an earlier one left in it would slow the next. `quick` keeps one for all.
    """

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._opened = AsyncExitStack()
        self._system: System | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.__aexit__(kind, error, trace)

    async def rows(self, name: str) -> list[Row]:
        """Run one benchmark. Raises whatever keeps it from running."""
        module = importlib.import_module(f"tests.benchmarks.bench_{name}")
        work = getattr(module, "measure", None) or module.run
        wanted = inspect.signature(work).parameters
        given: dict[str, Any] = {"quick": self._quick} if "quick" in wanted else {}
        smaller = self._small(name, module, wanted)
        async with AsyncExitStack() as for_this:
            if "system" in wanted:
                given["system"] = await self._running(self._opened if self._quick else for_this)
            if smaller:
                for_this.enter_context(patch.multiple(module, **smaller))
            if inspect.iscoroutinefunction(work):
                found = await work(**given)
            else:  # in a thread of its own, where it may run a loop of its own
                found = await asyncio.to_thread(work, **given)
        return list(_rows(name, found))

    async def _running(self, until: AsyncExitStack) -> System:
        if not self._quick:
            return await until.enter_async_context(System.running())
        if self._system is None:
            self._system = await until.enter_async_context(System.running())
        return self._system

    def _small(self, name: str, module: ModuleType, wanted: Mapping[str, Any]) -> dict[str, Any]:
        if not self._quick or "quick" in wanted:
            return {}
        return {key: value for key, value in SMALL.get(name, {}).items() if hasattr(module, key)}


def _rows(name: str, found: Any) -> Iterator[Row]:
    """Rows as they are, or made of what another benchmark returns."""
    if isinstance(found, dict):
        ours, theirs, *_ = found.values()
        yield dataclasses.replace(FIGURES[name], ours=ours, theirs=theirs)
        return
    for each in found:
        if isinstance(each, Row):
            yield each
        else:
            at_least = getattr(each, "at_least", False)
            yield Row(
                each.what,
                each.ours,
                each.theirs,
                each.target,
                unit=getattr(each, "unit", ""),
                at_least=at_least,
                ratio=each.ratio,
            )
