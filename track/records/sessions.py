"""Sessions: one row per upload folder, committed together with the event that tells of it.

The announcer of the clusters' service sends that event. It hears of it at once, or, if it is
down, finds it in the outbox when it is back.
A folder is known by the path it was first seen under and the hash of its first
listing, so a folder name used again is a new session.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import NAMESPACE, SESSION_READY, session_event
from schemas.quarantine import QuarantineEntry
from track.records.outbox import put
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.tables import asset, session


async def open_session(
    tx: AsyncConnection, *, path: str, workstation: str, listing_hash: str, actor: str
) -> UUID | None:
    """Insert the session of a complete folder, and have its ready event sent.

    None when this very listing is known already. The event's id is made of the session's.

    A listing that others came after, and that is there again, is a new session: what was missing
    meanwhile may lie in quarantine. The earlier one gives it up.
    """
    given_up = func.concat(session.c.listing_hash, "/", session.c.id)
    earlier = update(session).where(_of_listing(path, listing_hash), _is_superseded(path))
    await tx.execute(earlier.values(listing_hash=given_up))
    row = {"path": path, "workstation": workstation, "listing_hash": listing_hash}
    row |= {"opened_as": path}
    insertion = insert(session).values(row).on_conflict_do_nothing().returning(session.c.id)
    found: UUID | None = (await tx.execute(insertion)).scalar_one_or_none()
    if found is not None:
        await record(tx, actor=actor, what="session.opened", session_id=found, new=path)
        payload = {"session": str(found), "path": path, "workstation": workstation}
        event_id = uuid5(NAMESPACE, f"{found}/{SESSION_READY}")
        await put(tx, session_event(SESSION_READY, found, payload=payload, id=event_id))
    return found


async def is_known(tx: AsyncConnection, *, path: str, listing_hash: str) -> bool:
    """Whether this very listing was the last of its folder of which a session was opened."""
    mine = select(session.c.id).where(_of_listing(path, listing_hash), ~_is_superseded(path))
    return (await tx.execute(mine.limit(1))).first() is not None


async def known_paths(tx: AsyncConnection, paths: Sequence[str]) -> set[str]:
    """Those of these folders where a session's folder lies now."""
    mine = select(session.c.path).where(any_of(session.c.path, paths))
    return set((await tx.execute(mine)).scalars())


def _of_listing(path: str, listing_hash: str) -> ColumnElement[bool]:
    return (session.c.opened_as == path) & (session.c.listing_hash == listing_hash)


def _is_superseded(path: str) -> ColumnElement[bool]:
    """Whether a session was opened after it of the same folder, which is not closed."""
    later = session.alias()
    newer = select(later.c.id).where(
        later.c.opened_as == path, later.c.path == path, later.c.opened_at > session.c.opened_at
    )
    return (session.c.path == path) & newer.exists()


OF_FOLDER = text("""
    SELECT s.id, s.path, s.workstation, s.listing_hash, s.known, s.registered_at
    FROM track.session mine
    JOIN track.session s ON s.opened_as = mine.opened_as AND s.path = mine.path
    WHERE mine.id = :session
    ORDER BY s.opened_at DESC
""")


async def of_folder(tx: AsyncConnection, session_id: UUID) -> Sequence[Row[Any]]:
    """The sessions of one's folder, the newest first: each change of it opened one.

    Rows of id, path, workstation, listing_hash, known (a dict per QuarantineEntry) and
    registered_at.
    """
    return (await tx.execute(OF_FOLDER, {"session": session_id})).all()


async def unregistered_path(tx: AsyncConnection, session_id: UUID) -> str | None:
    """Where a session's folder lies; None once all of it is registered."""
    mine = (session.c.id == session_id) & session.c.registered_at.is_(None)
    return (await tx.execute(select(session.c.path).where(mine))).scalar_one_or_none()


