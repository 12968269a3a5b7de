"""A master of which a part was never written is the only copy: a person decides, not we."""

from pathlib import Path

import pytest
import pyvips
from PIL import Image

from tasks.errors import AskedAPerson
from tests.support.museum import Museum
from track.commands.switches import set_attention
from track.schema.database import transact

PERSON = "person:ib"


def half_written(path: Path, *, packed: bool = False) -> None:
    """Leave the last strips, or tiles, of a TIFF as a copy leaves them that made its file first.

    Of LZW these are tiles, which libtiff reads as black without a word; it refuses such strips.
    """
    image = pyvips.Image.gaussnoise(640, 512, sigma=40, mean=128).cast("uchar")
    options = {"compression": "lzw", "tile": True, "tile_width": 64, "tile_height": 64}
    image.tiffsave(str(path), **(options if packed else {}))
    with Image.open(path) as saved:
        places = (324, 325) if packed else (273, 279)
        parts = list(zip(*(saved.tag_v2[each] for each in places), strict=True))
    content = bytearray(path.read_bytes())
    for offset, count in parts[len(parts) // 2 :]:
        content[offset : offset + count] = bytes(count)
    path.write_bytes(content)


async def attention(museum: Museum, guid: str) -> str | None:
    ((note,),) = await museum.world.sql("SELECT attention FROM track.asset WHERE guid = :g", g=guid)
    return note


async def clear(museum: Museum, guid: str) -> None:
    await transact(museum.world.engine, set_attention, guid, None, actor=PERSON)


async def warning(museum: Museum, guid: str) -> str | None:
    ((said,),) = await museum.world.sql(
        "SELECT j.warning FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
        " WHERE j.asset_guid = :g AND s.key = 'ingest'",
        g=guid,
    )
    return said


@pytest.mark.parametrize(
    ("packed", "what"), [(False, "2 of its 4 strips"), (True, "40 of its 80 tiles")]
)
async def test_a_half_written_master_is_held_and_taken_in_when_a_person_says_so(
    museum: Museum, packed: bool, what: str
) -> None:
    image = museum.drop("g")
    half_written(image, packed=packed)
    await museum.register()
    said = await museum.fails("g", AskedAPerson)
    assert f"{what} are all zero, as a copy that was cut short leaves them" in said
    note = await attention(museum, "g")
    assert note is not None and note.startswith("g.tif (CRC-32 ")
    assert note.endswith("; copy it again, or clear the attention if it is right")
    state, reason, tries, waits = await museum.job("g")
    assert (state, tries, waits) == ("ready", 0, False)
    assert reason is not None and what in reason
    assert museum.stored("g") == []
    assert await museum.world.sql("SELECT quarantine FROM track.asset") == [(None,)]
    assert await museum.world.claim(guid="g") == []
    await clear(museum, "g")
    await museum.ingest("g")
    assert await museum.is_in("g")
    assert (museum.dispatcher.store.folder("g") / "g.tif").read_bytes() == image.read_bytes()
    told = await warning(museum, "g")
    assert told is not None and f"{what} are all zero" in told
    assert told.endswith(f"which {PERSON} has accepted")
    assert await attention(museum, "g") is None


async def test_a_master_that_was_copied_again_is_taken_in_without_a_word(museum: Museum) -> None:
    half_written(museum.drop("g"))
    await museum.register()
    await museum.fails("g", AskedAPerson)
    museum.drop("g")
    await clear(museum, "g")
    await museum.ingest("g")
    assert await museum.is_in("g")
    assert await warning(museum, "g") is None


async def test_what_a_person_accepts_is_that_content_and_no_other(museum: Museum) -> None:
    image = museum.drop("g")
    half_written(image, packed=True)
    await museum.register()
    await museum.fails("g", AskedAPerson)
    half_written(image, packed=True)  # other noise, the same hole
    await clear(museum, "g")
    await museum.fails("g", AskedAPerson)
    assert museum.stored("g") == []
    await clear(museum, "g")
    await museum.ingest("g")
    assert await museum.is_in("g")
