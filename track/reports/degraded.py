"""Sites that cannot work, or not all of it, as people are told of them."""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import CAPABILITIES
from track.jobs.sites import DRIVEN
from track.reports.alarm_messages import Subject
from track.reports.alarms import set_alarm

REMEDY = (
    "its jobs wait or go to other sites, and lose no try; operate/doctor-site says more; "
    "operate/switch takes it out of use, and its alarms with it"
)

SITES = text(f"""
    SELECT t.name, t.kind, t.open, t.degraded, t.lacks, {DRIVEN} AS driven
    FROM track.site t ORDER BY t.rank
""")


async def watch_sites(tx: AsyncConnection, *, drivers_away: bool) -> list[str]:
    """Have it told which sites are degraded; a line for each change.

    Of a site that is switched off nothing new is told. While the drivers are away (`drivers_away`)
    that is the trouble, and what they would drive is none of its own.
    """
    lines = []
    for row in (await tx.execute(SITES)).all():
        trouble = _trouble(row)
        follows = drivers_away and CAPABILITIES[row.kind].driven and not row.driven
        if trouble is not None and (follows or not row.open):
            continue
        if await set_alarm(tx, Subject("site", row.name), trouble, REMEDY):
            lines.append(f"site {row.name}: {trouble or 'it works again'}")
    return lines


def _trouble(row: Row[Any]) -> str | None:
    if row.degraded is not None:
        return str(row.degraded)
    lacks = [f"it cannot run module {run}: {lack['why']}" for run, lack in row.lacks.items()]
    return "; ".join(lacks) or None
