"""Two databases of one server, with many finished specimens and with few, for benchmarks that
hold one against the other."""

import os
import time
from contextlib import AsyncExitStack

from refinery.local.postgres import EmbeddedPostgres
from tests.support.filled import Filled
from track.schema.database import make_engine
from track.schema.migrations import upgrade

FEW, MANY = 1_000, 1_000_000
FILL_S = 600.0
PROBE = 10_000


async def filled_sides(
    cluster: EmbeddedPostgres, stack: AsyncExitStack, *, quick: bool
) -> list[Filled]:
    """The large one and the small one.

    `REFINERY_SCALE_ASSETS` bounds the large one (a million; fewer, if filling it would take more
    than ten minutes).
    """
    most = int(os.environ.get("REFINERY_SCALE_ASSETS", MANY))
    many = 400 if quick else min(most, await _affordable(cluster, stack))
    return [await _filled(cluster, stack, size) for size in (many, 100 if quick else FEW)]


async def _affordable(cluster: EmbeddedPostgres, stack: AsyncExitStack) -> int:
    """How many assets are filled in within the time, as a first page of them takes."""
    began = time.monotonic()
    await _filled(cluster, stack, PROBE, moving=False)
    return int(FILL_S / (time.monotonic() - began) * PROBE)


async def _filled(
    cluster: EmbeddedPostgres, stack: AsyncExitStack, size: int, *, moving: bool = True
) -> Filled:
    """A database with so many finished assets."""
    name = f"scale_{size}"
    cluster.ensure_database(name)
    upgrade(cluster.url(name))
    engine = make_engine(cluster.url(name))
    stack.push_async_callback(engine.dispose)
    made = await Filled.make(engine)
    await made.fill(size)
    if moving:
        await made.set_moving()
    await made.analyse()
    return made
