"""What is counted for Prometheus: jobs by their state, and what modules took."""

from sqlalchemy import text

from track.schema.states import State

_COUNT = """
    SELECT p.name AS pipeline, s.key AS stage, c.state, c.jobs
    FROM track.stage s
    JOIN track.pipeline p ON p.id = s.pipeline_id
    CROSS JOIN LATERAL (  -- the index job_stage alone is read, and of it only these states
        SELECT j.state, count(*) AS jobs FROM track.job j
        WHERE j.stage_id = s.id AND j.state = ANY('{%s}') GROUP BY j.state
    ) c
    ORDER BY p.name, s.position, c.state
"""
OVER = (State.ABSENT, State.DONE, State.EXCLUDED)
"""States that jobs stay in: their number grows with all that was ever done."""

MOVING = text(_COUNT % ",".join(state for state in State if state not in OVER))
ENDED = text(_COUNT % ",".join(OVER))

SPENT = text("""
    SELECT p.name AS pipeline, s.key AS stage, t.site, count(*) AS images,
           coalesce(sum(t.seconds), 0) AS seconds, coalesce(sum(t.cpu_s), 0) AS cpu_s,
           coalesce(max(t.max_rss_mb), 0) AS peak_mb
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE t.seconds IS NOT NULL
    GROUP BY p.name, s.key, t.site
""")
