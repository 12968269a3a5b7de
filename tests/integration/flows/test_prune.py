"""Prune against a real archive: what is proven goes, what is not stays, and it says why."""

import io
import json
import uuid
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile
from flows.prune import prune
from schemas.files import FileFacts
from schemas.metadata.document import read_document
from schemas.sites import Site
from tests.support.archive import Archive
from tests.support.archive_road import archive_all, create, upload
from tests.support.world import World, install_sites, new
from track.commands.results import note_file
from track.records.documents import create_document
from track.records.files import due_for_removal
from track.schema.database import transact

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
SESSION = "imported_2026-11-20 æ"
NOW = timedelta(seconds=-1)


class Museum:
    """One finalised asset with its three temporary copies, all due."""

    def __init__(self, world: World, archive: Archive, folder: Path) -> None:
        self.world, self.archive = world, archive
        self.guid = str(uuid.uuid4())
        self.session = folder / "drive" / "WORKHERB0001" / SESSION
        self.stored = folder / "store" / self.guid
        self.at_site = folder / "site" / "assets" / self.guid
        self.content = self.guid.encode() * 1000

    @property
    def files(self) -> list[LocalFile]:
        name, size = f"{self.guid}.tif", len(self.content)
        crc32 = zlib.crc32(self.content)
        return [
            LocalFile(
                path=self.stored / name, name=name, crc32=crc32, size_bytes=size, mime="image/tiff"
            )
        ]

    def drop(self) -> None:
        """Put the copies where they lie at the end of an asset's road."""
        document = {
            "asset_guid": self.guid,
            "institution": "NHMD",
            "collection": "Vascular plants",
            "pipeline_name": "P",
            "workstation_name": "WORKHERB0001",
            "digitiser": "Åse Sørensen",
        }
        for folder in (self.session, self.stored, self.at_site):
            folder.mkdir(parents=True)
            (folder / f"{self.guid}.tif").write_bytes(self.content)
        text = json.dumps(document)
        (self.session / f"{self.guid}.json").write_text(text, encoding="utf-8")

    async def record(self) -> None:
        """Have the database know it as finalised, with every copy due."""
        await self.world.register(new(self.guid, source_path=str(self.session)))
        await self.world.finish_all()
        arrived = read_document((self.session / f"{self.guid}.json").read_bytes())
        (image,) = self.files
        facts = FileFacts(name=image.name, crc32=image.crc32, size_bytes=image.size_bytes)

        async def write(tx: AsyncConnection) -> None:
            await create_document(tx, self.guid, arrived, actor="test")
            await note_file(tx, self.guid, facts, mime_type="image/tiff")
            await due_for_removal(tx, self.guid, "ndrive", str(self.session), keep=NOW)
            await due_for_removal(tx, self.guid, "store", str(self.stored), keep=NOW)
            await due_for_removal(tx, self.guid, "site", "local", keep=NOW)

        await transact(self.world.engine, write)
        await self.world.sql("UPDATE track.asset SET finalised_at = now()")

    async def outcomes(self) -> dict[str, tuple[bool, str]]:
        """What the due table says of each kind of copy: gone or not, and why."""
        rows = await self.world.sql(
            "SELECT kind, done_at IS NOT NULL, outcome FROM track.retention WHERE asset_guid = :g",
            g=self.guid,
        )
        return {str(kind): (bool(gone), str(outcome)) for kind, gone, outcome in rows}

    @property
    def left(self) -> list[bool]:
        return [each.exists() for each in (self.session, self.stored, self.at_site)]


@pytest.fixture
async def museum(blocks: Path, engine: AsyncEngine, archive: Archive) -> Museum:
    await archive.block().save("default", overwrite=True)
    made = Museum(await World.make(engine, PIPELINE), archive, blocks)
    root = str(blocks / "site")
    site = Site.model_validate({"site": "local", "kind": "local", "root": root})
    await transact(engine, install_sites, [site])
    made.drop()
    await made.record()
    return made


async def sweep(*, dry_run: bool = False) -> str:
    state = await prune(dry_run=dry_run, return_state=True)
    assert state.is_completed()
    return str(state.message)


async def test_what_the_archive_proves_goes_and_is_gone_once(museum: Museum) -> None:
    async with ArsClient(museum.archive.address) as ars:
        await archive_all(ars, museum.guid, museum.files)
    assert (await sweep(dry_run=True)).startswith("would remove 3 copies")
    assert museum.left == [True, True, True]
    assert (await sweep()).startswith("removed 3 copies")
    assert museum.left == [False, False, False]
    assert museum.session.parent.exists() and museum.stored.parent.exists()
    assert (await museum.outcomes())["ndrive"] == (True, "removed 2 files and their folder")
    assert (await sweep()).startswith("removed 0 copies, 0.0 MB; kept 0")


