"""Which sites' scripts may call without a token, and for which assets they speak."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ADMITTING = text("""
    SELECT t.name FROM track.site t
    CROSS JOIN jsonb_array_elements_text(t.definition -> 'legacy_callbacks') AS listed(network)
    WHERE CAST(:address AS inet) <<= CAST(listed.network AS inet)
""")
WAS_AT = text("""
    SELECT EXISTS (
        SELECT 1 FROM track.asset a
        JOIN track.job j ON j.asset_guid IN (a.guid, a.parent_guid)
        JOIN track.attempt p ON p.job_id = j.id
        WHERE a.guid = :guid AND p.site = ANY(CAST(:sites AS text[]))
    )
""")


async def sites_admitting(tx: AsyncConnection, address: str) -> frozenset[str]:
    """The sites that list a network of this address; asked anew, since `sites.yaml` changes."""
    return frozenset((await tx.execute(ADMITTING, {"address": address})).scalars())


async def was_at(tx: AsyncConnection, guid: str, sites: frozenset[str]) -> bool:
    """Whether one of the sites was ever given a job of this asset or of its parent."""
    found = await tx.execute(WAS_AT, {"guid": guid, "sites": sorted(sites)})
    return bool(found.scalar_one())
