"""Resumable uploads: the tus protocol 1.0 with creation, termination and expiration.

https://tus.io/protocols/resumable-upload. The metadata of an upload name its workstation, session
and file, and the checksum that decides whether it has arrived.
"""

import base64
import binascii
from datetime import UTC, timedelta
from email.utils import format_datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.workstations.callers import Caller, Digitiser, check_workstation
from api.workstations.context import Here, UploadContext
from api.workstations.folders import checked_file, checked_session
from api.workstations.receiving import receive
from api.workstations.refusals import UploadRefused
from api.workstations.stored import (
    confirmed,
    current,
    ended,
    folder_of,
    is_lost,
    offset_of,
    store,
    take_back,
    taken,
)
from schemas.uploads import TUS_EXTENSIONS, TUS_VERSION, RefusalCode, StoredFile, possible_sums
from track.records import uploads
from track.records.uploads import NameTaken, NewUpload, SessionEnded, UploadRow

router = APIRouter(tags=["files"])

KEEPS = timedelta(days=7)
"""How long an upload of which no bytes come is kept."""

CONTENT = "application/offset+octet-stream"
FIELDS = ("workstation", "session", "filename", "checksum", "fixityAlgorithm")
MAX_METADATA = 4096


async def speaks_tus(tus_resumable: Annotated[str, Header()] = "") -> None:
    """Refuse another version of the protocol, as it asks for: with 412 and ours."""
    if tus_resumable != TUS_VERSION:
        text = f"Tus-Resumable: this server speaks {TUS_VERSION}"
        headers = {"Tus-Version": TUS_VERSION}
        raise UploadRefused(RefusalCode.BAD_REQUEST, text, status=412, headers=headers)


Tus = Depends(speaks_tus)


async def own_upload(upload_id: UUID, caller: Caller, here: Here) -> UploadRow:
    """An upload of a workstation that the caller may send for; 404 for any other."""
    found = await here.transact(uploads.find, upload_id)
    if found is None or found.ended_at is not None:
        why = f": {found.problem}" if found else ""
        text = f"no such upload{why}; begin it again"
        raise UploadRefused(RefusalCode.UNKNOWN_UPLOAD, text)
    check_workstation(here, caller, found.workstation)
    return found


Own = Annotated[UploadRow, Depends(own_upload)]


@router.options("/files", summary="What of tus is spoken")
@router.options("/files/{upload_id}", include_in_schema=False)
async def options(here: Here) -> Response:
    """Version, extensions and the size of the largest file."""
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": TUS_VERSION,
            "Tus-Version": TUS_VERSION,
            "Tus-Extension": ",".join(TUS_EXTENSIONS),
            "Tus-Max-Size": str(here.config.max_file),
        },
    )


