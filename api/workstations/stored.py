"""How a file that has arrived becomes a stored one, and is confirmed.

The steps, each of which may be the last before a crash: the sums are compared; under the name's
lock the file gets its name, then its row says so. A row that does not know of its file's name yet
is put right by whoever asks next.
"""

import logging
from functools import partial

from api.workstations.context import UploadContext
from api.workstations.folders import Beat, SessionFolder, check_mounted, put_in_place
from api.workstations.receiving import ArrivingFile, Sums, read_back
from api.workstations.refusals import UploadRefused
from schemas.uploads import RefusalCode, StoredFile
from track.records import uploads
from track.records.uploads import NameTaken, SessionEnded, UploadRow

log = logging.getLogger(__name__)


def folder_of(here: UploadContext, upload: UploadRow) -> SessionFolder:
    """The folder of an upload's session."""
    return here.drive.session(upload.workstation, upload.session)


async def offset_of(here: UploadContext, upload: UploadRow) -> int:
    """Bytes of an upload that have arrived; one that is all there is stored first.

    Raises UploadRefused.
    """
    if upload.stored_at is not None:
        return upload.size_bytes
    folder = folder_of(here, upload)
    size = await here.drive.run(_size, folder, upload)
    if size < upload.size_bytes and not await here.drive.run(_has_place, folder, upload):
        return size
    held = here.parts.held(
        upload.id, folder.part(upload.id), upload.algorithm, interrupts=False
    )  # who looks waits for the one that stores it
    async with held as part:
        now = await current(here, upload)
        if now.stored_at is None:
            size = await here.drive.run(part.size)
            if size < upload.size_bytes and not await _is_placed(here, folder, upload):
                return size
            await store(here, now, part)
    return upload.size_bytes


async def is_lost(here: UploadContext, upload: UploadRow) -> bool:
    """Whether a stored file of a session that is not complete is gone from the drive.

    So it is when the server was killed while its workstation took it back, or somebody removed it.
    What a complete session had may have been pruned. Raises UploadRefused where the drive is away.
    """
    if await here.transact(uploads.is_complete, upload.workstation, upload.session):
        return False
    return not await here.drive.run(_lies_there, folder_of(here, upload), upload)


def _lies_there(folder: SessionFolder, upload: UploadRow) -> bool:
    check_mounted(folder.making.parent)
    return folder.is_made() or folder.place(upload.file_name).exists()


async def current(here: UploadContext, upload: UploadRow) -> UploadRow:
    """An upload as it is now, which another request may have stored or given up meanwhile.

    Raises UploadRefused.
    """
    now = await here.transact(uploads.find, upload.id)
    if now is None or now.ended_at is not None:
        text = f"{upload.file_name} was given up meanwhile; begin it again"
        raise UploadRefused(RefusalCode.UNKNOWN_UPLOAD, text)
    return now


def _size(folder: SessionFolder, upload: UploadRow) -> int:
    return ArrivingFile(folder.part(upload.id), upload.algorithm).size()


async def _is_placed(here: UploadContext, folder: SessionFolder, upload: UploadRow) -> bool:
    """Whether a file has its name already, and nobody has written it down.

    What lies there may also be of an upload that was given up then: its content tells.
    """
    if not await here.drive.run(_has_place, folder, upload):
        return False
    placed = ArrivingFile(folder.place(upload.file_name), upload.algorithm)
    return upload.has(await here.drive.run_long(placed.finish))


def _has_place(folder: SessionFolder, upload: UploadRow) -> bool:
    place = folder.place(upload.file_name)
    if folder.part(upload.id).exists() or not place.exists():
        return False
    return place.stat().st_size == upload.size_bytes


async def store(here: UploadContext, upload: UploadRow, part: ArrivingFile) -> UploadRow:
    """Check what has arrived and give it its name.

    Raises UploadRefused; then nothing of it is left.
    """
    folder = folder_of(here, upload)
    place = folder.place(upload.file_name)
    sums = await here.drive.run_long(part.alone(partial(_sums_of, folder, upload, part)))
    if not upload.has(sums):
        await give_up(here, upload, part, "its checksum was another")
        raise UploadRefused(
            RefusalCode.CHECKSUM_DIFFERS,
            f"{upload.file_name}: its {upload.algorithm} is {sums[upload.algorithm]} here, and "
            f"{upload.checksum} was announced; send it again from the beginning",
        )
    try:
        stored = await here.transact(
            uploads.store,
            upload.id,
            sha256=sums["sha256"],
            crc32=int(sums["crc32"], 16),
            put_in_place=partial(here.drive.run, put_in_place, part.path, place),
        )
    except NameTaken:
        await give_up(here, upload, part, "its name was taken meanwhile")
        raise taken(upload.file_name) from None
    except SessionEnded:
        await give_up(here, upload, part, "its session ended before it had arrived")
        raise ended(upload.session) from None
    here.parts.forget(upload.id)
    log.info("stored %s/%s/%s", upload.workstation, upload.session, upload.file_name)
    return stored


