"""The board's pages with as many finished assets as fit and with 1,000, and what open boards cost.

The same few specimens move in both databases, so a page of either should take the same time. Both
are in one server and take turns, so that a busy machine slows both. `REFINERY_SCALE_ASSETS` bounds
the large one, as for `scale`.

Then specimens are carried from their registration to their last stage by the verbs alone, in turn
with nobody and with fifty who look at the page Today, which changes all the time. Whoever looks is
in the board's own process: what they take counts as well.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from refinery.local.postgres import EmbeddedPostgres
from tests.benchmarks.rows import Row
from tests.benchmarks.sides import filled_sides
from tests.support.board import open_board
from tests.support.clusters import temporary_cluster
from tests.support.filled import Filled
from tests.support.world import World, new
from track.reports import days
from track.schema.database import make_engine
from track.schema.migrations import upgrade

ROUNDS = 15
TARGET = 2.0
WATCHERS = 50
CARRIED = 60
LIVE_ROUNDS = 7
LIVE_TARGET = 1.05
ROAD: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": f"s{n}", "run": "module load", "needs": [f"s{n - 1}"] if n else []}
        for n in range(5)
    ],
}


async def today(board: httpx.AsyncClient, side: Filled) -> None:
    """The page Today."""
    await _get(board, "/today")


async def pipeline(board: httpx.AsyncClient, side: Filled) -> None:
    """A pipeline's page."""
    await _get(board, "/pipelines/P")


async def month(board: httpx.AsyncClient, side: Filled) -> None:
    """The report of this month, which adds up as many hours as it had; it has no target."""
    await _get(board, f"/reports?what={days.today().isoformat()[:7]}")


async def found(board: httpx.AsyncClient, side: Filled) -> None:
    """Find by a barcode."""
    await _get(board, "/find?barcode=NHMD-00000500")


async def specimen(board: httpx.AsyncClient, side: Filled) -> None:
    """One specimen's life."""
    await _get(board, "/specimens/old00000100")


Visit = Callable[[httpx.AsyncClient, Filled], Awaitable[None]]
PAGES: dict[str, tuple[Visit, float | None]] = {
    "page Today": (today, TARGET),
    "page of a pipeline": (pipeline, TARGET),
    "Find by barcode": (found, TARGET),
    "one specimen's life": (specimen, TARGET),
    "report of a month": (month, None),
}
"""What is asked of both, by its name, and what its ratio may be."""


async def measure(*, quick: bool = False) -> list[Row]:
    """A row for each page, and one for the road that many look at."""
    with temporary_cluster() as cluster:
        async with AsyncExitStack() as stack:
            pages = await _pages(cluster, stack, quick=quick)
        return [*pages, await _watched(cluster, quick=quick)]


async def _pages(cluster: EmbeddedPostgres, stack: AsyncExitStack, *, quick: bool) -> list[Row]:
    sides = await filled_sides(cluster, stack, quick=quick)
    urls = [side.world.engine.url.render_as_string(hide_password=False) for side in sides]
    boards = [await stack.enter_async_context(open_board(url)) for url in urls]
    taken: dict[str, list[list[float]]] = {name: [[], []] for name in PAGES}
    for turn in range(1 + (1 if quick else ROUNDS)):
        for n, (board, side) in enumerate(zip(boards, sides, strict=True)):
            for name, (visit, _) in PAGES.items():
                began = time.perf_counter()
                await visit(board, side)
                if turn:  # the first plans its statements and reads its templates
                    taken[name][n].append((time.perf_counter() - began) * 1000)
    many, few = (side.finished for side in sides)
    return [
        Row(
            f"{name}: {many:,} assets ÷ {few:,}",
            *map(statistics.median, taken[name]),
            target=target,
            unit="ms",
        )
        for name, (_, target) in PAGES.items()
    ]


async def _get(board: httpx.AsyncClient, path: str) -> None:
    answer = await board.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])


async def _watched(cluster: EmbeddedPostgres, *, quick: bool) -> Row:
    """The road with fifty open boards ÷ the same without, by the median of the rounds' ratios."""
    cluster.ensure_database("watched")
    url = cluster.url("watched")
    upgrade(url)
    rounds, watchers, carried = (1, 5, 10) if quick else (LIVE_ROUNDS, WATCHERS, CARRIED)
    engine = make_engine(url)
    with_them, alone = [], []
    try:
        world = await World.make(engine, ROAD)
        await _carry(world, "warm", carried)
        async with _board_process(url, watchers) as say:
            for n in range(rounds):
                # Each is first in turn: a machine that is more and more busy favours none.
                for order in ("open", "close") if n % 2 else ("close", "open"):
                    await say(order)
                    side = with_them if order == "open" else alone
                    side.append(await _carry(world, f"{order}{n}", carried))
                await say("close")
    finally:
        await engine.dispose()
    return Row(
        f"{watchers} open boards: {carried} specimens of 5 stages by the verbs, with ÷ without",
        statistics.median(with_them),
        statistics.median(alone),
        target=LIVE_TARGET,
        ratio=statistics.median(a / b for a, b in zip(with_them, alone, strict=True)),
    )


async def _carry(world: World, name: str, count: int) -> float:
    """Seconds from registration to the last stage's end, job by job."""
    began = time.perf_counter()
    await world.register(*(new(f"{name}-{n}") for n in range(count)))
    while claims := await world.claim(limit=64):
        for found in claims:
            await world.finish(found)
    return time.perf_counter() - began


@asynccontextmanager
async def _board_process(
    url: str, watchers: int
) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """A board in a process of its own, which is told when all look and when nobody does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.board_process", url, str(watchers)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None and process.stdout is not None
    told, heard = process.stdin, process.stdout

    async def say(order: str) -> None:
        told.write(f"{order}\n".encode())
        await told.drain()
        async with asyncio.timeout(120):
            assert await heard.readline() == b"done\n", "the board's process ended"

    try:
        yield say
    finally:
        told.close()
        await process.wait()
