"""Outputs that an agent sends: which of its files somebody waits for, and which are here."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.moves import lock
from track.jobs.outputs import OUTSTANDING, note_retrieved

WANTED = text(f"""
    SELECT t.result -> 'outputs' AS outputs, j.asset_guid AS guid, s.key AS stage, s.kind
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id AND j.attempt_id = t.id AND j.state = 'returned'
    JOIN track.stage s ON s.id = j.stage_id
    WHERE t.id = :attempt AND t.agent_id = :agent AND {OUTSTANDING}
""")
JOB = text("SELECT job_id FROM track.attempt WHERE id = :attempt")
ARRIVED = text("""
    UPDATE track.attempt t
    SET result = jsonb_set(t.result, '{arrived}', (
        SELECT jsonb_agg(DISTINCT path) FROM (
            SELECT jsonb_array_elements_text(coalesce(t.result -> 'arrived', '[]')) AS path
            UNION SELECT unnest(CAST(:paths AS text[]))) p))
    WHERE t.id = :attempt AND jsonb_array_length(t.result -> 'outputs') > 0
    RETURNING jsonb_array_length(t.result -> 'outputs') AS wanted,
              jsonb_array_length(t.result -> 'arrived') AS arrived
""")


@dataclass(frozen=True)
class WantedOutput:
    """A content that is waited for, and all the places where it belongs.

    `in_stage_folder` as of `track.jobs.outputs.Outputs`.
    """

    guid: str
    stage: str
    paths: tuple[str, ...]
    size_bytes: int
    in_stage_folder: bool = False


async def wanted_output(
    tx: AsyncConnection, attempt_id: int, agent_id: int, sha256: str
) -> WantedOutput | None:
    """What is waited for of an agent's attempt by this content; None: nothing."""
    given = {"attempt": attempt_id, "agent": agent_id}
    row = (await tx.execute(WANTED, given)).one_or_none()
    files = [each for each in row.outputs if each["sha256"] == sha256] if row else []
    if row is None or not files:
        return None
    paths = tuple(each["path"] for each in files)
    own = row.kind == "command"
    return WantedOutput(row.guid, row.stage, paths, files[0]["size_bytes"], own)


async def note_arrived(tx: AsyncConnection, attempt_id: int, paths: Sequence[str]) -> int:
    """Note files that are in their places; with the last of them their job goes on. How many are
    left."""
    await lock(tx, list((await tx.execute(JOB, {"attempt": attempt_id})).scalars()))
    row = (await tx.execute(ARRIVED, {"attempt": attempt_id, "paths": [*paths]})).one()
    left = int(row.wanted - row.arrived)
    if left == 0:
        await note_retrieved(tx, attempt_id)
    return left
