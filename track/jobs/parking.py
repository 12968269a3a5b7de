"""Parking: a session of which nothing can be done now has no dispatcher, and notes till when.

What it waits for is noted on its row: `wake_at`, the first time at which a job may run, and
`room`, what the least of the jobs that the throttle holds need. Both notes and what they are
compared with (the clock, the assets in flight) are in the database, so nobody has to report
that a throttle has room: `wake_due` compares them, every second (the announcer). Its cost
grows with what is parked, not with what there is.

Nothing is missed, whichever comes first:

- `wake_or_park` locks the session's row, only then reads jobs and room, and asks for a
  dispatcher or writes the note in the same transaction. Whoever makes a job ready locks the
  row too (`track.records.wake`), so one of the two sees the other.
- Room that is freed before it is seen by it; room freed after it is seen by the next
  `wake_due`, which needs no lock for that.
- A dispatcher that died before it has left no note (a lease clears it when it is taken):
  reconcile finds ready jobs without dispatcher and without a note, and calls it. It also
  calls it again, for a few at a time, for all that is parked.
- A session that was asked for keeps its note until its dispatcher has the lease, and its
  need is served first: what is free is not promised twice. One that does not use it parks
  anew, and the room is the next one's.
"""

import json
from uuid import UUID

from sqlalchemy import Uuid, any_, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.claims import with_room
from track.jobs.outlook import Outlook, outlook
from track.records.wake import wake_sessions
from track.schema.tables import session

MAX_ASKED = 500
"""Sessions whose time has come that one call asks for; the next one asks for more."""

NOTE = text("""
    UPDATE track.session s SET parked_at = now(), wake_at = :wake_at, room = CAST(:room AS jsonb)
     WHERE s.id = :session AND NOT EXISTS (
        SELECT 1 FROM track.dispatcher d WHERE d.session_id = s.id
           AND d.ended_at IS NULL AND d.alive_until > clock_timestamp())
""")

HELD = text("""
    SELECT s.id, s.wake_requested_at IS NOT NULL AS asked, s.room
      FROM track.session s WHERE s.room IS NOT NULL
     ORDER BY asked DESC, CAST(s.room -> 0 ->> 'priority' AS integer) DESC, s.opened_at, s.id
""")

CROWDED = text("""
    SELECT EXISTS (
        SELECT 1 FROM track.session s WHERE NOT EXISTS (
            SELECT 1 FROM track.dispatcher d WHERE d.session_id = s.id
               AND d.ended_at IS NULL AND d.alive_until > now())
          AND (s.wake_requested_at < now() - interval '15 seconds'
               OR s.registered_at IS NULL AND s.opened_at
                  BETWEEN now() - interval '10 minutes' AND now() - interval '15 seconds'))
""")


async def wake_or_park(tx: AsyncConnection, *session_ids: UUID) -> dict[UUID, Outlook]:
    """Ask for dispatchers where there is something to do now, else note what is waited for.

    Of those that the throttle holds, as many are asked for as there is room for. While a
    dispatcher is at a session nothing is asked or noted: it calls this at its end.
    """
    mine = select(session.c.id).where(session.c.id == any_(cast(list(session_ids), ARRAY(Uuid))))
    await tx.execute(mine.order_by(session.c.id).with_for_update(key_share=True))
    seen = {each: await outlook(tx, each) for each in sorted(session_ids)}
    for each, found in seen.items():
        needs = sorted(found.needs, key=lambda need: -need["priority"])
        room = json.dumps(needs) if needs else None
        await tx.execute(NOTE, {"session": each, "wake_at": found.next_at, "room": room})
    now = {each for each, found in seen.items() if found.claimed or found.returned}
    await wake_sessions(tx, sorted(now | seen.keys() & await _served(tx)))
    return seen


async def wake_due(tx: AsyncConnection) -> list[UUID]:
    """Ask for dispatchers for parked sessions whose time has come or that there is room for.

    Those asked for. A transaction of its own: it locks sessions in their order.
    """
    due = select(session.c.id).where(
        session.c.wake_at <= func.now(), session.c.wake_requested_at.is_(None)
    )
    ids = set((await tx.execute(due.order_by(session.c.wake_at).limit(MAX_ASKED))).scalars())
    return await wake_sessions(tx, sorted(ids | await _served(tx)))


async def _served(tx: AsyncConnection) -> set[UUID]:
    """Sessions that nobody was asked for and that the throttles have room for at this moment."""
    held = (await tx.execute(HELD)).all()
    needs = [(row, need) for row in held for need in row.room]
    fits = await with_room(tx, [need for _, need in needs]) if needs else []
    return {row.id for (row, _), fit in zip(needs, fits, strict=True) if fit and not row.asked}


async def parked_longest(tx: AsyncConnection, most: int) -> list[UUID]:
    """Sessions that were looked at longest ago, and that nobody was asked for."""
    mine = select(session.c.id).where(
        session.c.parked_at.is_not(None),
        session.c.finished_at.is_(None),
        session.c.wake_requested_at.is_(None),
    )
    return list((await tx.execute(mine.order_by(session.c.parked_at).limit(most))).scalars())


async def crowded(tx: AsyncConnection) -> bool:
    """Whether another session has waited for a place at the worker for a while."""
    return bool((await tx.execute(CROWDED)).scalar_one())
