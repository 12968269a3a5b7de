"""Asking a person whether an image is right of which a part seems never to have been written."""

from tasks.dispatch.dispatcher import Dispatcher
from tasks.errors import AskedAPerson
from tasks.files.copies import checksum_file
from tasks.files.holes import look_for_holes
from tasks.files.pairing import Entry
from track.commands.attention import ZEROS, cleared_by, hold
from track.schema.database import transact


async def ask_about_holes(dispatcher: Dispatcher, guid: str, image: Entry) -> list[str]:
    """Hold the asset when its image has a hole; what should be known where that was accepted.

    Raises AskedAPerson until a person has let this very content go on, or another FileError.
    """
    hole = await look_for_holes(image.path)
    if hole is None:
        return []
    crc32 = (await checksum_file(image.path)).crc32
    file = f"{image.name} (CRC-32 {crc32:08x})"
    what = f"{hole.removesuffix('all zero')}{ZEROS}"
    note = f"{file}: {what}; {AskedAPerson.remedy}"
    async with dispatcher.engine.connect() as connection:
        who = await cleared_by(connection, guid, note)
    if who is not None:
        return [f"{file}: {hole}, which {who} has accepted"]
    await transact(dispatcher.engine, lambda tx: hold(tx, guid, [note], actor=dispatcher.actor))
    raise AskedAPerson(image.path, what)
