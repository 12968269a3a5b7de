"""What kinds of images are taken in depends on who is to read them; damage is told of."""

from typing import Any

from tasks.errors import Quarantined
from tests.support.museum import Museum
from tests.support.world import edit
from tests.support.zoo import READ, REFUSED

LOOKS: dict[str, Any] = {
    "pipeline": "LOOKS",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "codes", "run": "module barcode", "needs": "ingest"},
    ],
}


def drop(museum: Museum, guid: str, name: str, file_format: str, **more: Any) -> None:
    """Put a specimen of the zoo's kind `name` into the folder, under its guid."""
    image = museum.drop(guid, file_format=file_format, **more)
    image.unlink()
    (READ | REFUSED)[name](image.with_suffix("." + name.partition(".")[2]))


async def test_a_camera_raw_is_archived_and_not_given_to_those_who_cannot_read_it(
    museum: Museum,
) -> None:
    await edit(museum.world.engine, LOOKS)
    drop(museum, "kept", "camera.raf", "RAF")
    drop(museum, "looked", "camera.raf", "RAF", pipeline_name="LOOKS")
    drop(museum, "sensor", "camera.dng", "DNG", pipeline_name="LOOKS")
    await museum.register()
    await museum.ingest("kept")
    assert museum.stored("kept") == ["kept.raf"]
    said = await museum.fails("looked", Quarantined)
    assert said.startswith("looked.raf: is no TIFF, JPEG, PNG, WebP or JPEG 2000 picture")
    assert "(needed by codes); export it as a TIFF" in said
    said = await museum.fails("sensor", Quarantined)
    assert "its full picture is a camera's raw data" in said
    assert museum.stored("looked") == museum.stored("sensor") == []


async def test_a_jpeg_with_a_corrupt_block_goes_on_with_a_warning(museum: Museum) -> None:
    drop(museum, "g", "whole_colour.jpg", "JPEG")
    image = museum.folder / "g.jpg"
    content = image.read_bytes()
    damaged = content[:-2] + b"\x12\x34\x56\x78\x9a" + content[-2:]
    image.write_bytes(damaged)
    await museum.register()
    await museum.ingest("g")
    assert (museum.dispatcher.store.folder("g") / "g.jpg").read_bytes() == damaged
    ((state, warning),) = await museum.world.sql(
        "SELECT j.state, j.warning FROM track.job j"
        " JOIN track.stage s ON s.id = j.stage_id AND s.key = 'ingest'"
    )
    assert state == "done"
    assert warning.startswith("g.jpg: this JPEG is corrupt")
