"""What became of the sessions that a workstation sent, for those who sent them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import sentence
from schemas.uploads import SessionStatus, SpecimenStatus

MAX_SESSIONS = 100
MAX_SPECIMENS = 5_000
"""Specimens that are listed of a session one by one."""

# What was given up, and what came in its place, is one specimen still. OFFSET 0 keeps it to each
# specimen's own rows.
_SPECIMENS = """
    SELECT u.guid,
           CASE WHEN a.guid IS NULL THEN 'received'
                WHEN a.quarantine IS NOT NULL OR a.attention IS NOT NULL THEN 'needs_you'
                WHEN f.archived THEN 'archived' ELSE 'under_way' END AS state,
           a.quarantine, a.attention
    FROM (
        SELECT DISTINCT guid FROM track.upload
        WHERE workstation = o.workstation AND session = o.session
          AND stored_at IS NOT NULL AND ended_at IS NULL
    ) u
    LEFT JOIN track.asset a ON a.guid = u.guid
    LEFT JOIN LATERAL (
        SELECT bool_and(synchronised_at IS NOT NULL) AS archived
        FROM track.file WHERE asset_guid = a.guid AND deleted_at IS NULL OFFSET 0
    ) f ON true
"""

SESSIONS = text(f"""
    SELECT o.workstation, o.session, o.begun_at, o.completed_at, o.sent_by AS by,
           files.n AS files, counts.*
    FROM (
        SELECT workstation, session, begun_at, completed_at, sent_by FROM track.upload
        WHERE opens_session AND workstation = :workstation
          AND (CAST(:session AS text) IS NULL OR session = :session)
        ORDER BY begun_at DESC LIMIT :limit
    ) o
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM track.upload
        WHERE workstation = o.workstation AND session = o.session AND ended_at IS NULL
    ) files
    CROSS JOIN LATERAL (
        SELECT count(*) AS specimens,
               count(*) FILTER (WHERE state = 'received') AS received,
               count(*) FILTER (WHERE state = 'under_way') AS under_way,
               count(*) FILTER (WHERE state = 'archived') AS archived,
               count(*) FILTER (WHERE state = 'needs_you') AS needs_you
        FROM ({_SPECIMENS}) specimens
    ) counts
    ORDER BY o.begun_at DESC
""")

SPECIMENS = text(f"""
    SELECT s.* FROM (SELECT CAST(:workstation AS text) AS workstation,
                            CAST(:session AS text) AS session) o
    CROSS JOIN LATERAL ({_SPECIMENS}) s
    ORDER BY s.state <> 'needs_you', s.guid LIMIT :limit
""")


async def sessions_of(
    tx: AsyncConnection, workstation: str, *, session: str | None = None, limit: int = 20
) -> list[SessionStatus]:
    """A workstation's sessions, or one of them, the newest first."""
    given = {"workstation": workstation, "session": session, "limit": min(limit, MAX_SESSIONS)}
    return [SessionStatus(**row._mapping) for row in await tx.execute(SESSIONS, given)]


async def specimens_of(
    tx: AsyncConnection, workstation: str, session: str
) -> Sequence[SpecimenStatus]:
    """Where each specimen of a session is, those that need somebody first; 5,000 at most."""
    given = {"workstation": workstation, "session": session, "limit": MAX_SPECIMENS}
    return [_status(row._mapping) for row in await tx.execute(SPECIMENS, given)]


def _status(row: Any) -> SpecimenStatus:
    why = sentence(row["quarantine"]) or row["attention"] or ""
    return SpecimenStatus(guid=row["guid"], state=row["state"], why=why)
