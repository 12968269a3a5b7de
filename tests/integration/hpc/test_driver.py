"""What every site's driver does, whatever it drives: it is seen while it is at work."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc import driver as driving
from hpc.driver import Presence, drive
from schemas.sites import Site
from track.database import transact
from track.sites import load_sites

HERE = Site.model_validate({"site": "here", "kind": "local", "root": "/nowhere"})


class LongTurn:
    """A driver whose one turn goes on and on, as while much is copied."""

    async def adopt(self) -> None:
        """Nothing was left."""

    async def turn(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Nothing to let go of."""


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.02)


@pytest.fixture
async def site(engine: AsyncEngine) -> Callable[[], Awaitable[bool]]:
    """Whether the site was seen since this was last asked."""
    await transact(engine, lambda tx: load_sites(tx, [HERE], actor="test"))

    async def was_seen() -> bool:
        async with engine.begin() as tx:
            forget = text("UPDATE track.site SET seen_at = NULL WHERE seen_at IS NOT NULL")
            return (await tx.execute(forget)).rowcount == 1

    return was_seen


async def test_a_driver_is_seen_again_and_again_while_a_long_turn_is_under_way(
    site: Callable[[], Awaitable[bool]],
    engine: AsyncEngine,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driving, "SEEN_EVERY_S", 0.05)
    task = asyncio.create_task(drive(database, engine, "here", LongTurn()))
    try:
        for _ in range(3):
            await until(site)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await site()
    assert not await site()


async def test_a_turn_that_hangs_is_no_driver_at_work(
    site: Callable[[], Awaitable[bool]], engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "SEEN_EVERY_S", 0.01)
    now = 0.0
    presence = Presence(engine, "here", lambda: now)
    task = asyncio.create_task(presence.keep())
    try:
        await until(site)
        now = driving.LONGEST_TURN_S

        async def quiet() -> bool:
            before = await site()
            await asyncio.sleep(0.1)
            return not before and not await site()

        await until(quiet)
        presence.note_progress()
        await until(site)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
