"""What grows for ever is counted aside: jobs that are over, and what modules took.

Counting a million specimens takes seconds, and Prometheus asks several times a minute. A
count is used again until fifty times the time has passed that it took: where little was
done it is always fresh, and where much was it costs a fiftieth of one connection. Whoever
asks waits a second for it at most, and is told how old it is.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncEngine

PATIENCE_S = 1.0
QUICK_S = 0.1
"""A count that takes no longer is made each time."""
SPARING = 50


class Total:
    """One count: its rows as they were found last, and how old they are."""

    def __init__(self, engine: AsyncEngine, statement: TextClause) -> None:
        self._engine, self._statement = engine, statement
        self._task: asyncio.Task[None] | None = None
        self._took = self._counted_at = 0.0
        self.rows: Sequence[Row[Any]] = ()

    @property
    def age_s(self) -> float | None:
        """Seconds since it was counted; None before the first count has ended."""
        return time.monotonic() - self._counted_at if self._counted_at else None

    async def refresh(self, patience_s: float = PATIENCE_S) -> None:
        """Count again if it is time; return when that is done, or when patience ends.

        Raises SQLAlchemyError when the count ended so.
        """
        age = self.age_s
        due = age is None or self._took <= QUICK_S or age >= self._took * SPARING
        if self._task is None and due:
            self._task = asyncio.create_task(self._count(), name="total")
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=patience_s)
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()

    async def _count(self) -> None:
        begun = time.monotonic()
        async with self._engine.connect() as connection:
            self.rows = (await connection.execute(self._statement)).all()
        self._counted_at = time.monotonic()
        self._took = self._counted_at - begun

    async def close(self) -> None:
        """End a count that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Totals:
    """The counts of one application."""

    def __init__(self, engine: AsyncEngine, ended: TextClause, spent: TextClause) -> None:
        self.ended, self.spent = Total(engine, ended), Total(engine, spent)

    async def refresh(self, patience_s: float = PATIENCE_S) -> None:
        """Both, at the same time."""
        both = (self.ended.refresh(patience_s), self.spent.refresh(patience_s))
        results = await asyncio.gather(*both, return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                raise error

    async def close(self) -> None:
        """End what is under way."""
        for each in (self.ended, self.spent):
            await each.close()