_INGESTS = """
    FROM track.asset a
    JOIN track.job j ON j.asset_guid = a.guid
    JOIN track.stage s ON s.id = j.stage_id AND s.kind = 'builtin' AND s.run = 'ingest'
     AND s.pipeline_id = a.pipeline_id
    WHERE a.session_id = ANY(CAST(:sessions AS uuid[])) AND a.parent_guid IS NULL
"""
UNDECIDED = text(f"""
    SELECT EXISTS (SELECT 1 {_INGESTS} AND a.quarantine IS NULL
                      AND j.state NOT IN ('done', 'excluded', 'cancelled'))
""")
"""Asked after every specimen, so it ends at the first one that is still to come. An ingest that a
person skipped or cancelled keeps no folder open."""

DECIDED = text(f"SELECT a.quarantine, j.state {_INGESTS}")


async def decided_ingests(
    tx: AsyncConnection, session_ids: Sequence[UUID]
) -> Sequence[Row[Any]] | None:
    """The ingests of all specimens of these sessions; None while one of them is still to come.

    Rows of quarantine (a dict, or None) and state.
    """
    asked = {"sessions": session_ids}
    if (await tx.execute(UNDECIDED, asked)).scalar_one():
        return None
    return (await tx.execute(DECIDED, asked)).all()


async def rename(tx: AsyncConnection, session_id: UUID, path: str) -> None:
    """Note where a session's folder lies after its closing rename.

    Corrected files dropped before that opened a session of their own on the same folder. Its
    specimens are locked first, as in every move of their jobs, which then looks at the session.
    """
    old = select(session.c.path).where(session.c.id == session_id).scalar_subquery()
    same = select(session.c.id).where(session.c.path == old)
    ids = list((await tx.execute(same)).scalars())
    roots = any_of(asset.c.session_id, ids) & asset.c.parent_guid.is_(None)
    moved = select(asset.c.guid).where(roots, asset.c.source_path.is_distinct_from(path))
    locked = await tx.execute(moved.order_by(asset.c.guid).with_for_update(key_share=True))
    guids = list(locked.scalars())
    await tx.execute(update(asset).where(any_of(asset.c.guid, guids)).values(source_path=path))
    mine = update(session).where(any_of(session.c.id, ids), session.c.path != path)
    await tx.execute(mine.values(path=path))


async def mark_registered(
    tx: AsyncConnection, session_id: UUID, known: Sequence[QuarantineEntry] = ()
) -> None:
    """Note that every asset of the folder has its rows.

    `known` says of each file whose guid was taken in from elsewhere what is to be done.
    """
    mark = update(session).where(session.c.id == session_id)
    now = func.coalesce(session.c.registered_at, func.now())
    await tx.execute(mark.values(registered_at=now, known=[asdict(each) for each in known]))


async def finish_if_registered(tx: AsyncConnection, session_id: UUID) -> datetime | None:
    """Note that nothing of the session can move by itself; the time, when this call noted it.

    A session whose folder could not be read has no assets yet, and is not finished.
    """
    open_ = session.c.finished_at.is_(None) & session.c.registered_at.is_not(None)
    mark = (
        update(session)
        .where(session.c.id == session_id, open_)
        .values(finished_at=func.now())
        .returning(session.c.finished_at)
    )
    found: datetime | None = (await tx.execute(mark)).scalar_one_or_none()
    if found is not None:
        await record(tx, actor="dispatcher", what="session.finished", session_id=session_id)
    return found


@dataclass(frozen=True)
class SessionName:
    """How people know a session: its workstation, and its folder as it was dropped there."""

    workstation: str
    dropped_as: Path

    def __str__(self) -> str:
        return f"{self.workstation} {self.dropped_as.name}"


async def name_of(tx: AsyncConnection, session_id: UUID) -> SessionName:
    """How people know a session."""
    mine = select(session.c.workstation, session.c.opened_as).where(session.c.id == session_id)
    row = (await tx.execute(mine)).one()
    return SessionName(row.workstation, Path(row.opened_as))


async def folder_of(tx: AsyncConnection, session_id: UUID) -> Path:
    """Where a session's folder lies now; it may have been renamed."""
    mine = select(session.c.path).where(session.c.id == session_id)
    return Path((await tx.execute(mine)).scalar_one())
