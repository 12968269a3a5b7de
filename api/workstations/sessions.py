"""Sessions: they end when the client says so, and tell what became of their specimens."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.workstations.callers import Caller, check_workstation
from api.workstations.context import Here, UploadContext
from api.workstations.ending import OwnSession, complete_session
from api.workstations.folders import checked_session, lacks
from api.workstations.refusals import UploadRefused
from schemas.uploads import RefusalCode, SessionEnd, SessionStatus, SpecimenStatus, StoredFile
from track.records import uploads
from track.records.uploads import NotStored
from track.reports.workstations import MAX_SESSIONS, sessions_of, specimens_of

router = APIRouter(prefix="/sessions", tags=["sessions"])


async def own_session(workstation: str, session: str, caller: Caller, here: Here) -> OwnSession:
    """The session that a path names; refused unless it may be the caller's."""
    check_workstation(here, caller, workstation)
    return OwnSession(workstation=workstation, session=checked_session(session), by=caller.name)


Own = Annotated[OwnSession, Depends(own_session)]


class SessionAnswer(SessionStatus):
    """A session and each of its specimens, those that need somebody first; 5,000 at most."""

    specimen_list: tuple[SpecimenStatus, ...] = Field(default=())


@router.get("", summary="A workstation's sessions")
async def list_sessions(
    caller: Caller,
    here: Here,
    workstation: str,
    limit: Annotated[int, Query(ge=1, le=MAX_SESSIONS)] = 20,
) -> list[SessionStatus]:
    """The newest first, each with how many of its specimens are where."""
    check_workstation(here, caller, workstation)
    return await here.transact(sessions_of, workstation, limit=limit)


@router.get("/{workstation}/{session}", summary="One session")
async def one_session(own: Own, here: Here) -> SessionAnswer:
    """Where each of its specimens is; 404 for one of which nothing was begun."""
    status = await status_of(here, own)
    specimens = await here.transact(specimens_of, own.workstation, own.session)
    return SessionAnswer(**status.model_dump(), specimen_list=tuple(specimens))


@router.get("/{workstation}/{session}/files", summary="What is stored of a session")
async def files(own: Own, here: Here) -> list[StoredFile]:
    """Its files and their sums as they arrived; `/files/{id}/stored` confirms one."""
    stored = await here.transact(uploads.stored_in, own.workstation, own.session)
    return [
        StoredFile(
            name=each.file_name,
            size_bytes=each.size_bytes,
            sha256=each.sha256 or "",
            crc32=each.crc32 or 0,
        )
        for each in stored
    ]


@router.put("/{workstation}/{session}/end", summary="A session is complete")
async def end(own: Own, body: SessionEnd, here: Here) -> SessionStatus:
    """Every file that the client sent is named; when all are stored, the folder becomes visible
    to the watch. Said again it changes nothing."""
    files = {each.name: each.sha256 for each in body.files}
    if len(files) < len(body.files):
        raise UploadRefused(RefusalCode.BAD_REQUEST, "files: a name is there twice", status=422)
    try:
        await complete_session(here, own, files)
    except NotStored as error:
        raise lacks(own.session, list(error.names)) from None
    except KeyError:
        raise unknown(own) from None
    return await status_of(here, own)


async def status_of(here: UploadContext, own: OwnSession) -> SessionStatus:
    """Where a session is. Raises UploadRefused for one of which nothing was begun."""
    found = await here.transact(sessions_of, own.workstation, session=own.session)
    if not found:
        raise unknown(own)
    return found[0]


def unknown(own: OwnSession) -> UploadRefused:
    """Nothing of such a session was ever sent."""
    text = f"nothing of session {own.session} was sent for {own.workstation}"
    return UploadRefused(RefusalCode.UNKNOWN_UPLOAD, text)
