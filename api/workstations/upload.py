"""One specimen in one form, as clients of old send it: metadata and image, checked and stored.

Such a client says nothing of sessions. Its specimens go into a session of the server's making,
which is complete when nothing has come for a while.
"""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import PurePath

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from api.workstations.callers import Digitiser, check_workstation, log_in
from api.workstations.context import Here, UploadContext
from api.workstations.folders import checked_file
from api.workstations.form_parts import FormEvent, PartBegins, PartData, PartEnds, form_events
from api.workstations.receiving import ArrivingFile, receive
from api.workstations.refusals import UploadRefused
from api.workstations.stored import folder_of, give_up, store
from api.workstations.tus import begin, check_size
from schemas.digitisation import DigitisationError, Values
from schemas.image_formats import format_of_name
from schemas.metadata.document import Metadata, MetadataError, read_document
from schemas.uploads import FORM_SESSION, RefusalCode, possible_sums
from schemas.yaml_lines import nearest
from track.records import uploads
from track.records.uploads import NewUpload, UploadRow

router = APIRouter(tags=["files"])

MAX_FIELD = 100_000
MAX_METADATA = 2_000_000
BEFORE_IMAGE = ("username", "password", "assetName", "metadata", "checksum", "size")
BY_LENGTH = {8: "crc32", 32: "md5", 64: "sha256"}
"""What makes a checksum of so many digits; of any other number of them it is a CRC-32."""


class FormAnswer(BaseModel):
    """What was stored of a form, and in which session."""

    asset: str
    workstation: str
    session: str
    files: tuple[str, ...]


@dataclass
class Form:
    """What has come of a form so far."""

    fields: dict[str, str] = field(default_factory=dict)
    metadata: bytes = b""
    image: UploadRow | None = None


@router.post("/upload", summary="One specimen in one form")
async def upload(request: Request, here: Here) -> FormAnswer:
    """Fields `username`, `password`, `assetName`, `metadata` (a JSON file), `checksum` and `size`,
    then the file `image`. 200 when both are stored; sent again it gets the same answer."""
    form = Form()
    events = form_events(request.headers.get("content-type", ""), request.stream())
    try:
        async for event in events:
            assert isinstance(event, PartBegins)
            if event.field == "image":
                form.image = await _take_image(here, request, form, event, events)
            elif event.field == "metadata":
                form.metadata = await _read(events, "metadata", MAX_METADATA)
            else:
                read = await _read(events, event.field, MAX_FIELD)
                form.fields[event.field] = read.decode("utf-8", "replace").strip()
    except ClientDisconnect:
        text = "the sender broke off; send the form again"
        raise UploadRefused(RefusalCode.BAD_REQUEST, text) from None
    if form.image is None:
        raise UploadRefused(RefusalCode.BAD_REQUEST, "image: the form has no image", status=422)
    document = await _take_metadata(here, form, form.image)
    return FormAnswer(
        asset=PurePath(form.image.file_name).stem,
        workstation=form.image.workstation,
        session=form.image.session,
        files=(document.file_name, form.image.file_name),
    )


async def _read(events: AsyncIterator[FormEvent], name: str, most: int) -> bytes:
    """A part as bytes."""
    content = bytearray()
    async for data in _data_of(events):
        content += data
        if len(content) > most:
            text = f"{name}: more than {most} bytes"
            raise UploadRefused(RefusalCode.TOO_LARGE, text)
    return bytes(content)


async def _data_of(events: AsyncIterator[FormEvent]) -> AsyncIterator[bytes]:
    """The bytes of the part that has begun, up to its end."""
    async for event in events:
        if isinstance(event, PartEnds):
            return
        assert isinstance(event, PartData)
        yield event.data


async def _take_image(
    here: UploadContext,
    request: Request,
    form: Form,
    part: PartBegins,
    events: AsyncIterator[FormEvent],
) -> UploadRow:
    """Check what came before the image, then store it."""
    given = form.fields | ({"metadata": "there"} if form.metadata else {})
    if lacking := [name for name in BEFORE_IMAGE if not given.get(name)]:
        text = f"{', '.join(lacking)}: missing; write all fields before the image"
        raise UploadRefused(RefusalCode.BAD_REQUEST, text, status=422)
    user = await log_in(here, request, form.fields["username"], form.fields["password"])
    caller = Digitiser(user.name, user.workstations)
    metadata = _document(form)
    workstation = check_workstation(here, caller, metadata.workstation_name)
    _check_values(here, workstation, metadata)
    new = await _announced(here, form, caller, workstation, part.filename or "")
    begun = await begin(here, new)
    if begun.stored_at is not None:
        async for _ in _data_of(events):
            pass  # it is here already
        return begun
    return await _receive(here, begun, _data_of(events))


