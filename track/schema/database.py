"""The one way to the database: an async engine per event loop and retried transactions.

Row locks are taken in a fixed order, yet PostgreSQL may still find a deadlock
between two finishing jobs; such a transaction has done nothing and is run again.
Pooled connections are asked before use, so that one the server closed meanwhile costs nothing.

A statement is planned once in a connection. Ours find rows by ids, or by states that are written
in them, so that one plan serves all values; left to itself PostgreSQL takes the list of one id for
shorter than most, and plans anew each time for longer than the statement then runs.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

P = ParamSpec("P")
T = TypeVar("T")

AGAIN = frozenset({"40001", "40P01"})  # serialization failure, deadlock
TRIES = 8
PREPARED_AFTER = 1
"""Uses of a statement in a connection before its plan is kept: what comes once is not prepared."""
SERVICE = "refinery service "
"""How the names of services' connections begin; a dispatcher's, which ends, is none of them."""

SIGN_S = 30.0
"""How often a service that is idle gives a sign of life."""

ENDING_S = 3.0
"""How long its last one may take when it ends."""


def make_engine(url: str, *, pool: int = 5, overflow: int = 10, service: str = "") -> AsyncEngine:
    """An engine for this event loop; `url` is a `postgresql+psycopg` URL.

    A lasting service gives its name: its connections are the sign of life that reconcile reads.
    The connection used last is used next, for it has planned the most.
    """
    given: dict[str, Any] = {"prepare_threshold": PREPARED_AFTER}
    named = {"application_name": f"{SERVICE}{service}"} if service else {}
    engine = create_async_engine(
        url,
        pool_size=pool,
        max_overflow=overflow,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args=given | named,
    )
    event.listen(engine.sync_engine, "connect", _plan_once)
    return engine


def _plan_once(connection: DBAPIConnection, _record: object) -> None:
    """Have a new connection keep one plan of each statement.

    Said in SQL: a pooler refuses what it does not know among the options of a connection.
    """
    cursor = connection.cursor()
    cursor.execute("SET plan_cache_mode = force_generic_plan")
    cursor.close()
    connection.commit()


def never_fits(error: DBAPIError) -> bool:
    """Whether what was to be written can never be, so that trying again is no use.

    A value PostgreSQL has no room or no form for (SQLSTATE classes 22 and 54).
    """
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return isinstance(error, DataError) or state.startswith(("22", "54"))


async def transact(
    engine: AsyncEngine,
    work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `work(tx, *args, **kwargs)` in one transaction; again, up to 8 times, when nothing of
    it can have stayed.

    So it is when PostgreSQL chose it as a victim, and when its connection was lost before it
    was to commit: a server may end a session at any moment, and another is at hand.
    """
    for turn in range(TRIES):
        worked = False
        try:
            async with engine.begin() as tx:
                result = await work(tx, *args, **kwargs)
                worked = True
            return result
        except DBAPIError as error:
            undone = error.connection_invalidated and not worked
            victim = getattr(error.orig, "sqlstate", None) in AGAIN
            if not (victim or undone) or turn == TRIES - 1:
                raise
        await asyncio.sleep(random.uniform(0, 0.02 * 2**turn))
    raise AssertionError("unreachable")


@asynccontextmanager
async def reading(engine: AsyncEngine, patience_s: float) -> AsyncIterator[AsyncConnection]:
    """One transaction that can write nothing; each of its statements is ended after `patience_s`.

    What was ended so raises OperationalError with SQLSTATE 57014.
    """
    async with engine.connect() as connection:
        tx = await connection.execution_options(postgresql_readonly=True)
        await tx.execute(text(f"SET LOCAL statement_timeout = {int(patience_s * 1000)}"))
        yield tx


async def give_signs_of_life(engine: AsyncEngine) -> None:
    """Ask the database something now and then, for a service that nobody may use for hours.

    Until cancelled. A database that is away is no trouble of its own here.
    """
    while True:
        asking = asyncio.ensure_future(ping(engine))
        try:
            with suppress(SQLAlchemyError, OSError):
                await asyncio.shield(asking)
        finally:
            # Cut off while it connects it would leave a session that has yet to say who it is, for
            # which PostgreSQL waits a minute, and others with it.
            await asyncio.wait([asking], timeout=ENDING_S)
        await asyncio.sleep(SIGN_S)


async def ping(engine: AsyncEngine) -> None:
    """See that the database answers. Raises OperationalError."""
    async with engine.connect() as tx:
        await tx.execute(text("SELECT 1"))
