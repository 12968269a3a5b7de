"""Whether the archive takes no files at all, or refuses those of one asset.

An outage meets everybody, and is no fault of a specimen: it is waited out, however
long it lasts. Only an asset that is refused while others' files are taken has failed.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.backoff import Backoff

FINAL = 3
"""So many refusals in a row, others' files being taken between each and the one before."""

PAUSES = Backoff(30.0, 600.0)

NOTE = text("""
    WITH mine AS (
        SELECT j.id, j.effects -> 'erda' AS before, j.updated_at AS claimed_at
        FROM track.job j JOIN track.stage s ON s.id = j.stage_id
        WHERE j.asset_guid = :guid AND j.state = 'claimed'
          AND s.kind = 'builtin' AND s.run = 'synchronise'
        ORDER BY j.id LIMIT 1 FOR NO KEY UPDATE OF j
    ), seen AS (
        SELECT id, coalesce(before ->> 'since', now()::text) AS since,
               coalesce((before ->> 'times')::int, 0) + 1 AS times,
               coalesce((before ->> 'refused')::int, 0) AS refused,
               EXISTS (SELECT 1 FROM track.file f
                        WHERE f.synchronised_at > mine.claimed_at AND f.asset_guid <> :guid)
                   AS others
        FROM mine
    )
    UPDATE track.job j SET effects = j.effects || jsonb_build_object('erda', jsonb_build_object(
        'since', since, 'times', times, 'refused', CASE WHEN others THEN refused + 1 ELSE 0 END))
    FROM seen WHERE j.id = seen.id
    RETURNING since::timestamptz AT TIME ZONE 'UTC' AS since, times,
              CASE WHEN others THEN refused + 1 ELSE 0 END AS refused
""")
"""What was taken since the job was claimed tells whether the archive takes files now."""


@dataclass(frozen=True)
class RefusalRecord:
    """How an asset's files were refused: since when (UTC), how often, how often alone."""

    since: datetime
    times: int
    alone: int

    @property
    def is_final(self) -> bool:
        """Whether it is the asset's own failure."""
        return self.alone >= FINAL

    @property
    def wait_s(self) -> float:
        """How long to wait before the archive is asked again, in seconds."""
        return PAUSES.pause_s(self.times)


async def note_refusal(tx: AsyncConnection, guid: str) -> RefusalRecord:
    """Note on its claimed synchronise that an asset's files were refused once more."""
    row = (await tx.execute(NOTE, {"guid": guid})).one()
    return RefusalRecord(row.since, row.times, row.refused)
