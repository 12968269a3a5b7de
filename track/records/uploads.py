"""Files that workstations send: begun, stored under their names on the N-Drive, confirmed.

A name is known once a file of it is stored. It is then another's only where the asset lies in
quarantine, or its content is the same: then nothing needs to be sent. Whoever begins or stores a
file of a name holds that name's lock, so that of two at once one is told of the other.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.uploads import FORM_SESSION, possible_sums
from track.schema.arrays import any_of
from track.schema.tables import asset, upload

SUPERSEDED = "another file of the same name was begun in its session"
REPLACED = "another file of its name came while its specimen was in quarantine"
EXPIRED = "no bytes of it came for too long"
WITHDRAWN = "the workstation gave it up"
LOST = "it is stored and not on the drive"


class NameTaken(ValueError):
    """A file of this name is known with another content."""


class SessionEnded(ValueError):
    """The session was complete before; what comes later belongs into a new one."""


class NotStored(ValueError):
    """Files that the end of a session names are not stored; `names` are theirs."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        super().__init__(", ".join(names))


@dataclass(frozen=True)
class NewUpload:
    """A file that is to be sent; `checksum` is written as `algorithm` writes it."""

    workstation: str
    session: str
    file_name: str
    size_bytes: int
    algorithm: str
    checksum: str
    sent_by: str

    @property
    def key(self) -> str:
        """The name as Windows compares names."""
        return name_key(self.file_name)

    @property
    def guid(self) -> str:
        """The asset that it belongs to."""
        return unicodedata.normalize("NFC", PurePath(self.file_name).stem)


@dataclass(frozen=True)
class UploadRow:
    """One file that is being sent, or is stored."""

    id: UUID
    workstation: str
    session: str
    file_name: str
    size_bytes: int
    algorithm: str
    checksum: str
    sent_by: str
    touched_at: datetime
    sha256: str | None
    crc32: int | None
    stored_at: datetime | None
    confirmed_at: datetime | None
    ended_at: datetime | None
    problem: str | None

    def has(self, sums: Mapping[str, str]) -> bool:
        """Whether a content of these sums, by algorithm, is the one that was announced."""
        return sums.get(self.algorithm, "") in possible_sums(self.algorithm, self.checksum)


_COLUMNS = tuple(upload.c[name] for name in UploadRow.__dataclass_fields__)


def name_key(name: str) -> str:
    """What two names have in common that Windows takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _made(row: Row[Any]) -> UploadRow:
    return UploadRow(**row._mapping)


async def _hold(tx: AsyncConnection, kind: str, key: str) -> None:
    """Hold a name until the transaction ends."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 28))")
    await tx.execute(lock, {"key": f"{kind} {key}"})


async def _hold_session(tx: AsyncConnection, workstation: str, session: str) -> None:
    await _hold(tx, "session", f"{workstation}/{session}")


async def begin(tx: AsyncConnection, new: NewUpload) -> UploadRow:
    """The upload of a file: the one begun or stored before, if it is the same, else a new one.

    Raises NameTaken, SessionEnded.
    """
    await _hold_session(tx, new.workstation, new.session)
    await _hold(tx, "file", new.key)
    quarantined = await _check_asset(tx, new.guid)
    stored = await _stored(tx, new.key)
    if stored is not None:
        here = (stored.workstation, stored.session) == (new.workstation, new.session)
        if _is_same(stored, new) and (here or not quarantined):
            return stored
        if not quarantined:
            raise NameTaken(new.file_name)
    elif quarantined is False:
        raise NameTaken(new.file_name)
    opening = await _opening(tx, new.workstation, new.session)
    if opening is not None and opening.completed_at is not None:
        raise SessionEnded(new.session)
    begun = await _receiving(tx, new)
    if begun is not None and _is_same(begun, new):
        return begun
    if begun is not None:
        await end(tx, begun.id, SUPERSEDED)
    return await _insert(tx, new, opens_session=opening is None)


async def _check_asset(tx: AsyncConnection, guid: str) -> bool | None:
    """Whether the asset is in quarantine; None where there is no such asset yet."""
    mine = select(asset.c.quarantine.is_not(None)).where(asset.c.guid == guid)
    return (await tx.execute(mine)).scalar_one_or_none()


def _is_same(known: UploadRow, new: NewUpload) -> bool:
    """Whether the content is the same, as far as the checksums can be compared."""
    if known.size_bytes != new.size_bytes:
        return False
    wanted = possible_sums(new.algorithm, new.checksum)
    if known.algorithm == new.algorithm:
        return bool(wanted & possible_sums(known.algorithm, known.checksum))
    crc32 = "" if known.crc32 is None else f"{known.crc32:08x}"
    return {"sha256": known.sha256, "crc32": crc32}.get(new.algorithm) in wanted


