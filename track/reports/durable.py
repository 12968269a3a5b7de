"""Whether the place of durable copies takes files at all, judged by what it takes of anybody."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

TIMES = 3
"""Refusals of one asset in a row before that is told: a minute and a half at least."""

# By the stages that synchronise: few of their jobs are under way, however many are done.
AWAY = text("""
    SELECT count(*) AS specimens, min(CAST(j.effects #>> '{erda,since}' AS timestamptz)) AS since
    FROM track.stage s
    JOIN track.job j ON j.stage_id = s.id AND j.state = ANY('{ready,claimed}')
    WHERE s.kind = 'builtin' AND s.run = 'synchronise'
      AND CAST(j.effects #>> '{erda,times}' AS integer) >= :times
      AND j.updated_at > coalesce((SELECT max(f.synchronised_at) FROM track.file f), '-infinity')
""")


async def takes_no_files(tx: AsyncConnection) -> str | None:
    """How many specimens it refused since it took a file last, and since when; None: it does."""
    row = (await tx.execute(AWAY, {"times": TIMES})).one()
    if not row.specimens:
        return None
    return (
        f"it takes no files since {row.since.astimezone():%Y-%m-%d %H:%M %Z}; "
        f"{row.specimens} specimens wait for it"
    )