def _document(form: Form) -> Metadata:
    """The form's metadata. Raises UploadRefused."""
    try:
        metadata = read_document(form.metadata, file="metadata").metadata
    except MetadataError as error:
        raise UploadRefused(RefusalCode.BAD_REQUEST, str(error), status=422) from None
    if metadata.asset_guid != PurePath(form.fields["assetName"]).stem:
        text = f"assetName: it is {form.fields['assetName']!r:.80}, and the metadata's asset_guid"
        raise UploadRefused(
            RefusalCode.BAD_REQUEST, f"{text} is {metadata.asset_guid!r:.80}", status=422
        )
    return metadata


def _check_values(here: UploadContext, workstation: str, metadata: Metadata) -> None:
    """Refuse a collection that the workstation does not digitise, where that is written down."""
    try:
        values: Values = here.config.offered.read().values_for(workstation)
    except (DigitisationError, KeyError):
        return
    known = [each.name for each in values.collections]
    if metadata.collection not in known:
        near = nearest(metadata.collection, known)
        text = f"metadata, collection: {workstation} has no collection {metadata.collection!r:.80}"
        more = f"; is {near} meant?" if near else f"; it has {', '.join(known)}"
        raise UploadRefused(RefusalCode.UNKNOWN_VALUE, text + more)


async def _announced(
    here: UploadContext, form: Form, caller: Digitiser, workstation: str, filename: str
) -> NewUpload:
    """The image as the form announces it. Raises UploadRefused."""
    given = form.fields["assetName"]
    named = given if format_of_name(given) else given + PurePath(filename).suffix.lower()
    name = checked_file(named)
    size, checksum = form.fields["size"], form.fields["checksum"]
    if not size.isascii() or not size.isdigit() or len(size) > 18:
        raise UploadRefused(RefusalCode.BAD_REQUEST, "size: write a number of bytes", status=422)
    check_size(here, name, int(size))
    algorithm = BY_LENGTH.get(len(checksum), "crc32")
    try:
        possible_sums(algorithm, checksum)
    except ValueError as error:
        raise UploadRefused(RefusalCode.BAD_REQUEST, f"checksum: {error}", status=422) from None
    return NewUpload(
        workstation=workstation,
        session=await _session_for(here, workstation),
        file_name=name,
        size_bytes=int(size),
        algorithm=algorithm,
        checksum=checksum,
        sent_by=caller.name,
    )


async def _session_for(here: UploadContext, workstation: str) -> str:
    """The session of forms that is open at a workstation, or the name of a new one."""
    found = await here.transact(uploads.open_form_session, workstation)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H.%M.%S")
    return found or f"{FORM_SESSION}{now}-{secrets.token_hex(3)}"


async def _receive(here: UploadContext, begun: UploadRow, body: AsyncIterator[bytes]) -> UploadRow:
    """Receive one file from its beginning and store it.

    Raises UploadRefused; then nothing is left.
    """
    folder = folder_of(here, begun)
    await here.drive.run(here.drive.prepare, folder, begun.size_bytes)
    async with here.parts.held(begun.id, folder.part(begun.id), begun.algorithm) as part:
        await here.drive.run(part.alone(part.remove))
        try:
            await receive(here.drive, part, body, begun.size_bytes)
        except UploadRefused as error:
            if error.code != RefusalCode.TOO_LARGE:
                raise
            raise await _size_differs(here, begun, part, "more") from None
        size = await here.drive.run(part.size)
        if size != begun.size_bytes:
            raise await _size_differs(here, begun, part, str(size))
        return await store(here, begun, part)


async def _size_differs(
    here: UploadContext, begun: UploadRow, part: ArrivingFile, came: str
) -> UploadRefused:
    await give_up(here, begun, part, "its size was another")
    return UploadRefused(
        RefusalCode.SIZE_DIFFERS,
        f"{begun.file_name}: {came} bytes came, and {begun.size_bytes} were announced; send it "
        "again",
    )


async def _take_metadata(here: UploadContext, form: Form, image: UploadRow) -> UploadRow:
    """Store the metadata beside its image, in the same session where that is still open."""
    name = PurePath(image.file_name).with_suffix(".json").name
    new = NewUpload(
        workstation=image.workstation,
        session=image.session,
        file_name=name,
        size_bytes=len(form.metadata),
        algorithm="sha256",
        checksum=sha256(form.metadata).hexdigest(),
        sent_by=image.sent_by,
    )
    begun = await begin(here, new)
    if begun.stored_at is not None:
        return begun

    async def body() -> AsyncIterator[bytes]:
        yield form.metadata

    return await _receive(here, begun, body())