@router.post("/files", status_code=201, summary="Begin a file", dependencies=[Tus])
async def create(
    request: Request,
    caller: Caller,
    here: Here,
    upload_length: Annotated[str, Header()] = "",
    upload_metadata: Annotated[str, Header()] = "",
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """Answers with the upload's address and how much of it is there: begun before, it goes on;
    stored before with the same content, nothing needs to be sent."""
    new = wanted(here, caller, upload_length, upload_metadata)
    folder = here.drive.session(new.workstation, new.session)
    begun = await begin(here, new)
    if begun.stored_at is None:
        await here.drive.run(here.drive.prepare, folder, new.size_bytes)
    offset = await offset_of(here, begun)
    if content_type == CONTENT and offset == 0 and begun.stored_at is None:
        offset = await append(here, begun, request, 0)
    headers = {"Location": f"/files/{begun.id}", "Upload-Offset": str(offset)}
    return _answer(here, begun, 201, headers)


async def begin(here: UploadContext, new: NewUpload) -> UploadRow:
    """The upload of a file; one that is stored and gone from the drive is sent anew.

    Raises UploadRefused.
    """
    try:
        begun = await here.transact(uploads.begin, new)
        if begun.stored_at is not None and await is_lost(here, begun):
            await here.transact(uploads.end, begun.id, uploads.LOST)
            begun = await here.transact(uploads.begin, new)
        return begun
    except NameTaken:
        raise taken(new.file_name) from None
    except SessionEnded:
        raise ended(new.session) from None


@router.head("/files/{upload_id}", summary="How much has arrived", dependencies=[Tus])
async def head(upload: Own, here: Here) -> Response:
    """The offset from which to go on."""
    offset = await offset_of(here, upload)
    headers = {"Upload-Offset": str(offset), "Cache-Control": "no-store"}
    return _answer(here, upload, 200, headers)


@router.patch("/files/{upload_id}", status_code=204, summary="Send bytes", dependencies=[Tus])
async def patch(
    request: Request,
    upload: Own,
    here: Here,
    upload_offset: Annotated[str, Header()] = "",
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """Appends the body; with the last byte the file is checked and gets its name."""
    if content_type != CONTENT:
        text = f"Content-Type: write {CONTENT}"
        raise UploadRefused(RefusalCode.BAD_REQUEST, text, status=415)
    offset = _number("Upload-Offset", upload_offset)
    there = await append(here, upload, request, offset)
    return _answer(here, upload, 204, {"Upload-Offset": str(there)})


async def append(here: UploadContext, upload: UploadRow, request: Request, offset: int) -> int:
    """Append a request's body to what has arrived; how much there is then. Raises UploadRefused."""
    folder = folder_of(here, upload)
    async with here.parts.held(upload.id, folder.part(upload.id), upload.algorithm) as part:
        upload = await current(here, upload)
        is_stored = upload.stored_at is not None
        there = upload.size_bytes if is_stored else await here.drive.run(part.size)
        if offset != there:
            raise wrong_offset(there)
        if is_stored:
            return there
        announced = request.headers.get("content-length", "0")
        left = upload.size_bytes - offset
        if not announced.isdigit() or int(announced) > left:
            text = f"{upload.file_name}: more bytes than Upload-Length announced"
            raise UploadRefused(RefusalCode.TOO_LARGE, text)
        try:
            await receive(here.drive, part, request.stream(), left)
        except ClientDisconnect:
            text = f"{upload.file_name}: the sender broke off; go on where it did"
            raise UploadRefused(RefusalCode.BAD_REQUEST, text) from None
        await here.transact(uploads.touch, upload.id)
        there = await here.drive.run(part.size)
        if there == upload.size_bytes:
            await store(here, upload, part)
    return there


@router.delete("/files/{upload_id}", status_code=204, summary="Give up", dependencies=[Tus])
async def delete(upload: Own, here: Here) -> Response:
    """Forgets what has arrived, stored or not; of a session that is complete everything stays."""
    folder = folder_of(here, upload)
    async with here.parts.held(upload.id, folder.part(upload.id), upload.algorithm) as part:
        await take_back(here, upload, part)
    return Response(status_code=204, headers={"Tus-Resumable": TUS_VERSION})


@router.get("/files/{upload_id}/stored", summary="Confirm a stored file")
async def stored(upload: Own, here: Here) -> StoredFile:
    """The file as it lies on the drive: read back from there, compared with what arrived. Only
    after this answer a workstation deletes anything."""
    if upload.stored_at is None:
        text = f"{upload.file_name} has not arrived wholly; go on sending it"
        raise UploadRefused(RefusalCode.WRONG_OFFSET, text)
    return await confirmed(here, upload)


def wanted(here: UploadContext, caller: Digitiser, length: str, metadata: str) -> NewUpload:
    """The file that a creation announces. Raises UploadRefused."""
    size = _number("Upload-Length", length)
    given = read_metadata(metadata)
    if lacking := [name for name in FIELDS if not given.get(name)]:
        text = (
            f"Upload-Metadata: {', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing"
        )
        raise UploadRefused(RefusalCode.BAD_REQUEST, text)
    workstation = check_workstation(here, caller, given["workstation"])
    name = checked_file(given["filename"])
    check_size(here, name, size)
    try:
        possible_sums(given["fixityAlgorithm"], given["checksum"])
    except ValueError as error:
        raise UploadRefused(RefusalCode.BAD_REQUEST, f"{name}: {error}") from None
    return NewUpload(
        workstation=workstation,
        session=checked_session(given["session"]),
        file_name=name,
        size_bytes=size,
        algorithm=given["fixityAlgorithm"],
        checksum=given["checksum"].strip(),
        sent_by=caller.name,
    )


def check_size(here: UploadContext, name: str, size: int) -> None:
    """Refuse an empty file and one that is larger than any that is taken."""
    if size == 0:
        text = f"{name} is empty; take the picture again"
        raise UploadRefused(RefusalCode.BAD_REQUEST, text, status=422)
    if size > here.config.max_file:
        text = f"{name} has {size} bytes; {here.config.max_file} are the most that is taken"
        raise UploadRefused(RefusalCode.TOO_LARGE, text)


def read_metadata(header: str) -> dict[str, str]:
    """The values of Upload-Metadata: `name base64, name base64, …`. Raises UploadRefused."""
    if len(header) > MAX_METADATA:
        raise UploadRefused(RefusalCode.BAD_REQUEST, "Upload-Metadata: too long", status=413)
    given = {}
    for item in filter(None, (each.strip() for each in header.split(","))):
        name, _, value = item.partition(" ")
        try:
            given[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = f"Upload-Metadata: {name!r:.40} is not base64 of UTF-8"
            raise UploadRefused(RefusalCode.BAD_REQUEST, text) from None
    return given


def wrong_offset(there: int) -> UploadRefused:
    """A client goes on where nothing is, or where something is already."""
    text = f"Upload-Offset: {there} bytes have arrived; go on there"
    headers = {"Upload-Offset": str(there)}
    return UploadRefused(RefusalCode.WRONG_OFFSET, text, headers=headers)


def _number(header: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise UploadRefused(RefusalCode.BAD_REQUEST, f"{header}: write a number of bytes")
    return int(value)


def _answer(
    here: UploadContext, upload: UploadRow, status: int, headers: dict[str, str]
) -> Response:
    """An answer about an upload, as tus wants it."""
    more = {"Tus-Resumable": TUS_VERSION}
    if status == 200:
        more["Upload-Length"] = str(upload.size_bytes)
        more["Upload-Metadata"] = _metadata(upload)
    if upload.stored_at is None:
        more["Upload-Expires"] = format_datetime(
            upload.touched_at.astimezone(UTC) + KEEPS, usegmt=True
        )
    return Response(status_code=status, headers=more | headers)


def _metadata(upload: UploadRow) -> str:
    """What was said of an upload when it was begun, as it was said."""
    said = (
        upload.workstation,
        upload.session,
        upload.file_name,
        upload.checksum,
        upload.algorithm,
    )
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}"
        for name, value in zip(FIELDS, said, strict=True)
    )
