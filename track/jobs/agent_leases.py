"""What an agent holds: renewed while it says so, and kept for it when it is silent.

That a lease ran out means that its agent cannot be reached, and no more: the attempt stays
current, and what it brings late is taken. Only the database's clock decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.batches import mark_array, mark_ended
from track.jobs.outputs import OUTSTANDING

RENEW = text("""
    WITH held AS (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:fences AS bigint[])) AS h(id, fence)
    ), mine AS (
        SELECT t.id, t.cancel_requested_at IS NOT NULL AS cancelled
        FROM track.attempt t JOIN held h ON h.id = t.id AND h.fence = t.fence
        WHERE t.agent_id = :agent AND t.closed_at IS NULL
        ORDER BY t.id FOR NO KEY UPDATE OF t
    ), renewed AS (
        UPDATE track.attempt t SET lease_until = now() + make_interval(secs => :lease)
        FROM mine WHERE t.id = mine.id RETURNING t.id
    )
    SELECT mine.id, mine.cancelled FROM mine JOIN renewed ON renewed.id = mine.id
""")

BATCHES = text(f"""
    SELECT b.id, b.key, b.ended_at IS NOT NULL AS ended, EXISTS (
        SELECT 1 FROM track.attempt t JOIN track.job j ON j.id = t.job_id
        WHERE t.batch_id = b.id
          AND (t.closed_at IS NULL
               OR j.attempt_id = t.id AND j.state = 'returned' AND {OUTSTANDING})) AS wanted
    FROM track.batch b WHERE b.agent_id = :agent AND b.key = ANY(:keys)
    ORDER BY b.id
""")

EXPIRED = text("""
    SELECT t.id, t.lease_until, a.name AS agent, a.seen_at,
           CAST(extract(epoch FROM now() - t.lease_until) AS double precision) AS over_s,
           (SELECT count(*) FROM track.attempt p
             WHERE p.job_id = t.job_id AND p.outcome = 'lost'
               AND p.n > coalesce((SELECT max(o.n) FROM track.attempt o
                                    WHERE o.job_id = t.job_id AND o.closed_at IS NOT NULL
                                      AND o.outcome <> 'lost'), 0)) AS losses
    FROM track.attempt t JOIN track.agent a ON a.id = t.agent_id
    WHERE t.closed_at IS NULL AND t.agent_id IS NOT NULL AND t.lease_until < now()
    ORDER BY t.lease_until LIMIT :limit
""")

HELD = text("""
    SELECT id FROM track.attempt
    WHERE agent_id = :agent AND closed_at IS NULL AND agent_id IS NOT NULL ORDER BY id
""")

OUTPUTS_AT = text(f"""
    SELECT t.id FROM track.batch b JOIN track.attempt t ON t.batch_id = b.id
    JOIN track.job j ON j.id = t.job_id AND j.attempt_id = t.id AND j.state = 'returned'
    WHERE b.agent_id = :agent AND b.ended_at IS NULL AND {OUTSTANDING}
    ORDER BY t.id
""")


@dataclass(frozen=True)
class Renewal:
    """What became of what an agent said it holds: its own still, or to be stopped."""

    ok: frozenset[int]
    cancelled: frozenset[int]

    def word(self, attempt_id: int) -> str:
        """`ok`, `cancel` or `lost`."""
        if attempt_id in self.cancelled:
            return "cancel"
        return "ok" if attempt_id in self.ok else "lost"


async def renew(
    tx: AsyncConnection, agent_id: int, held: Mapping[int, int], lease_s: float
) -> Renewal:
    """Renew the leases of attempts that are this agent's, given by their fences.

    Checked and renewed in one statement, so that nobody renews what was given to another.
    """
    given = {"agent": agent_id, "ids": [*held], "fences": [*held.values()], "lease": lease_s}
    rows = (await tx.execute(RENEW, given)).all()
    ok = frozenset(row.id for row in rows)
    return Renewal(ok, frozenset(row.id for row in rows if row.cancelled))


async def batches_to_keep(tx: AsyncConnection, agent_id: int, keys: Collection[str]) -> set[str]:
    """Those of an agent's batches of which something is still to come; the others are ended."""
    kept = set()
    for row in (await tx.execute(BATCHES, {"agent": agent_id, "keys": [*keys]})).all():
        if row.wanted:
            kept.add(row.key)
        elif not row.ended:
            await mark_ended(tx, row.id)
    return kept


async def note_submitted(
    tx: AsyncConnection, agent_id: int, ids: Mapping[str, str]
) -> dict[str, str]:
    """Note the scheduler's ids of an agent's batches, by key; what became of each."""
    rows = (await tx.execute(BATCHES, {"agent": agent_id, "keys": [*ids]})).all()
    for row in rows:
        if not row.ended:
            await mark_array(tx, row.id, ids[row.key])
    known = {row.key for row in rows}
    return {key: "applied" if key in known else "gone" for key in ids}


async def expired(tx: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    """Attempts whose lease ran out, the longest first: whose, since when, and how often in a row
    their jobs were lost before."""
    return (await tx.execute(EXPIRED, {"limit": limit})).all()


async def held_by(tx: AsyncConnection, agent_id: int) -> list[int]:
    """The attempts that an agent holds."""
    return list((await tx.execute(HELD, {"agent": agent_id})).scalars())


async def outputs_at(tx: AsyncConnection, agent_id: int) -> list[int]:
    """The attempts whose outputs only this agent has."""
    return list((await tx.execute(OUTPUTS_AT, {"agent": agent_id})).scalars())
