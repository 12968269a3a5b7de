"""Sites for tests that have no driver of their own."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import Site
from track.jobs.sites import load_sites

DRIVEN = text("UPDATE track.site SET seen_at = now() + interval '1 day' WHERE name = ANY(:names)")


async def install_sites(tx: AsyncConnection, sites: Sequence[Site]) -> None:
    """Make sites known, each as if its driver were at work."""
    await load_sites(tx, sites, actor="test")
    await tx.execute(DRIVEN, {"names": [each.name for each in sites]})
