"""What a site has of ours: how many attempts, how long since any news, what is to be stopped."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class Load:
    """What a site has of ours: attempts waiting there, running there, and not sent yet.

    `throttled` is how many may run at a time by what its open batches were given.
    """

    waiting: int
    running: int
    unsent: int
    throttled: int

    @property
    def sent(self) -> int:
        """Attempts over there."""
        return self.waiting + self.running


LOAD = text("""
    SELECT count(*) FILTER (WHERE batch_id IS NOT NULL AND started_by IS NULL) AS waiting,
           count(*) FILTER (WHERE batch_id IS NOT NULL AND started_by IS NOT NULL) AS running,
           count(*) FILTER (WHERE batch_id IS NULL) AS unsent,
           (SELECT CAST(coalesce(sum(least(
                       CAST(b.resources ->> 'throttle' AS bigint),
                       (SELECT count(*) FROM track.attempt m
                         WHERE m.batch_id = b.id AND m.closed_at IS NULL))), 0) AS integer)
              FROM track.batch b WHERE b.site = :site AND b.ended_at IS NULL) AS throttled
    FROM track.attempt WHERE site = :site AND closed_at IS NULL
""")


async def read_load(tx: AsyncConnection, site: str) -> Load:
    """How much of ours is at a site."""
    return Load(**(await tx.execute(LOAD, {"site": site})).one()._mapping)


NEWS = text("""
    SELECT extract(epoch FROM now() - max(greatest(t.submitted_at, t.started_at, t.finished_at)))
    FROM track.attempt t JOIN track.batch b ON b.id = t.batch_id
    WHERE b.site = :site AND b.ended_at IS NULL
""")


async def silent_for(tx: AsyncConnection, site: str) -> float | None:
    """Seconds since a site's open batches were last heard of; None when there are none."""
    found = (await tx.execute(NEWS, {"site": site})).scalar_one()
    return None if found is None else float(found)


@dataclass(frozen=True)
class Unwanted:
    """An attempt that need not run, and its native job.

    `reported_at`: by when a script had reported that job's id, in seconds since 1970; None where we
    named it ourselves, by its batch's `key`.
    """

    attempt: int
    external_id: str
    key: str
    started: bool
    open: bool
    reported_at: float | None = None


async def unwanted(tx: AsyncConnection, site: str) -> list[Unwanted]:
    """Attempts over there that somebody asked to stop, or that nobody waits for any more.

    Of those declared lost something may be left, also when it once was started.
    """
    statement = text("""
        SELECT t.id AS attempt, n.native AS external_id, b.key, t.started_by IS NOT NULL AS started,
               t.closed_at IS NULL AS open,
               CASE WHEN s.kind = 'script' THEN CAST(extract(epoch FROM coalesce(
                   greatest(t.submitted_at, t.started_at, b.submitted_at), now()))
                   AS double precision) END AS reported_at
        FROM track.attempt t
        JOIN track.batch b ON b.id = t.batch_id AND b.ended_at IS NULL
        JOIN track.stage s ON s.id = b.stage_id
        CROSS JOIN LATERAL (
            SELECT t.external_id WHERE t.external_id IS NOT NULL
            UNION SELECT t.started_by WHERE s.kind = 'script' AND t.started_by IS NOT NULL
            UNION SELECT unnest(string_to_array(b.external_id, ','))  -- what a script reported
             WHERE s.kind = 'script' AND b.external_id ~ '^[0-9]+(,[0-9]+)*$') n(native)
        WHERE t.site = :site
          AND (t.closed_at IS NULL AND t.cancel_requested_at IS NOT NULL
               -- A script's job that is done and reported no start is at its last lines.
               OR t.closed_at IS NOT NULL AND t.outcome IS DISTINCT FROM 'done'
                  AND (t.started_by IS NULL OR t.outcome = 'declared'))
        ORDER BY t.id
    """)
    rows = await tx.execute(statement, {"site": site})
    return [Unwanted(**row._mapping) for row in rows]
