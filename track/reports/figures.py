"""What is counted for Prometheus: jobs by their state, and what modules took.

Jobs that move are counted as they are; totals that only grow are kept (`track.schema.totals`).
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.arrays import array_of
from track.schema.hours import FOLD_ASSETS_BY_HOUR, FOLD_USAGE_BY_HOUR
from track.schema.states import State
from track.schema.totals import OVER

MOVING = text(f"""
    SELECT p.name AS pipeline, s.key AS stage, c.state, c.jobs
    FROM track.stage s
    JOIN track.pipeline p ON p.id = s.pipeline_id
    CROSS JOIN LATERAL (  -- the index job_stage alone is read, and of it only these states
        SELECT j.state, count(*) AS jobs FROM track.job j
        WHERE j.stage_id = s.id
          AND j.state = ANY({array_of(each for each in State if each not in OVER)})
        GROUP BY j.state
    ) c
    ORDER BY p.name, s.position, c.state
""")

ENDED = text("""
    SELECT p.name AS pipeline, s.key AS stage, t.state, CAST(sum(t.jobs) AS bigint) AS jobs
    FROM track.job_total t
    JOIN track.stage s ON s.id = t.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    GROUP BY p.name, s.position, s.id, t.state HAVING sum(t.jobs) <> 0
    ORDER BY p.name, s.position, t.state
""")

SPENT = text("""
    SELECT p.name AS pipeline, s.key AS stage, t.site, CAST(sum(t.images) AS bigint) AS images,
           sum(t.seconds) AS seconds, sum(t.cpu_s) AS cpu_s, max(t.peak_mb) AS peak_mb
    FROM track.usage_total t
    JOIN track.stage s ON s.id = t.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    GROUP BY p.name, s.key, t.site
""")

# Only what has several rows is written anew. Two that fold at once take different rows, and
# whoever reads meanwhile sees all of the old ones or all of the new.
FOLD_JOBS = text("""
    WITH folded AS (
        DELETE FROM track.job_total WHERE (stage_id, state) IN (
            SELECT stage_id, state FROM track.job_total GROUP BY 1, 2 HAVING count(*) > 1)
        RETURNING *)
    INSERT INTO track.job_total (stage_id, state, jobs)
    SELECT stage_id, state, sum(jobs) FROM folded GROUP BY 1, 2
""")
FOLD_USAGE = text("""
    WITH folded AS (
        DELETE FROM track.usage_total WHERE (stage_id, site) IN (
            SELECT stage_id, site FROM track.usage_total GROUP BY 1, 2 HAVING count(*) > 1)
        RETURNING *)
    INSERT INTO track.usage_total (stage_id, site, images, seconds, cpu_s, peak_mb)
    SELECT stage_id, site, sum(images), sum(seconds), sum(cpu_s), max(peak_mb)
    FROM folded GROUP BY 1, 2
""")
FOLD_HOURS, FOLD_USAGE_HOURS = map(text, (FOLD_ASSETS_BY_HOUR, FOLD_USAGE_BY_HOUR))


async def fold_totals(tx: AsyncConnection) -> None:
    """Make one row of the totals of each kind out of those that came since the last time."""
    await tx.execute(FOLD_JOBS)
    await tx.execute(FOLD_USAGE)
    await tx.execute(FOLD_HOURS)
    await tx.execute(FOLD_USAGE_HOURS)
