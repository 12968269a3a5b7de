"""Jobs at sites that take longer than they were expected to, and what was expected.

Nothing is ended for it: silence is no evidence of an end. It is said once for each attempt.
"""

EXPECTED_S = """
    CASE WHEN j.state = 'running' THEN
        extract(epoch FROM coalesce(CAST(b.resources ->> 'time' AS interval),
                                    CAST(s.resources ->> 'time' AS interval),
                                    interval '2 hours')) * 1.25 + 600
    ELSE 86400 END
"""
"""Seconds within which an attempt should have been heard of: running, what it asked its
scheduler for, a quarter more and ten minutes; 2 hours 40 where it asked for no time; in a
queue, a day."""

SINCE = (
    "CASE WHEN j.state = 'running' THEN coalesce(t.started_at, t.queued_at) ELSE t.queued_at END"
)
"""From when that counts."""

OVERDUE = f"({SINCE} < now() - make_interval(secs => CAST({EXPECTED_S} AS float)))"
"""Whether job `j` of stage `s`, with attempt `t` in batch `b`, is overdue; `j` is at a site."""
