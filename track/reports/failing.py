"""Stages of which most jobs fail: something is wrong with the stage, not with the specimens."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.reports.alarm_messages import Subject
from track.reports.alarms import ON, said_of, set_alarm

LATEST = 20
"""So many ends of a stage are looked at, none older than an hour."""

FEW = 5
"""Failures that are no pattern yet."""

READ = 20_000
"""Rows of history that are looked at: from its end, so that its length does not matter."""

# Its condition is that of the index job_stopped: in a quiet hour nothing more is read.
SUSPECTS = text("""
    SELECT DISTINCT p.name || '/' || s.key
    FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE j.state IN ('failed', 'cancelled') AND j.state = 'failed'
      AND j.updated_at > now() - interval '1 hour'
""")

ENDS = text("""
    WITH ends AS (
        SELECT h.id, h.job_id, h.new, h.why
        FROM (SELECT * FROM track.history ORDER BY id DESC LIMIT :read) h
        WHERE h.what = 'job.state' AND h.at > now() - interval '1 hour'
          -- One that never began failed with its specimen, not of itself.
          AND (h.new = 'done' OR h.new = 'failed' AND h.old <> 'waiting')
    ), placed AS (
        SELECT p.name AS pipeline, s.key AS stage, e.new, e.why,
               row_number() OVER (PARTITION BY s.id ORDER BY e.id DESC) AS place
        FROM ends e
        -- One by one, by its key: a plain join reads every job that the stage ever had.
        CROSS JOIN LATERAL (SELECT stage_id FROM track.job WHERE id = e.job_id LIMIT 1) j
        JOIN track.stage s ON s.id = j.stage_id
        JOIN track.pipeline p ON p.id = s.pipeline_id
        WHERE p.name || '/' || s.key = ANY(:stages)
    )
    SELECT pipeline, stage, count(*) AS ends, count(*) FILTER (WHERE new = 'failed') AS failed,
           mode() WITHIN GROUP (ORDER BY why) FILTER (WHERE new = 'failed') AS why
    FROM placed WHERE place <= :latest
    GROUP BY pipeline, stage
    ORDER BY pipeline, stage
""")


@dataclass(frozen=True)
class Ends:
    """The latest ends of a stage: how many there were, how many failed, mostly of what."""

    pipeline: str
    stage: str
    ends: int
    failed: int
    why: str | None

    @property
    def fails(self) -> bool:
        """Whether it fails by now."""
        return self.failed >= FEW and self.failed * 2 > self.ends

    @property
    def is_well(self) -> bool:
        """Whether one that failed is well again: far from the line, or it would change often."""
        return self.failed < FEW or self.failed * 4 < self.ends

    def sentence(self) -> str:
        """The same for a person."""
        mostly = f", mostly: {self.why}" if self.why else ""
        return (
            f"{self.failed} of the last {self.ends} of {self.pipeline}/{self.stage} failed{mostly}"
        )


async def watch_stages(tx: AsyncConnection) -> list[str]:
    """Have it told which stages begin to fail, still do, or do not any more; a line for each."""
    suspects = set((await tx.execute(SUSPECTS)).scalars())
    failing = {name for name, state in (await said_of(tx, "stage")).items() if state == ON}
    if not suspects | failing:
        return []
    lines = []
    names = sorted(suspects | failing)
    rows = await tx.execute(ENDS, {"stages": names, "latest": LATEST, "read": READ})
    found = {f"{row.pipeline}/{row.stage}": Ends(**row._mapping) for row in rows}
    for name in names:
        pipeline, _, stage = name.partition("/")
        each = found.get(name, Ends(pipeline, stage, 0, 0, None))
        subject = Subject("stage", name, pipeline=pipeline)
        if each.fails:
            remedy = (
                f"operate/switch it off (pipeline={pipeline}, stage={stage}), mend its cause, "
                "switch it on and operate/resubmit what failed"
            )
            if await set_alarm(tx, subject, each.sentence(), remedy):
                lines.append(each.sentence())
        elif each.is_well and await set_alarm(tx, subject, None):
            lines.append(f"stage {name} does not fail any more")
    return lines