def _is_stored() -> ColumnElement[bool]:
    return upload.c.stored_at.is_not(None) & upload.c.ended_at.is_(None)


def _is_receiving() -> ColumnElement[bool]:
    return upload.c.stored_at.is_(None) & upload.c.ended_at.is_(None)


async def _stored(tx: AsyncConnection, key: str) -> UploadRow | None:
    row = (
        await tx.execute(select(*_COLUMNS).where(upload.c.file_key == key, _is_stored()))
    ).first()
    return None if row is None else _made(row)


async def _receiving(tx: AsyncConnection, new: NewUpload) -> UploadRow | None:
    mine = _of_session(new.workstation, new.session) & (upload.c.file_key == new.key)
    row = (await tx.execute(select(*_COLUMNS).where(mine, _is_receiving()))).first()
    return None if row is None else _made(row)


async def _opening(tx: AsyncConnection, workstation: str, session: str) -> Row[Any] | None:
    """The row that opened a session."""
    mine = _of_session(workstation, session) & upload.c.opens_session
    return (await tx.execute(select(upload.c.id, upload.c.completed_at).where(mine))).first()


def _of_session(workstation: str, session: str) -> ColumnElement[bool]:
    return (upload.c.workstation == workstation) & (upload.c.session == session)


async def _insert(tx: AsyncConnection, new: NewUpload, *, opens_session: bool) -> UploadRow:
    row = {name: getattr(new, name) for name in NewUpload.__dataclass_fields__}
    row |= {"file_key": new.key, "guid": new.guid, "opens_session": opens_session}
    made = await tx.execute(insert(upload).values(row).returning(*_COLUMNS))
    return _made(made.one())


async def find(tx: AsyncConnection, upload_id: UUID) -> UploadRow | None:
    """An upload by its id."""
    row = (await tx.execute(select(*_COLUMNS).where(upload.c.id == upload_id))).first()
    return None if row is None else _made(row)


async def is_complete(tx: AsyncConnection, workstation: str, session: str) -> bool:
    """Whether a session was ended."""
    opening = await _opening(tx, workstation, session)
    return opening is not None and opening.completed_at is not None


async def touch(tx: AsyncConnection, upload_id: UUID) -> None:
    """Note that bytes of it came just now."""
    await tx.execute(update(upload).where(upload.c.id == upload_id).values(touched_at=func.now()))


async def store(
    tx: AsyncConnection,
    upload_id: UUID,
    *,
    sha256: str,
    crc32: int,
    put_in_place: Callable[[], Awaitable[None]],
) -> UploadRow:
    """Give a file that has arrived its name; `put_in_place` does it, and may find it done.

    Raises NameTaken when another file of the name was stored meanwhile, SessionEnded.
    """
    mine = await find(tx, upload_id)
    if mine is None or mine.ended_at is not None:
        raise SessionEnded("its upload was given up")
    await _hold_session(tx, mine.workstation, mine.session)
    await _hold(tx, "file", name_key(mine.file_name))
    mine = await find(tx, upload_id)
    if mine is None or mine.ended_at is not None:
        raise SessionEnded("its upload was given up")
    if mine.stored_at is not None:
        return mine
    opening = await _opening(tx, mine.workstation, mine.session)
    if opening is not None and opening.completed_at is not None:
        raise SessionEnded(mine.session)
    await _make_way(tx, mine)
    await put_in_place()
    values = {"sha256": sha256, "crc32": crc32, "stored_at": func.now(), "touched_at": func.now()}
    done = update(upload).where(upload.c.id == upload_id).values(values).returning(*_COLUMNS)
    return _made((await tx.execute(done)).one())


async def _make_way(tx: AsyncConnection, mine: UploadRow) -> None:
    """Look once more whether the name is free, and take it from a file in quarantine."""
    other = await _stored(tx, name_key(mine.file_name))
    guid = unicodedata.normalize("NFC", PurePath(mine.file_name).stem)
    quarantined = await _check_asset(tx, guid)
    if (other is not None and not quarantined) or quarantined is False:
        raise NameTaken(mine.file_name)
    if other is not None:
        await end(tx, other.id, REPLACED)


async def confirm(tx: AsyncConnection, upload_id: UUID) -> None:
    """Note that the stored file was read back and is what arrived."""
    mine = (upload.c.id == upload_id) & _is_stored()
    now = func.coalesce(upload.c.confirmed_at, func.now())
    await tx.execute(update(upload).where(mine).values(confirmed_at=now))


