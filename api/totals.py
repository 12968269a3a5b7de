"""Counts that grow for ever, kept in memory: jobs that are over, and what modules took.

Counting a million specimens takes seconds, and Prometheus asks several times a minute. A
count is used again until fifty times the time has passed that it took, so that it costs a
fiftieth of one connection at most. A request waits for it for a second, and gets its age.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncEngine

PATIENCE_S = 1.0
QUICK_S = 0.1
"""A count that takes no longer is made each time."""
SPARING = 50


class Totals:
    """The rows of some counts as they were found last, and how old they are."""

    def __init__(self, engine: AsyncEngine, *statements: TextClause) -> None:
        self._engine, self._statements = engine, statements
        self._task: asyncio.Task[None] | None = None
        self._took = self._counted_at = 0.0
        self.rows: list[Sequence[Row[Any]]] = [() for _ in statements]

    @property
    def age_s(self) -> float:
        """Seconds since they were counted; infinite before the first count has ended."""
        return time.monotonic() - self._counted_at if self._counted_at else math.inf

    async def refresh(self, patience_s: float = PATIENCE_S) -> None:
        """Count again if it is time; return when that is done, or when patience ends.

        Raises SQLAlchemyError when the count ended so.
        """
        if self._task is None:
            if self._took > QUICK_S and self.age_s < self._took * SPARING:
                return
            self._task = asyncio.create_task(self._count(), name="totals")
        await asyncio.wait([self._task], timeout=patience_s)
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()

    async def _count(self) -> None:
        begun = time.monotonic()
        async with self._engine.connect() as tx:
            self.rows = [(await tx.execute(each)).all() for each in self._statements]
        self._counted_at = time.monotonic()
        self._took = self._counted_at - begun

    async def close(self) -> None:
        """End a count that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