async def test_a_small_picture_of_what_goes_is_kept(museum: Museum) -> None:
    image = io.BytesIO()
    Image.effect_noise((700, 500), 60).save(image, "TIFF")
    museum.content = image.getvalue()
    for folder in (museum.session, museum.stored, museum.at_site):
        (folder / f"{museum.guid}.tif").write_bytes(museum.content)
    facts = FileFacts(
        name=f"{museum.guid}.tif", crc32=zlib.crc32(museum.content), size_bytes=len(museum.content)
    )
    await transact(
        museum.world.engine, note_file, museum.guid, facts, mime_type="image/tiff", site=None
    )
    async with ArsClient(museum.archive.address) as ars:
        await archive_all(ars, museum.guid, museum.files)
    assert (await sweep(dry_run=True)).startswith("would remove 3 copies")
    previews = museum.stored.parent.parent / "previews"
    assert not previews.exists()
    assert (await sweep()).startswith("removed 3 copies")
    sizes = {}
    for path in previews.rglob("*.jpg"):
        with Image.open(path) as kept:
            sizes[path.name.partition("-")[2]] = kept.size
    assert sizes == {"preview.jpg": (700, 500), "thumbnail.jpg": (320, 229)}


async def test_what_the_archive_does_not_prove_stays(museum: Museum) -> None:
    assert "kept 3" in await sweep()
    assert "does not know" in (await museum.outcomes())["store"][1]
    async with ArsClient(museum.archive.address) as ars:
        await create(ars, museum.guid)
        await upload(ars, museum.guid, museum.files)
    assert "kept 3" in await sweep()
    assert museum.left == [True, True, True]


async def test_another_content_in_the_archive_proves_nothing(museum: Museum) -> None:
    async with ArsClient(museum.archive.address) as ars:
        await archive_all(ars, museum.guid, museum.files)
    await museum.world.sql("UPDATE track.file SET crc32 = crc32 + 1")
    assert "kept 3" in await sweep()
    assert "with our checksum and size" in (await museum.outcomes())["site"][1]


async def test_a_silent_archive_keeps_everything(museum: Museum) -> None:
    museum.archive.fault("status", status=503, count=None)
    try:
        assert "kept 3" in await sweep()
    finally:
        museum.archive.heal()
    assert museum.left == [True, True, True]


async def test_a_changed_original_and_a_strange_location_stay_and_the_rest_goes(
    museum: Museum, tmp_path: Path
) -> None:
    async with ArsClient(museum.archive.address) as ars:
        await archive_all(ars, museum.guid, museum.files)
    (museum.session / f"{museum.guid}.json").write_text("{}", encoding="utf-8")
    await museum.world.sql(
        "UPDATE track.retention SET location = :other WHERE kind = 'store'",
        other=str(tmp_path),
    )
    assert (await sweep()).startswith("removed 1 copies")
    outcomes = await museum.outcomes()
    assert "not what was taken in" in outcomes["ndrive"][1]
    assert "not where such copies lie" in outcomes["store"][1]
    assert museum.left == [True, True, False]


async def test_an_original_that_is_not_what_was_archived_stays_and_a_person_is_told_once(
    museum: Museum,
) -> None:
    """Its last bytes came after it was taken in: the archive has a part of it."""
    async with ArsClient(museum.archive.address) as ars:
        await archive_all(ars, museum.guid, museum.files)
    image = museum.session / f"{museum.guid}.tif"
    whole = museum.content[:-9] + b"came late"
    image.write_bytes(whole)
    await sweep(dry_run=True)
    asked = "SELECT attention FROM track.asset"
    assert await museum.world.sql(asked) == [(None,)]
    await sweep()
    assert image.read_bytes() == whole
    ((note,),) = await museum.world.sql(asked)
    assert str(note).startswith(f"{image.name}: what lies on the drive is not what was archived")
    await museum.world.sql("UPDATE track.asset SET attention = NULL")
    await sweep()
    assert await museum.world.sql(asked) == [(None,)] and image.exists()


async def test_a_copy_that_requires_what_nobody_can_verify_stays(museum: Museum) -> None:
    await museum.world.sql("UPDATE track.retention SET requires = '{tape}' WHERE kind = 'store'")
    await museum.world.sql("UPDATE track.retention SET requires = '{}' WHERE kind = 'site'")
    await museum.world.sql("DELETE FROM track.retention WHERE kind = 'ndrive'")
    assert "kept 2" in await sweep()
    assert "'tape'" in (await museum.outcomes())["store"][1]
    assert "names no other copy" in (await museum.outcomes())["site"][1]
