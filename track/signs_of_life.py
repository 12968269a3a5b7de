"""Who was heard of, and when: services by their connections, sites by their drivers' notes."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.database import SERVICE

CONNECTIONS = text("""
    SELECT application_name AS name, CAST(extract(epoch FROM clock_timestamp()
               - max(greatest(backend_start, state_change))) AS float) AS silent_s
    FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, :prefix)
    GROUP BY application_name
""")

DRIVERS = text("""
    SELECT t.name, CAST(extract(epoch FROM now() - coalesce(t.seen_at, w.since)) AS float)
               AS silent_s, t.seen_at
    FROM track.site t
    LEFT JOIN LATERAL (
        SELECT min(o.queued_at) AS since FROM track.attempt o
        WHERE o.site = t.name AND o.closed_at IS NULL AND t.seen_at IS NULL
    ) w ON true
    WHERE t.open AND coalesce(t.seen_at, w.since) IS NOT NULL
""")

DRIVER = "driver of "
"""How the name of a site's driver begins."""


@dataclass(frozen=True)
class Heard:
    """A service or a site's driver, and for how many seconds it has said nothing."""

    name: str
    silent_s: float


async def services_heard(tx: AsyncConnection) -> list[Heard]:
    """The services that are connected to the database; each asks something every few seconds."""
    rows = await tx.execute(CONNECTIONS, {"prefix": SERVICE})
    return [Heard(row.name.removeprefix(SERVICE), row.silent_s) for row in rows]


async def drivers_heard(tx: AsyncConnection) -> list[Heard]:
    """The drivers of open sites, those included that were never heard of and have work waiting."""
    return [Heard(f"{DRIVER}{row.name}", row.silent_s) for row in await tx.execute(DRIVERS)]
