"""What every site's driver does, whatever it drives: it is seen while it is at work."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.sites import driver as driving
from hpc.sites import lock as site_lock
from hpc.sites.driver import Presence, drive
from hpc.sites.lock import LockLost, hold
from schemas.sites import Site
from tests.support.callbacks import until
from track.jobs.sites import load_sites
from track.schema.database import transact

HERE = Site.model_validate({"site": "here", "kind": "local", "root": "/nowhere"})


class LongTurn:
    """A driver whose one turn goes on and on, as while much is copied; `told` is what it did."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def adopt(self, wake: Callable[[], None] | None = None) -> None:
        """Nothing was left."""

    async def turn(self) -> None:
        self.told.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("stopped")

    async def close(self) -> None:
        self.told.append("closed")


@pytest.fixture
async def site(engine: AsyncEngine) -> Callable[[], Awaitable[bool]]:
    """Whether the site was seen since this was last asked."""
    await transact(engine, load_sites, [HERE], actor="test")

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
        now = driving.MAX_TURN_S

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


LOCK = "application_name = 'refinery site lock' AND datname = current_database()"


async def sessions(engine: AsyncEngine) -> list[int]:
    """The sessions that hold the lock of a site, or wait for it."""
    async with engine.connect() as tx:
        rows = await tx.execute(text(f"SELECT pid FROM pg_stat_activity WHERE {LOCK}"))
        return [row.pid for row in rows]


async def end_sessions(engine: AsyncEngine) -> None:
    async with engine.begin() as tx:
        await tx.execute(
            text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {LOCK}")
        )


@asynccontextmanager
async def driving_here(
    database: str, engine: AsyncEngine
) -> AsyncIterator[tuple[LongTurn, asyncio.Task[None]]]:
    """A driver in the middle of a turn."""
    driver = LongTurn()
    task = asyncio.create_task(drive(database, engine, "here", driver))

    async def began() -> bool:
        return task.done() or "began" in driver.told

    try:
        await until(began)
        yield driver, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_loss_of_its_lock_stops_a_driver_in_the_middle_of_a_turn(
    site: Callable[[], Awaitable[bool]], engine: AsyncEngine, database: str
) -> None:
    async with driving_here(database, engine) as (driver, task):
        await end_sessions(engine)
        with pytest.raises(LockLost, match="ended the lock's connection"):
            await asyncio.wait_for(task, 60)
        assert driver.told == ["began", "stopped", "closed"]


async def test_a_lock_whose_database_does_not_answer_is_taken_for_lost(
    site: Callable[[], Awaitable[bool]],
    engine: AsyncEngine,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site_lock, "CHECK_S", 0.1)
    async with driving_here(database, engine) as (driver, task):
        (session,) = await sessions(engine)
        monkeypatch.setattr(site_lock, "ANSWER_S", 0.5)
        os.kill(session, signal.SIGSTOP)
        try:
            with pytest.raises(LockLost, match="has not answered"):
                await asyncio.wait_for(task, 60)
            assert driver.told[-1] == "closed"
        finally:
            os.kill(session, signal.SIGCONT)


async def test_a_lock_that_a_pooler_gave_to_another_session_is_lost(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_lock, "CHECK_S", 0.1)
    async with hold(database, "here") as lock:
        lock._session = -1
        with pytest.raises(LockLost, match="pooler"):
            await asyncio.wait_for(lock.watch(), 60)


async def test_a_driver_outlives_a_database_that_ends_idle_sessions(
    site: Callable[[], Awaitable[bool]],
    engine: AsyncEngine,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site_lock, "CHECK_S", 3600.0)  # its own settings have to do
    async with engine.begin() as tx:
        name = engine.url.database
        await tx.execute(text(f"ALTER DATABASE {name} SET idle_session_timeout = '200ms'"))
    async with driving_here(database, engine) as (driver, task):
        address = database.replace("postgresql+psycopg://", "postgresql://")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as other:

            async def ended() -> bool:
                async for _ in other.notifies(timeout=0.02):
                    pass
                return other.closed

            with pytest.raises(psycopg.OperationalError):
                await until(ended)
        assert not task.done()
        assert driver.told == ["began"]
        assert len(await sessions(engine)) == 1


async def test_who_stood_by_acts_only_once_the_one_before_has_stopped(
    site: Callable[[], Awaitable[bool]],
    engine: AsyncEngine,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site_lock, "STOOD_BY_S", 0.0)
    monkeypatch.setattr(site_lock, "FENCE_S", 1.0)
    async with driving_here(database, engine) as (driver, _):
        (first,) = await sessions(engine)
        heir = LongTurn()
        task = asyncio.create_task(drive(database, engine, "here", heir))

        async def stands_by() -> bool:
            return len(await sessions(engine)) == 2

        async def acts() -> bool:
            return bool(heir.told)

        try:
            await until(stands_by)
            async with engine.begin() as tx:
                await tx.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
            await until(acts)
            assert "stopped" in driver.told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
