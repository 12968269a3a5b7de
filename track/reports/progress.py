"""Where every specimen of a session stands, stage by stage: what people look at."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import sentence
from track.reports.waiting import reasons
from track.schema.states import ENDED, State

ROWS = text("""
    SELECT a.guid, a.file_name, a.parent_guid, a.subject, a.quarantine, a.attention,
           a.finalised_at, a.ppi, p.name AS pipeline, d.body -> 'barcode' AS barcodes,
           jsonb_agg(jsonb_build_object(
               'id', j.id, 'key', s.key, 'state', j.state, 'warning', j.warning,
               'reason', j.reason, 'tries', j.tries, 'site', t.site)
               ORDER BY s.position, s.id) AS stages
    FROM track.asset a
    JOIN track.pipeline p ON p.id = a.pipeline_id
    JOIN track.job j ON j.asset_guid = a.guid
    JOIN track.stage s ON s.id = j.stage_id AND s.pipeline_id = a.pipeline_id
    LEFT JOIN track.attempt t ON t.id = j.attempt_id
    LEFT JOIN metadata.document d ON d.asset_guid = a.guid
    WHERE a.session_id = :session
    GROUP BY a.guid, p.name, d.body
    ORDER BY coalesce(a.parent_guid, a.guid), a.parent_guid NULLS FIRST, a.guid
""")


async def session_progress(tx: AsyncConnection, session_id: UUID) -> list[dict[str, Any]]:
    """One plain row per asset, derivatives after their parents, stages in their order.

    Keys: guid, file_name, parent_guid, subject, quarantine (as a sentence), attention,
    finalised (bool), ppi, pipeline, barcodes (list), stages (id, key, state, reason, warning,
    tries, site).
    A stage that does not move has the reason of it that `track.reports.waiting` gives.
    """
    rows = [
        dict(row._mapping)
        | {
            "quarantine": sentence(row.quarantine),
            "finalised": row.finalised_at is not None,
            "barcodes": row.barcodes or [],
        }
        for row in await tx.execute(ROWS, {"session": session_id})
    ]
    stages = {stage["id"]: stage for row in rows for stage in _to_explain(row["stages"])}
    for found in await reasons(tx, stages):
        if not found.moves:
            stages[found.job_id]["reason"] = found.reason
    return rows


def _to_explain(stages: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Stages that somebody should be at; if there are none, the first that waits for others.

    One that stopped says why itself, in its job's reason.
    """
    standing = [stage for stage in stages if stage["state"] not in ENDED | {State.WAITING}]
    waiting = (stage for stage in stages if stage["state"] == State.WAITING)
    yield from standing or islice(waiting, 1)
