"""Totals that only grow, kept by the database as it goes: jobs that are over, what modules took.

Counting them would read all that was ever done. Whatever moves a job over the line, or ends an
attempt, appends a row of its own here, so that nobody waits for anybody; `track.reports.figures`
adds the rows up, and reconcile folds them into one of each kind every minute.
"""

from track.schema.arrays import array_of
from track.schema.states import State

OVER = (State.ABSENT, State.DONE, State.EXCLUDED)
"""States that jobs stay in: their number grows with all that was ever done."""

_OVER = f"ANY({array_of(OVER)})"

COUNT_JOB = f"""
CREATE OR REPLACE FUNCTION track.count_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = {_OVER} THEN
        INSERT INTO track.job_total (stage_id, state, jobs) VALUES (OLD.stage_id, OLD.state, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = {_OVER} THEN
        INSERT INTO track.job_total (stage_id, state, jobs) VALUES (NEW.stage_id, NEW.state, 1);
    END IF;
    RETURN NULL;
END $$
"""

COUNT_USAGE = """
CREATE OR REPLACE FUNCTION track.count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO track.usage_total (stage_id, site, images, seconds, cpu_s, peak_mb)
    SELECT j.stage_id, NEW.site, 1, NEW.seconds, coalesce(NEW.cpu_s, 0),
           coalesce(NEW.max_rss_mb, 0)
    FROM track.job j WHERE j.id = NEW.job_id;
    RETURN NULL;
END $$
"""
"""An attempt's usage is written once, when it is closed."""

# Conditions that call no function for the many moves that change no total.
TRIGGERS = (
    f"""
    CREATE TRIGGER job_came AFTER INSERT ON track.job FOR EACH ROW
    WHEN (NEW.state = {_OVER}) EXECUTE FUNCTION track.count_job()
    """,
    f"""
    CREATE TRIGGER job_moved AFTER UPDATE OF state ON track.job FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND (OLD.state = {_OVER} OR NEW.state = {_OVER}))
    EXECUTE FUNCTION track.count_job()
    """,
    f"""
    CREATE TRIGGER job_went AFTER DELETE ON track.job FOR EACH ROW
    WHEN (OLD.state = {_OVER}) EXECUTE FUNCTION track.count_job()
    """,
    """
    CREATE TRIGGER attempt_took AFTER UPDATE OF seconds ON track.attempt FOR EACH ROW
    WHEN (OLD.seconds IS NULL AND NEW.seconds IS NOT NULL) EXECUTE FUNCTION track.count_usage()
    """,
)

FIRST_COUNTS = (
    f"""
    INSERT INTO track.job_total (stage_id, state, jobs)
    SELECT stage_id, state, count(*) FROM track.job WHERE state = {_OVER} GROUP BY stage_id, state
    """,
    """
    INSERT INTO track.usage_total (stage_id, site, images, seconds, cpu_s, peak_mb)
    SELECT j.stage_id, t.site, count(*), sum(t.seconds), coalesce(sum(t.cpu_s), 0),
           coalesce(max(t.max_rss_mb), 0)
    FROM track.attempt t JOIN track.job j ON j.id = t.job_id
    WHERE t.seconds IS NOT NULL GROUP BY j.stage_id, t.site
    """,
)
"""All that there is already, counted once; the triggers are there by then, and hold off others."""

ALL = (COUNT_JOB, COUNT_USAGE, *TRIGGERS, *FIRST_COUNTS)
