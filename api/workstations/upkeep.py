"""What nobody asks for: uploads that nobody goes on with, and the end of sessions of forms.

What is stored stays, whether or not its session ever ends.
"""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from api.workstations.context import UploadContext
from api.workstations.ending import OwnSession, complete_session
from api.workstations.receiving import ArrivingFile
from api.workstations.refusals import UploadRefused
from api.workstations.stored import folder_of, give_up
from api.workstations.tus import KEEPS
from track.records import uploads
from track.records.uploads import NotStored

log = logging.getLogger(__name__)

EVERY_S = 30.0

QUIET = timedelta(minutes=5)
"""How long nothing comes to a session of forms until it counts as complete."""

STUCK = timedelta(hours=1)
"""How long one waits for a form that has begun to come."""


async def look_after(here: UploadContext) -> None:
    """Look now and again, until cancelled; what cannot be done now is done at the next look."""
    while True:
        try:
            await end_quiet_forms(here)
            await give_up_idle(here)
        except (SQLAlchemyError, OSError, UploadRefused) as error:
            log.warning("uploads were not looked after, it is tried again: %s", error)
        await asyncio.sleep(EVERY_S)


async def give_up_idle(here: UploadContext) -> None:
    """Give up what nobody has gone on with for a week, and remove what had arrived of it."""
    for upload in await here.transact(uploads.idle, KEEPS):
        path = folder_of(here, upload).part(upload.id)
        await give_up(here, upload, ArrivingFile(path, upload.algorithm), uploads.EXPIRED)


async def end_quiet_forms(here: UploadContext) -> None:
    """End the sessions of forms to which nothing comes any more."""
    for workstation, session in await here.transact(uploads.quiet_forms, QUIET, STUCK):
        stored = await here.transact(uploads.stored_in, workstation, session)
        files = {each.file_name: each.sha256 or "" for each in stored}
        own = OwnSession(workstation, session, by="the server")
        try:
            await complete_session(here, own, files)
        except (UploadRefused, NotStored) as error:
            log.error("session %s of %s was not ended: %s", session, workstation, error)
