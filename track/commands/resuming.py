"""Work that waits out an outage goes on as soon as that is over, not when its pause is.

Pauses grow while an archive is away, so that nobody asks it all the time; when it is seen to be
well, or takes the files of one specimen, the others are tried at once. That uses no try.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.wake import wake

AT_ONCE = 2_000
"""Jobs that one transaction brings forward."""

# Each is a range of the index job_ready: what may run only later, and nothing else. What has no
# pause in a row, or was at a site, waits for something else, such as its next try there.
PUT_OFF = text("""
    UPDATE track.job j SET available_at = now(), pauses = 0
    FROM (SELECT w.id FROM track.job w JOIN track.stage s ON s.id = w.stage_id
           WHERE w.state = 'ready' AND w.available_at > now() AND w.pauses > 0
             AND (s.kind = 'builtin' AND s.run <> 'ingest'
                  OR s.kind <> 'builtin' AND w.attempt_id IS NULL)
           ORDER BY w.available_at LIMIT :limit FOR NO KEY UPDATE OF w SKIP LOCKED) due
    WHERE j.id = due.id RETURNING j.id
""")

REFUSED_LONGEST = text("""
    UPDATE track.job j SET available_at = now()
    FROM (SELECT id FROM track.job
           WHERE state = 'ready' AND available_at > now() AND effects ? 'erda'
           ORDER BY effects #>> '{erda,since}', id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) due
    WHERE j.id = due.id RETURNING j.id
""")

WAS_REFUSED = text("""
    SELECT EXISTS (SELECT 1 FROM track.job j JOIN track.stage s ON s.id = j.stage_id
                    WHERE j.asset_guid = :guid AND s.kind = 'builtin' AND s.run = 'synchronise'
                      AND j.effects ? 'erda')
""")


async def resume(tx: AsyncConnection) -> int:
    """Have jobs that were put off without a try go on now; how many, AT_ONCE at most."""
    jobs = list((await tx.execute(PUT_OFF, {"limit": AT_ONCE})).scalars())
    await wake(tx, jobs)
    return len(jobs)


async def try_one(tx: AsyncConnection) -> bool:
    """Have the specimen that was refused first asked for again now: somebody must see the end."""
    jobs = list((await tx.execute(REFUSED_LONGEST)).scalars())
    await wake(tx, jobs)
    return bool(jobs)


async def resume_after(tx: AsyncConnection, guid: str) -> None:
    """The files of `guid` were taken: if they had been refused, have the others go on."""
    if (await tx.execute(WAS_REFUSED, {"guid": guid})).scalar_one():
        await resume(tx)
