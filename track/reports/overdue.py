"""Jobs at sites that take longer than they were expected to, and what was expected.

Nothing is ended for it: silence is no evidence of an end. Automations hear of it once for each
attempt in a queue, and once while it runs; people are told of all that a site has as one alarm.
"""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import JOB_OVERDUE, job_event
from track.records.outbox import announce
from track.reports.alarm_messages import Subject
from track.reports.alarms import ON, said_of, set_alarm
from track.schema.history import record

NEVER = "|".join(
    (
        "Partition(TimeLimit|NodeLimit|Config)", "BadConstraints", "DependencyNeverSatisfied",
        "InvalidAccount", "InvalidQOS", "(Account|QOS)NotAllowed", "MaxMemPerLimit",
        "(QOS|Assoc)(Min|Max)[A-Za-z]*Per(Job|Node)[A-Za-z]*", "(QOS|Assoc)MaxWall[A-Za-z]*",
        "QOSMin[A-Za-z]*", "JobHeld(User|Admin)", "JobHoldMaxRequeue",
    )
)  # fmt: skip
"""Slurm's reasons (squeue(1), JOB REASON CODES) for which a job waits until somebody changes
something, in PostgreSQL's regular expressions; `track.jobs.batches.note_pending` puts them last."""

STANDS = f"(j.state = 'queued' AND coalesce(j.reason, '') ~ ': ({NEVER})$')"
"""Whether job `j` waits for such a reason."""

EXPECTED_S = f"""
    CASE WHEN j.state = 'running' THEN
        extract(epoch FROM coalesce(CAST(b.resources ->> 'time' AS interval),
                                    CAST(s.resources ->> 'time' AS interval),
                                    interval '2 hours')) * 1.25 + 600
    WHEN {STANDS} THEN 600 ELSE 86400 END
"""
"""Seconds within which an attempt should have been heard of: running, what it asked its
scheduler for, a quarter more and ten minutes; 2 hours 40 where it asked for no time; in a
queue, a day, and ten minutes where it waits for what does not pass by itself."""

SINCE = (
    "CASE WHEN j.state = 'running' THEN coalesce(t.started_at, t.queued_at) ELSE t.queued_at END"
)
"""From when that counts."""

OVERDUE = f"({SINCE} < now() - make_interval(secs => CAST({EXPECTED_S} AS float)))"
"""Whether job `j` of stage `s`, with attempt `t` in batch `b`, is overdue; `j` is at a site."""

MAX_JOBS = 500
"""Jobs announced by one look; the others' turn comes a minute later."""

# The first condition is that of the index job_moving. The attempt comes by its key: joined, and by
# statistics from a quiet hour, each open attempt is compared with each such job.
JOB_AND_ATTEMPT = """
    FROM track.job j
    CROSS JOIN LATERAL (SELECT * FROM track.attempt WHERE id = j.attempt_id OFFSET 0) t
    JOIN track.stage s ON s.id = j.stage_id
    LEFT JOIN track.batch b ON b.id = t.batch_id
"""
IS_OVERDUE = f"""
    j.state IN ('claimed', 'queued', 'running', 'returned')
    AND j.state IN ('queued', 'running') AND t.closed_at IS NULL AND {OVERDUE}
"""

AT_SITES = f"""
    {JOB_AND_ATTEMPT}
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE {IS_OVERDUE}
"""

FIND = text(f"""
    SELECT j.id, j.asset_guid AS guid, j.session_id, p.name AS pipeline, s.key AS stage, j.state,
           t.id AS attempt, t.site, t.external_id, j.reason, {STANDS} AS stands, {SINCE} AS since,
           CAST({EXPECTED_S} AS float) AS expected_s
    {AT_SITES}
      AND NOT EXISTS (SELECT 1 FROM track.inbox i
                       WHERE i.dedupe_key = CAST(:event AS text) || '|' || t.id || '|' || j.state)
    ORDER BY j.id LIMIT :limit
""")

BY_SITE = text(f"""
    SELECT t.site, count(*) AS jobs, min({SINCE}) AS since,
           mode() WITHIN GROUP (ORDER BY p.name || '/' || s.key) AS stage
    {AT_SITES}
    GROUP BY t.site
""")


async def announce_overdue(tx: AsyncConnection) -> list[str]:
    """Announce, once each, jobs that their sites have had for too long; a line for each."""
    given = {"event": JOB_OVERDUE, "limit": MAX_JOBS}
    lines = []
    for row in (await tx.execute(FIND, given)).all():
        minutes = round(row.expected_s / 60)
        does = "runs" if row.state == "running" else "waits in the queue"
        why = f"{does} at {row.site} since {row.since:%Y-%m-%d %H:%M %Z}, {minutes} min were due"
        if row.state == "queued" and row.reason:
            why += f"; {row.reason}"
        event = job_event(
            JOB_OVERDUE,
            row.guid,
            attempt=row.attempt,
            stage=row.stage,
            session=row.session_id,
            pipeline=row.pipeline,
            site=row.site,
            payload={
                "state": row.state,
                "since": row.since.isoformat(),
                "expected_s": row.expected_s,
                "external_id": row.external_id,
                "why": why,
                "remedy": _remedy(row),
            },
        )
        if await announce(tx, event, key=f"{JOB_OVERDUE}|{row.attempt}|{row.state}"):
            await record(
                tx, actor="reconcile", what="job.overdue", session_id=row.session_id,
                asset_guid=row.guid, job_id=row.id, attempt_id=row.attempt, why=why,
            )  # fmt: skip
            lines.append(f"{row.stage} of {row.guid} is overdue: {why}")
    return lines


async def watch_overdue(tx: AsyncConnection) -> list[str]:
    """Have it told at which sites jobs are overdue: one alarm for each; a line for each change.

    While a site is degraded its own alarm says so, and none of its jobs is news.
    """
    rows = {row.site: row for row in await tx.execute(BY_SITE)}
    told = {name for name, state in (await said_of(tx, "overdue")).items() if state == ON}
    if not rows and not told:
        return []
    degraded = {name for name, state in (await said_of(tx, "site")).items() if state == ON}
    lines = []
    for name in sorted(rows.keys() | told):
        subject, trouble = Subject("overdue", name), None
        if (row := rows.get(name)) is not None:
            if name in degraded:
                continue
            trouble = (
                f"{row.jobs} overdue at {name}, most of them {row.stage}; the one that was begun "
                f"first has been there since {row.since.astimezone():%Y-%m-%d %H:%M %Z}"
            )
        remedy = (
            f"look at {name} and at `refinery why`; then operate/cancel, operate/lost, or more "
            "time in the stage's resources"
        )
        if await set_alarm(tx, subject, trouble, remedy):
            lines.append(trouble or f"no job at {name} is overdue any more")
    return lines


def _remedy(row: Row[Any]) -> str:
    if row.stands:
        return (
            f"it never starts like that: change what the stage or {row.site} asks for, or the "
            "limit over there; then operate/cancel and operate/resubmit"
        )
    return (
        f"look at {row.site} for {row.external_id or 'it'}; then operate/cancel, operate/lost, or "
        "more time in the stage's resources"
    )