async def end(tx: AsyncConnection, upload_id: UUID, problem: str) -> None:
    """Give an upload up; its name is free again."""
    mine = (upload.c.id == upload_id) & upload.c.ended_at.is_(None)
    await tx.execute(update(upload).where(mine).values(ended_at=func.now(), problem=problem))


async def withdraw(
    tx: AsyncConnection, upload_id: UUID, remove: Callable[[], Awaitable[None]]
) -> None:
    """Give up an upload because its workstation does; `remove` removes what there is of it.

    Raises SessionEnded: what a complete session has stays.
    """
    mine = await find(tx, upload_id)
    if mine is None or mine.ended_at is not None:
        return
    await _hold_session(tx, mine.workstation, mine.session)
    opening = await _opening(tx, mine.workstation, mine.session)
    if opening is not None and opening.completed_at is not None:
        raise SessionEnded(mine.session)
    await remove()
    await end(tx, upload_id, WITHDRAWN)


async def idle(tx: AsyncConnection, than: timedelta, *, limit: int = 500) -> Sequence[UploadRow]:
    """Uploads of which no bytes came for longer than that, the oldest first."""
    old = _is_receiving() & (upload.c.touched_at < func.now() - than)
    statement = select(*_COLUMNS).where(old).order_by(upload.c.touched_at).limit(limit)
    return [_made(row) for row in await tx.execute(statement)]


async def open_form_session(tx: AsyncConnection, workstation: str) -> str | None:
    """The newest session of forms at a workstation that is not complete."""
    mine = (upload.c.workstation == workstation) & _is_open_form()
    newest = select(upload.c.session).where(mine).order_by(upload.c.begun_at.desc()).limit(1)
    found: str | None = (await tx.execute(newest)).scalar_one_or_none()
    return found


def _is_open_form() -> ColumnElement[bool]:
    unended = upload.c.opens_session & upload.c.completed_at.is_(None)
    return unended & upload.c.session.startswith(FORM_SESSION)


async def quiet_forms(
    tx: AsyncConnection, than: timedelta, stuck: timedelta
) -> Sequence[tuple[str, str]]:
    """Sessions of forms to which nothing came for longer than that: workstation and name.

    One that a file is on its way to waits for it, unless that takes longer than `stuck`.
    """
    other = upload.alias()
    late = or_(
        other.c.touched_at > func.now() - than,
        other.c.stored_at.is_(None)
        & other.c.ended_at.is_(None)
        & (other.c.touched_at > func.now() - stuck),
    )
    same = (other.c.workstation == upload.c.workstation) & (other.c.session == upload.c.session)
    busy = select(other.c.id).where(same, late).exists()
    found = select(upload.c.workstation, upload.c.session).where(_is_open_form(), ~busy)
    return [(row.workstation, row.session) for row in await tx.execute(found)]


async def stored_in(tx: AsyncConnection, workstation: str, session: str) -> Sequence[UploadRow]:
    """The files of a session that are stored, by name."""
    mine = _of_session(workstation, session) & _is_stored()
    rows = await tx.execute(select(*_COLUMNS).where(mine).order_by(upload.c.file_name))
    return [_made(row) for row in rows]


async def complete(
    tx: AsyncConnection,
    workstation: str,
    session: str,
    files: Mapping[str, str],
    close: Callable[[list[str]], Awaitable[None]],
) -> None:
    """End a session, of which these files are stored, by name their SHA-256.

    `close` closes its folder, in which the files of these names are, and may find it closed.

    A file that is stored in another session counts: its workstation sent it before. Raises
    NotStored; and KeyError for a session of which nothing was ever begun.
    """
    await _hold_session(tx, workstation, session)
    opening = await _opening(tx, workstation, session)
    lacking = await _lacking(tx, files)
    if lacking:
        raise NotStored(lacking)
    if opening is None:
        raise KeyError(session)
    if opening.completed_at is not None:
        return
    if stored := await stored_in(tx, workstation, session):
        await close([each.file_name for each in stored])
    rest = update(upload).where(_of_session(workstation, session), _is_receiving())
    await tx.execute(rest.values(ended_at=func.now(), problem=WITHDRAWN))
    mine = update(upload).where(upload.c.id == opening.id)
    await tx.execute(mine.values(completed_at=func.now()))


async def _lacking(tx: AsyncConnection, files: Mapping[str, str]) -> list[str]:
    """Names of files of which no content with this SHA-256 is stored, wherever."""
    keys = {name_key(name): name for name in files}
    known = select(upload.c.file_key, upload.c.sha256)
    known = known.where(any_of(upload.c.file_key, list(keys)), _is_stored())
    stored = {row.file_key: row.sha256 for row in await tx.execute(known)}
    return [name for key, name in keys.items() if stored.get(key) != files[name]]
