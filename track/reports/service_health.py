"""Which services were heard of, and when: their connections to the database tell."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.database import SERVICE

CONNECTIONS = text("""
    SELECT application_name AS name, CAST(extract(epoch FROM clock_timestamp()
               - max(greatest(backend_start, state_change))) AS float) AS silent_s
    FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, :prefix)
    GROUP BY application_name
""")


@dataclass(frozen=True)
class Heard:
    """A service, and for how many seconds it has asked nothing."""

    name: str
    silent_s: float


async def services_heard(tx: AsyncConnection) -> list[Heard]:
    """The services that are connected to the database; each asks something every few seconds."""
    rows = await tx.execute(CONNECTIONS, {"prefix": SERVICE})
    return [Heard(row.name.removeprefix(SERVICE), row.silent_s) for row in rows]