def _sums_of(
    folder: SessionFolder, upload: UploadRow, part: ArrivingFile, beat: Beat
) -> dict[str, str]:
    """The sums of what arrived, which may have its name already."""
    if part.path.exists():
        return part.finish(beat)
    return ArrivingFile(folder.place(upload.file_name), upload.algorithm).finish(beat)


async def give_up(here: UploadContext, upload: UploadRow, part: ArrivingFile, problem: str) -> None:
    """Forget an upload and what has arrived of it."""
    await here.transact(uploads.end, upload.id, problem)
    await here.drive.run(part.remove)
    here.parts.forget(upload.id)
    log.warning("%s/%s/%s: %s", upload.workstation, upload.session, upload.file_name, problem)


async def take_back(here: UploadContext, upload: UploadRow, part: ArrivingFile) -> None:
    """Forget an upload because its workstation gives it up, and remove what there is of it.

    Raises UploadRefused for one of a complete session.
    """
    now = await current(here, upload)

    async def remove() -> None:
        await here.drive.run(part.alone(partial(_remove, folder_of(here, now), now, part)))

    try:
        await here.transact(uploads.withdraw, upload.id, remove)
    except SessionEnded:
        raise ended(upload.session) from None
    here.parts.forget(upload.id)


def _remove(folder: SessionFolder, upload: UploadRow, part: ArrivingFile) -> None:
    part.remove()
    if upload.stored_at is not None:
        folder.place(upload.file_name).unlink(missing_ok=True)


async def confirmed(here: UploadContext, upload: UploadRow) -> StoredFile:
    """A stored file as it lies on the drive, read back once. Raises UploadRefused."""
    assert upload.sha256 is not None and upload.crc32 is not None
    stored = StoredFile(
        name=upload.file_name,
        size_bytes=upload.size_bytes,
        sha256=upload.sha256,
        crc32=upload.crc32,
    )
    if upload.confirmed_at is not None:
        return stored
    sums = await here.drive.run_long(partial(_read_back, folder_of(here, upload), upload))
    if sums is None or sums.by_algorithm()["sha256"] != upload.sha256:
        why = "it is not on the drive" if sums is None else "the drive holds another content"
        await here.transact(uploads.end, upload.id, why)
        log.error("%s/%s/%s: %s", upload.workstation, upload.session, upload.file_name, why)
        text = f"{upload.file_name}: {why}; keep the file and send it again"
        raise UploadRefused(RefusalCode.CHECKSUM_DIFFERS, text)
    await here.transact(uploads.confirm, upload.id)
    return stored


def _read_back(folder: SessionFolder, upload: UploadRow, beat: Beat) -> Sums | None:
    """The sums of a stored file, wherever its folder is by now; None where it is nowhere.

    One that is not what arrived is taken off the drive, unless its session is complete: then it is
    for a person, who is told by ingest.
    """
    for place in folder.places(upload.file_name):
        try:
            sums = read_back(place, upload.size_bytes, beat)
        except FileNotFoundError:
            continue
        if sums.by_algorithm()["sha256"] != upload.sha256 and place.parent == folder.making:
            place.unlink(missing_ok=True)
        return sums
    check_mounted(folder.making.parent)
    return None


def taken(name: str) -> UploadRefused:
    """A name is another file's."""
    return UploadRefused(
        RefusalCode.NAME_TAKEN,
        f"{name} is known already with another content; give the specimen another name, or ask "
        "the server's people to look at the one there is",
    )


def ended(session: str) -> UploadRefused:
    """A session takes no more files."""
    text = f"session {session} is complete already; begin a new session for further files"
    return UploadRefused(RefusalCode.SESSION_ENDED, text)
