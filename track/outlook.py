"""What a session still has before it: the one test used before parking and after it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.outputs import AWAITED
from track.sites import WITHOUT_SITE

COUNT = text(f"""
    SELECT count(*) FILTER (WHERE j.state = 'ready' AND NOT held) AS ready,
           count(*) FILTER (WHERE j.state = 'ready' AND NOT held AND j.available_at > now()
                           ) AS later,
           count(*) FILTER (WHERE j.state = 'ready' AND without_site) AS without_site,
           count(*) FILTER (WHERE j.state = 'claimed') AS claimed,
           count(*) FILTER (WHERE j.state = 'returned' AND NOT awaited) AS returned,
           count(*) FILTER (WHERE j.state IN ('queued', 'running') OR awaited) AS at_sites
    FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    CROSS JOIN LATERAL (
        SELECT NOT s.active OR NOT p.active OR a.attention IS NOT NULL OR EXISTS (
            SELECT 1 FROM track.asset up WHERE up.guid = a.parent_guid
               AND up.attention IS NOT NULL) AS by_person
    ) h
    CROSS JOIN LATERAL (
        SELECT j.state = 'ready' AND NOT by_person AND {WITHOUT_SITE} AS without_site
    ) w
    CROSS JOIN LATERAL (SELECT {AWAITED} AS awaited) o
    CROSS JOIN LATERAL (SELECT by_person OR without_site AS held) e
    WHERE a.session_id = :session
""")


@dataclass(frozen=True)
class Outlook:
    """Jobs by what they wait for; those held by attention or a switch are not counted.

    `at_sites`: also what came back and whose outputs are on their way.
    `without_site`: ready, and no site may take them; they are not counted as `ready`.
    """

    ready: int
    later: int
    without_site: int
    claimed: int
    returned: int
    at_sites: int

    @property
    def quiet(self) -> bool:
        """Nothing moves by itself any more."""
        return not (self.needs_dispatcher or self.at_sites or self.without_site)

    @property
    def needs_dispatcher(self) -> bool:
        """Something waits for a dispatcher, now or at a known time."""
        return bool(self.ready or self.claimed or self.returned)

    @property
    def may_park(self) -> bool:
        """All that is left waits at sites, or for one."""
        return bool(self.at_sites or self.without_site) and not self.needs_dispatcher


async def outlook(tx: AsyncConnection, session_id: UUID) -> Outlook:
    """Count what a session's jobs wait for."""
    row = (await tx.execute(COUNT, {"session": session_id})).one()
    return Outlook(**row._mapping)
