"""A connection may end at any moment: what nothing stayed of is done again, no more than that."""

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from track.schema.database import transact
from track.schema.lasting import CONNECT, SETTINGS

MINE = text("SELECT pg_backend_pid()")
ENDS = text("SELECT pg_terminate_backend(pg_backend_pid())")
NOTE = text("INSERT INTO noted VALUES (1)")


@pytest.fixture
async def noted(engine: AsyncEngine) -> None:
    """An empty table."""
    async with engine.begin() as tx:
        await tx.execute(text("CREATE TABLE noted (n int)"))


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM noted"))).scalar_one())


async def test_a_transaction_whose_connection_ends_before_its_commit_is_done_again(
    engine: AsyncEngine, noted: None
) -> None:
    turns = []

    async def work(tx: AsyncConnection) -> str:
        turns.append(await tx.execute(NOTE))
        if len(turns) == 1:
            await tx.execute(ENDS)
        return "done"

    assert await transact(engine, work) == "done"
    assert (len(turns), await count(engine)) == (2, 1)


async def test_a_commit_whose_answer_is_lost_is_not_done_again(
    engine: AsyncEngine, database: str, noted: None
) -> None:
    turns = []

    async def work(tx: AsyncConnection) -> None:
        await tx.execute(NOTE)
        turns.append((await tx.execute(MINE)).scalar_one())

    @event.listens_for(engine.sync_engine, "commit")
    def end(_: object) -> None:
        address = database.replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 60000)", (turns[-1],))

    with pytest.raises(OperationalError):
        await transact(engine, work)
    event.remove(engine.sync_engine, "commit", end)
    assert len(turns) == 1


async def test_pooled_connections_that_the_server_ended_cost_nothing(
    engine: AsyncEngine, database: str, noted: None
) -> None:
    async with engine.connect() as one, engine.connect() as two:
        idle = [(await each.execute(MINE)).scalar_one() for each in (one, two)]
    address = database.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address, autocommit=True) as other:
        for pid in idle:
            other.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))
    async with engine.begin() as tx:
        await tx.execute(NOTE)
    assert await count(engine) == 1


def test_a_lasting_connection_keeps_its_lock_whatever_the_server_bounds(database: str) -> None:
    address = database.replace("postgresql+psycopg://", "postgresql://")
    bounds = ("idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout")
    with psycopg.connect(address, autocommit=True) as one:
        for name in (*bounds, "lock_timeout", "transaction_timeout"):
            one.execute(f"ALTER DATABASE {one.info.dbname} SET {name} = '100ms'".encode())
    with psycopg.connect(address, **CONNECT) as lasting:  # type: ignore[arg-type]
        lasting.execute(SETTINGS)
        lasting.execute("SELECT pg_advisory_lock(1), pg_sleep(0.3)")
        with psycopg.connect(address, autocommit=True) as other, pytest.raises(psycopg.Error):
            other.execute("SELECT pg_advisory_lock(1)")
        with psycopg.connect(address) as other, pytest.raises(psycopg.OperationalError):
            for _ in other.notifies(timeout=60):
                pass
        assert lasting.execute("SELECT pg_advisory_unlock(1)").fetchone() == (True,)
