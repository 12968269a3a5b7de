"""Taking in what may be read by now: specimens whose files the refinery had no access to.

Giving access is all that a person has to do. Whether it was given is seen by opening the files,
once a minute; what is broken in itself lies in quarantine and is none of this.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from schemas.pipeline.load import Pipeline
from tasks.errors import FileError
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import Listing, look_into
from tasks.files.pairing import Pair
from tasks.intake.registration import describe_asset
from track.commands.assets import NewAsset, register_assets
from track.commands.healing import ACTOR, UnreadableFiles, unreadable_files
from track.commands.pipelines import pipelines_by_name
from track.schema.database import transact


async def readmit(engine: AsyncEngine, drive: NDrive | None = None) -> list[str]:
    """Start over every specimen whose ingest failed and whose files can be opened now; which.

    Its metadata is read as at its registration: it may name another pipeline than was known then.
    """
    suspects = await transact(engine, unreadable_files)
    if not suspects:
        return []
    drive = drive or await NDrive.aload("default")
    pipelines = await transact(engine, pipelines_by_name)
    guids = []
    for folder in sorted({each.folder for each in suspects}):
        mine = [each for each in suspects if each.folder == folder]
        try:
            listing = await look_into(folder, drive.root)
            found = await MOUNTS.run(folder.parent, _readable, listing, mine, pipelines)
        except FileError:
            continue  # not yet, or the drive is away
        guids += [guid for each, new in found for guid in await _start_over(engine, each, new)]
    return guids


def _readable(
    pulse: Pulse,
    listing: Listing,
    suspects: Sequence[UnreadableFiles],
    pipelines: dict[str, Pipeline],
) -> list[tuple[UnreadableFiles, NewAsset]]:
    found = []
    for each in suspects:
        pair = listing.items.get(each.file_name, Pair())
        if pair.json is not None and all(_opens(entry.path) for entry in pair.files):
            new, _ = describe_asset(pulse, each.file_name, pair, listing.folder, pipelines)
            found.append((each, new))
    return found


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


async def _start_over(engine: AsyncEngine, each: UnreadableFiles, new: NewAsset) -> list[str]:
    """Its guid, unless somebody was quicker."""
    again = await transact(engine, register_assets, each.session_id, [new], actor=ACTOR, again=True)
    return again.reopened
