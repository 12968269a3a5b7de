"""What a session still has before it: the one test used before parking and after it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.candidates import Candidates
from track.jobs.claims import least_needs, with_room
from track.jobs.outputs import AWAITED

MAX_COUNTED = 320

IN_HAND = text(f"""
    SELECT count(*) FILTER (WHERE j.state = 'claimed') AS claimed,
           count(*) FILTER (WHERE j.state = 'returned' AND NOT awaited) AS returned,
           count(*) FILTER (WHERE j.state IN ('queued', 'running') OR awaited) AS at_sites
    FROM unnest('{{claimed,queued,running,returned}}'::text[]) AS of(state),
         unnest('{{true,false}}'::boolean[]) AS aside(held)
    CROSS JOIN LATERAL (
        SELECT h.id, h.state, h.attempt_id FROM track.job h
        WHERE h.session_id = :session AND h.state = of.state AND h.held = aside.held
          AND h.state IN ('claimed', 'queued', 'running', 'returned')
        -- One that came back and can go on may lie behind any number not left aside yet.
        LIMIT CASE WHEN aside.held OR of.state <> 'returned' THEN {MAX_COUNTED} END
    ) j
    CROSS JOIN LATERAL (SELECT j.state = 'returned' AND (aside.held OR {AWAITED}) AS awaited) o
""")


@dataclass(frozen=True)
class Outlook:
    """Jobs by what they wait for; those held by attention or a switch are not counted.

    Each is counted as far as it was read (track/jobs/candidates.py), and 0 only when there is none.
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
    in_hand = (await tx.execute(IN_HAND, {"session": session_id})).one()
    candidates = Candidates(tx, session_id)
    due = await candidates.due()
    due = list({each.id: each for each in [*due, *await candidates.in_flight()]}.values())
    later, nowhere = await candidates.later(), await candidates.nowhere()
    needs = least_needs(due)
    fits = not needs or any(await with_room(tx, needs))
    return Outlook(
        **in_hand._mapping,
        ready=len(due) if fits else 0,
        room=0 if fits else len(due),
        later=len(later),
        without_site=len(nowhere),
        next_at=min((each.available_at for each in later), default=None),
        needs=tuple(needs),
    )
