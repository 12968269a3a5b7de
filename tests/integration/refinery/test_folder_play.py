"""The same play with nothing left out: watch, database, registration, ingest and closing."""

import io
import random
from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.errors import Quarantined
from tasks.intake.folders import close_session_folder
from tasks.intake.registration import register_session
from tasks.intake.watch import DriveWatch
from tests.support.folder_play import TEMPORARIES, FolderPlay, metadata
from tests.support.museum import Museum, museum_at

N = 30.0


def picture(chance: random.Random, kind: str) -> bytes:
    """A small image, another one each time."""
    colour = tuple(chance.randrange(256) for _ in range(3))
    out = io.BytesIO()
    Image.new("RGB", (16, 12), colour).save(out, kind)
    return out.getvalue()


def change(play: FolderPlay, chance: random.Random) -> None:
    """Something that people or copying programs do."""
    base = chance.choice("abcd")
    match chance.randrange(6):
        case 0 | 1:
            play.write(f"{base}.json", metadata(base, "TIF"))
            play.write(f"{base}.tif", picture(chance, "TIFF"))
        case 2:
            play.write(f"{base}.jpg", picture(chance, "JPEG"))
        case 3:
            play.write(chance.choice(TEMPORARIES).format(f"{base}.tif"), b"half of it")
        case 4 if partial := play.temporary():
            play.replace(partial[0], picture(chance, "TIFF"))
            play.rename(partial[0], f"{base}.tif")
        case _:
            play.write("README.txt", f"note {play.ticks}".encode())


async def take_in(museum: Museum) -> None:
    """What dispatchers do for every session that is open."""
    rows = await museum.world.sql("SELECT id FROM track.session WHERE opened_as NOT LIKE '/n/%'")
    for (session,) in rows:
        assert isinstance(session, UUID)
        await museum.turn_to(session)
        await register_session(museum.dispatcher)
        ready = await museum.world.sql(
            "SELECT a.guid FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid"
            " JOIN track.stage s ON s.id = j.stage_id AND s.key = 'ingest'"
            " WHERE a.session_id = :s AND j.state = 'ready'",
            s=session,
        )
        for (guid,) in ready:
            try:
                await museum.ingest(str(guid))
            except Quarantined:
                continue
        await close_session_folder(museum.dispatcher)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_done_to_a_folder_its_specimens_are_taken_once_and_it_is_closed(
    engine: AsyncEngine, tmp_path: Path, seed: int
) -> None:
    museum, chance = await museum_at(engine, tmp_path), random.Random(seed)
    play = FolderPlay(museum.folder)
    drive = museum.dispatcher.drive.model_copy()
    drive_watch = DriveWatch(drive, engine, clock=lambda: play.now)
    # The file system's own times are those of the test, of which none is played.
    museum.dispatcher.drive.settle_seconds = 0.001

    async def wait(seconds: float) -> None:
        await drive_watch.look()
        play.now += seconds
        await drive_watch.look()

    for _ in range(12):
        for _ in range(chance.randrange(1, 4)):
            change(play, chance)
        await wait(chance.choice([1, N, 10 * N]))
        await take_in(museum)
        if not museum.folder.exists():
            play.files = {}
            museum.folder.mkdir()
    complete = play.complete()
    for _ in range(2):
        await wait(10 * N)
        await take_in(museum)
    assert not museum.folder.exists() or not list(museum.folder.iterdir())
    rows = await museum.world.sql(
        "SELECT a.guid, j.state, a.quarantine FROM track.asset a"
        " JOIN track.job j ON j.asset_guid = a.guid JOIN track.stage s ON s.id = j.stage_id"
        " WHERE s.key = 'ingest' AND s.pipeline_id = a.pipeline_id"
    )
    assert len(rows) == len({guid for guid, _, _ in rows})
    assert complete <= {guid for guid, state, _ in rows if state == "done"}
    assert all(state == "done" or refused for _, state, refused in rows)
    for guid in complete:
        assert museum.stored(str(guid)) == [f"{guid}.tif"]
