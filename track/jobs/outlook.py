"""What a session still has before it: the one test used before parking and after it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.claims import least_needs, with_room
from track.jobs.outputs import AWAITED
from track.jobs.sites import WITHOUT_SITE

COUNT = text(f"""
    SELECT count(*) FILTER (WHERE j.state = 'ready' AND NOT kept AND j.available_at <= now()
                           ) AS due,
           count(*) FILTER (WHERE j.state = 'ready' AND NOT kept AND j.available_at > now()
                           ) AS later,
           min(j.available_at) FILTER (WHERE j.state = 'ready' AND NOT kept
                                         AND j.available_at > now()) AS next_at,
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
    CROSS JOIN LATERAL (SELECT by_person OR without_site AS kept) e
    WHERE a.session_id = :session
""")


@dataclass(frozen=True)
class Outlook:
    """Jobs by what they wait for; those held by attention or a switch are not counted.

    `ready`: a dispatcher could claim one of them now; `room`: due too, but the throttle has
    no room for any (then `ready` is 0). `needs`: what the least of those that are due need.
    `later`: not before a time, of which `next_at` is the first. `without_site`: no site may
    take them. `at_sites`: also what came back and whose outputs are on their way.
    """

    ready: int
    room: int
    later: int
    without_site: int
    claimed: int
    returned: int
    at_sites: int
    next_at: datetime | None = None
    needs: tuple[dict[str, Any], ...] = ()

    @property
    def quiet(self) -> bool:
        """Nothing moves by itself any more."""
        waits = self.room or self.later or self.without_site or self.at_sites
        return not (self.needs_dispatcher or waits)

    @property
    def needs_dispatcher(self) -> bool:
        """Something can be done for it at this moment."""
        return bool(self.ready or self.claimed or self.returned)

    @property
    def may_park(self) -> bool:
        """All that is left waits: at a site or for one, for room, or for a time."""
        return not self.needs_dispatcher and not self.quiet


async def outlook(tx: AsyncConnection, session_id: UUID) -> Outlook:
    """Count what a session's jobs wait for."""
    row = dict((await tx.execute(COUNT, {"session": session_id})).one()._mapping)
    due, needs = row.pop("due"), await least_needs(tx, session_id)
    fits = not needs or any(await with_room(tx, needs))
    ready, room = (due, 0) if fits else (0, due)
    return Outlook(**row, ready=ready, room=room, needs=tuple(needs))
