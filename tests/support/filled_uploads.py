"""Uploads of finished specimens, as many as there are, and what is asked again and again of them.

One workstation sent them all, two files of each specimen: what is asked of a workstation must not
become slower by what it sent long ago.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records import uploads
from track.records.uploads import NewUpload, UploadRow
from track.reports.workstations import sessions_of, specimens_of

Ask = Callable[[AsyncConnection], Awaitable[Any]]

WORKSTATION, OLD, CHECKSUM = "W", "s1", "a" * 64
SESSIONS = 5
"""Sessions that are asked for at once: so many there are with the fewest specimens."""

MINUTES_5, HOUR, WEEK = timedelta(minutes=5), timedelta(hours=1), timedelta(days=7)


def fill_uploads(numbered: str, per_session: int) -> str:
    """The statement that adds the uploads of the specimens that `numbered` gives."""
    return f"""
    INSERT INTO track.upload (workstation, session, file_name, file_key, guid, size_bytes,
                              algorithm, checksum, sent_by, begun_at, touched_at, sha256, crc32,
                              stored_at, confirmed_at, opens_session, completed_at)
    SELECT '{WORKSTATION}', 's' || (g - (g - 1) % {per_session}), guid || ending, guid || ending,
           guid, 160000000, 'sha256', hash, 'somebody', at, at, hash, 1, at, at, opens,
           CASE WHEN opens THEN at END
    FROM {numbered}, (VALUES ('.tif'), ('.json')) AS e(ending)
    CROSS JOIN LATERAL (SELECT md5(guid || ending) || md5(ending || guid) AS hash,
                               g % {per_session} = 1 AND ending = '.tif' AS opens) AS made
    """


def new(**given: Any) -> NewUpload:
    """A file that nobody has sent yet."""
    fresh = {"workstation": WORKSTATION, "session": "now", "file_name": "fresh.tif"}
    about = {"size_bytes": 1, "algorithm": "sha256", "checksum": CHECKSUM, "sent_by": "somebody"}
    return NewUpload(**(fresh | about | given))


def asked_of_uploads() -> dict[str, Ask]:
    """What is asked, by what for; each to be called in a transaction."""
    return {
        "uploads: begin": lambda tx: uploads.begin(tx, new()),
        "uploads: begin what is stored": _begin_known,
        "uploads: a file's whole way": _way,
        "uploads: files of a session": lambda tx: uploads.stored_in(tx, WORKSTATION, OLD),
        "uploads: end of a session": _complete,
        "uploads: newest sessions": lambda tx: sessions_of(tx, WORKSTATION, limit=SESSIONS),
        "uploads: one session": lambda tx: sessions_of(tx, WORKSTATION, session=OLD),
        "uploads: specimens of a session": lambda tx: specimens_of(tx, WORKSTATION, OLD),
        "uploads: idle": lambda tx: uploads.idle(tx, WEEK),
        "uploads: quiet forms": lambda tx: uploads.quiet_forms(tx, MINUTES_5, HOUR),
        "uploads: open form": lambda tx: uploads.open_form_session(tx, WORKSTATION),
    }


async def _old(tx: AsyncConnection) -> UploadRow:
    return (await uploads.stored_in(tx, WORKSTATION, OLD))[0]


async def _begin_known(tx: AsyncConnection) -> None:
    old = await _old(tx)
    given = {"file_name": old.file_name, "size_bytes": old.size_bytes, "checksum": old.checksum}
    assert (await uploads.begin(tx, new(**given))).id == old.id


async def _way(tx: AsyncConnection) -> None:
    """Begun, sent, stored, confirmed."""
    begun = await uploads.begin(tx, new())
    assert await uploads.find(tx, begun.id) == begun
    await uploads.touch(tx, begun.id)
    await uploads.store(tx, begun.id, sha256=CHECKSUM, crc32=1, put_in_place=_nothing)
    await uploads.confirm(tx, begun.id)


async def _complete(tx: AsyncConnection) -> None:
    opened = "UPDATE track.upload SET completed_at = NULL WHERE opens_session"
    mine = {"workstation": WORKSTATION, "session": OLD}
    where = " AND workstation = :workstation AND session = :session"
    assert (await tx.execute(text(opened + where), mine)).rowcount == 1
    stored = await uploads.stored_in(tx, WORKSTATION, OLD)
    files = {each.file_name: each.sha256 or "" for each in stored}
    await uploads.complete(tx, WORKSTATION, OLD, files, _nothing)


async def _nothing(*_: object) -> None:
    """Where a file would get its name, or a session's folder its own."""
