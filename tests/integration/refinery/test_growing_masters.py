"""A copy that reserves its full size at once and whose time stands still, as Windows makes it.

The real watch looks and dispatchers take in while the bytes come: what is in the store under the
master's name is the whole of it, at any moment.
"""

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.intake.folders import close_session_folder
from tasks.intake.registration import register_session
from tasks.intake.watch import DriveWatch
from tests.support.museum import Museum, museum_at

THEN = 1_700_000_000
CHUNKS = 5


def tiff(compression: str | None) -> bytes:
    """A picture whose directory comes first in its file, in strips."""
    stream = io.BytesIO()
    picture = Image.effect_noise((200, 643), 80).convert("RGB")
    picture.save(stream, "TIFF", compression=compression, tiffinfo={278: 8})
    return stream.getvalue()


def arrives(path: Path, content: bytes, share: float) -> None:
    """So much of a file is written by now; its size and its time are those of the end."""
    with path.open("r+b" if path.exists() else "wb") as stream:
        stream.truncate(len(content))
        stream.write(content[: int(share * len(content))])
    os.utime(path, (THEN, THEN))


class Hall:
    """A museum with its watch, whose clock the test turns."""

    def __init__(self, museum: Museum) -> None:
        self.museum, self.now = museum, 0.0
        drive = museum.dispatcher.drive
        self.drive_watch = DriveWatch(drive, museum.world.engine, clock=lambda: self.now)

    async def goes_on(self) -> None:
        """The watch takes what lies still, and dispatchers do their part."""
        await self.drive_watch.look()
        self.now += 10 * self.museum.dispatcher.drive.settle_seconds
        museum = self.museum
        rows = await museum.world.sql(
            "SELECT id FROM track.session WHERE opened_as NOT LIKE '/n/%'"
        )
        for (session,) in rows:
            await museum.turn_to(session)  # type: ignore[arg-type]
            await register_session(museum.dispatcher)
            ready = await museum.world.sql(
                "SELECT j.asset_guid FROM track.job j"
                " JOIN track.stage s ON s.id = j.stage_id AND s.key = 'ingest'"
                " WHERE j.state = 'ready'"
            )
            for (guid,) in ready:
                await museum.ingest(str(guid))
            await close_session_folder(museum.dispatcher)


@pytest.fixture
async def hall(engine: AsyncEngine, tmp_path: Path) -> Hall:
    return Hall(await museum_at(engine, tmp_path))


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
async def test_a_master_that_is_still_written_is_archived_complete_or_not_at_all(
    hall: Hall, compression: str | None
) -> None:
    museum, content = hall.museum, tiff(compression)
    image = museum.drop("g")
    image.unlink()
    folder = museum.dispatcher.store.folder("g")
    for n in range(CHUNKS):
        arrives(image, content, (n + 1) / CHUNKS)
        await hall.goes_on()
        place = folder / "g.tif"
        assert not place.exists() or place.read_bytes() == content, f"{n} of {CHUNKS}"
        assert museum.folder.is_dir() or n == CHUNKS - 1, "renamed while somebody writes in it"
    for _ in range(2):
        await hall.goes_on()
    assert (folder / "g.tif").read_bytes() == content and museum.stored("g") == ["g.tif"]
    assert await museum.world.sql("SELECT quarantine FROM track.asset") == [(None,)]
    assert (await museum.job("g"))[::2] == ("done", 0)
