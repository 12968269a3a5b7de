"""What a connection needs that is held for long: for a lock, or to listen.

A server may end sessions that are idle, a firewall forgets connections over which nothing
goes, and a network that went silent has to become an error. Pooled connections need none of
this: they are asked before use, and a closed one is replaced.
"""

from collections.abc import AsyncGenerator
from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

CONNECT: dict[str, str | int] = {
    "connect_timeout": 10,
    # A network that went silent has to become an error within seconds.
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 7000,
}
"""Options of the client's side, for psycopg; without a meaning on a socket of this machine."""

SETTINGS: LiteralString = """
    SELECT set_config(name, wanted, false)
    FROM (VALUES
        ('idle_session_timeout', '0'),
        ('idle_in_transaction_session_timeout', '0'),
        ('transaction_timeout', '0'),
        ('statement_timeout', '0'),
        ('lock_timeout', '0'),
        ('tcp_keepalives_idle', '10'),
        ('tcp_keepalives_interval', '5'),
        ('tcp_keepalives_count', '3')
    ) AS asked (name, wanted)
    JOIN pg_settings USING (name)
"""
"""For the session on the server's side, run once. Waiting for a lock is its purpose, so nothing
bounds it; and a lock whose holder's host died has to come free, in 25 s rather than hours.
What an older server does not know is left out."""

TRANSACTION: LiteralString = SETTINGS.replace("false", "true")
"""The same for one transaction of a pooled connection, at its beginning."""


async def notices(url: URL, channel: str, poll_s: float) -> AsyncGenerator[str | None]:
    """The payloads that a channel is notified of from now on; `url` is an engine's.

    The first is empty: it listens, and what came before is to be read. None whenever `poll_s`
    seconds have passed. Raises psycopg.Error and OSError when the connection cannot be made, or
    breaks.
    """
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(
        address,
        autocommit=True,
        **CONNECT,  # type: ignore[arg-type]
    ) as connection:
        await connection.execute(SETTINGS)
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        yield ""
        while True:
            async for notice in connection.notifies(timeout=poll_s):
                yield notice.payload
            yield None


async def hold_alone(tx: AsyncConnection, what: str) -> None:
    """Wait until nobody else holds `what`, and hold it until this transaction ends."""
    await tx.execute(text(TRANSACTION))
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))
