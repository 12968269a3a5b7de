"""What the system asks again and again, with as many finished assets as fit, and with 1,000.

The same few specimens move in both databases, so what is asked of them should take the same
time. Both are in one server and take turns, so that a busy machine slows both.

`REFINERY_SCALE_ASSETS` bounds the large one (a million; fewer, if filling it would take more than
ten minutes). In the folder `REFINERY_SCALE_PLANS`, if one is named, lies every plan afterwards.
"""

import os
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.benchmarks.rows import Row
from tests.benchmarks.sides import filled_sides
from tests.support.clusters import temporary_cluster
from tests.support.filled import Ask, Filled, recurring

ROUNDS = 7
TARGET = 2.0


async def measure(*, quick: bool = False) -> list[Row]:
    """A row for each that is asked: median ms in the large database and in the small one."""
    rounds = 1 if quick else ROUNDS
    with temporary_cluster() as cluster:
        async with AsyncExitStack() as stack:
            sides = await filled_sides(cluster, stack, quick=quick)
            many, few = (side.finished for side in sides)
            taken: dict[str, list[list[float]]] = {}
            for _ in range(rounds):
                for n, side in enumerate(sides):
                    for what, ask in recurring(side).items():
                        times = taken.setdefault(what, [[], []])[n]
                        times.append(await _asked_ms(side, ask))
            if folder := os.environ.get("REFINERY_SCALE_PLANS"):
                await _write_plans(sides[0], Path(folder))
    head = f"{many:,} assets ÷ {few:,}: "
    return [
        Row(head + what, *map(statistics.median, times), target=TARGET, unit="ms")
        for what, times in taken.items()
    ]


async def _asked_ms(side: Filled, ask: Ask) -> float:
    """Milliseconds that it takes; whatever it changes is taken back."""
    async with side.world.engine.connect() as tx:
        began = time.perf_counter()
        await ask(tx)
        took = time.perf_counter() - began
        await tx.rollback()
    return took * 1000


async def _write_plans(side: Filled, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for what, ask in recurring(side).items():
        async with side.world.engine.connect() as tx:
            plans = [await _plan(tx, *each) for each in await _statements(side, ask)]
            await tx.rollback()
        name = re.sub(r"\W+", "-", what)
        (folder / f"{name}.txt").write_text("\n\n".join(plans), encoding="utf-8")


async def _statements(side: Filled, ask: Ask) -> Sequence[tuple[str, Any]]:
    """The statements that it consists of, with what was bound."""
    seen: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, bound: Any, *___: Any) -> None:
        seen.append((statement, bound))

    async with side.world.engine.connect() as tx:
        event.listen(side.world.engine.sync_engine, "before_cursor_execute", keep)
        try:
            await ask(tx)
        finally:
            event.remove(side.world.engine.sync_engine, "before_cursor_execute", keep)
        await tx.rollback()
    return seen


async def _plan(tx: AsyncConnection, statement: str, bound: Any) -> str:
    many = isinstance(bound, list)
    asked = f"EXPLAIN (ANALYZE, BUFFERS) {statement}"
    async with tx.begin_nested():
        rows = await tx.exec_driver_sql(asked, bound[0] if many else bound)
        return "\n".join([statement, *(row[0] for row in rows)])
