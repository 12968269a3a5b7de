"""Sessions that have work and whose dispatcher does not come, however often it is asked for."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

ASKED = 5
"""So often reconcile asks, once a minute, before that is told: a start may fail and pass."""

READ = 20_000
"""Rows of history that are looked at, from its end, and only while a session waits."""

WAITING = text("SELECT EXISTS (SELECT 1 FROM track.session WHERE wake_requested_at IS NOT NULL)")

# Reconcile asks for none whose run has been made and waits for a place at the worker. Whoever came
# since then is there, or has ended since then.
UNATTENDED = text("""
    WITH came AS (
        SELECT session_id, max(ended_at) AS at FROM track.dispatcher
        WHERE ended_at > now() - make_interval(mins => 3 * :asked) GROUP BY session_id
    ), asked AS (
        SELECT h.session_id, count(*) AS times, min(h.at) AS since
        FROM (SELECT what, at, session_id FROM track.history ORDER BY id DESC LIMIT :read) h
        LEFT JOIN came ON came.session_id = h.session_id
        WHERE h.what = 'session.woken' AND h.at > now() - make_interval(mins => 3 * :asked)
          AND h.at > coalesce(came.at, '-infinity')
        GROUP BY h.session_id
    )
    SELECT count(*) AS sessions, min(asked.since) AS since
    FROM asked JOIN track.session s ON s.id = asked.session_id
    WHERE asked.times >= :asked AND s.wake_requested_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM track.dispatcher d WHERE d.session_id = s.id
                       AND d.ended_at IS NULL AND d.alive_until > now())
""")


async def unattended(tx: AsyncConnection) -> str | None:
    """What is wrong with dispatchers' coming, if anything is."""
    if not (await tx.execute(WAITING)).scalar_one():
        return None
    row = (await tx.execute(UNATTENDED, {"asked": ASKED, "read": READ})).one()
    if not row.sessions:
        return None
    return (
        f"{row.sessions} sessions have work and no dispatcher comes, though asked for since "
        f"{row.since.astimezone():%Y-%m-%d %H:%M %Z}"
    )
