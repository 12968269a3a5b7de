"""The counts of sessions that people look at, kept for a while: a large session's cost seconds.

However many look, and however often, counting one session takes a twentieth of the time at most.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from board.context import Board
from track.reports.one_session import (
    SessionStage,
    SessionTotals,
    session_stages,
    session_totals,
)

KEPT = 200
LEAST_S = 1.0
SHARE = 0.05


@dataclass(frozen=True)
class StandingCounts:
    """A session's jobs by stage, and its assets; `good_until` by the monotonic clock."""

    stages: Sequence[SessionStage]
    totals: SessionTotals
    good_until: float


@dataclass
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    counts: StandingCounts | None = None


class CountsKept:
    """What was counted last of each of `KEPT` sessions; two who ask at once count once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, _Kept] = OrderedDict()

    async def of(self, here: Board, session_id: UUID) -> StandingCounts:
        """The counts of a session, not older than twenty times what it takes to count it."""
        mine = self._kept.setdefault(session_id, _Kept())
        self._kept.move_to_end(session_id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        async with mine.lock:
            if mine.counts is None or time.monotonic() >= mine.counts.good_until:
                began = time.monotonic()
                stages, totals = await here.read(_counted, session_id)
                now = time.monotonic()
                good_until = now + max(LEAST_S, (now - began) / SHARE)
                mine.counts = StandingCounts(stages, totals, good_until)
            return mine.counts


async def _counted(
    tx: AsyncConnection, session_id: UUID
) -> tuple[Sequence[SessionStage], SessionTotals]:
    return await session_stages(tx, session_id), await session_totals(tx, session_id)
