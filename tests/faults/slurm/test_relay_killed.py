"""A driver that is killed while it relays a file to the archive: the file arrives all the same."""

import hashlib
import random
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from blocks.ars_client import ArsClient
from hpc.archives import build_runner
from hpc.sites.slurm.relay import ShareLocation
from refinery.archive_shares import ArsShares
from refinery.local.postgres import EmbeddedPostgres
from schemas.files import FileFacts
from schemas.pipeline.load import Pipeline
from tests.support.archive import Archive, archive_in
from tests.support.archive_road import create
from tests.support.slurm_site import PIPELINE, SlurmSite, let_die
from tests.support.world import new
from track.commands.pipelines import load_pipelines
from track.schema.database import transact

ROOT = Path(__file__).parents[3]
IMAGE = random.Random(1).randbytes(9_000_000)
FACTS = FileFacts(name="Ærø 400.tif", crc32=zlib.crc32(IMAGE), size_bytes=len(IMAGE))
CHILD, PARENT = "child", "parent"


@pytest.fixture
def archive(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Archive]:
    with archive_in(postgres, tmp_path / "archive") as served:
        yield served


async def queue_upload(site: SlurmSite) -> None:
    """Give the site the real module `upload` for a derivative that lies there."""
    stages = [{"key": "clean", "run": "module clean"}, {"key": "other", "run": "module upload"}]
    changed = Pipeline.model_validate({**PIPELINE, "stages": stages})
    await transact(site.engine, load_pipelines, [changed], actor="test")
    await site.world.register(new(PARENT))
    await site.world.register(new(CHILD, parent_guid=PARENT))
    await site.world.describe(PARENT, CHILD)
    await site.world.sql(
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes)"
        " VALUES (:guid, :name, 'image', :crc32, :size_bytes)",
        guid=CHILD,
        **FACTS.model_dump(),
    )
    made = site.root / "assets" / PARENT / "derived" / FACTS.name
    made.parent.mkdir(parents=True)
    made.write_bytes(IMAGE)
    await site.enqueue(CHILD, "other")


async def killed(site: SlurmSite, archive: Archive, moment: str, folder: Path) -> None:
    """Let a relaying driver live until that moment."""
    runner = str(build_runner(site.root.parent / "built"))
    address = asdict(archive.address)
    await let_die(site, moment, folder, callback="", runner=runner, archive=address)


async def test_a_file_arrives_whole_though_its_relay_is_killed_again_and_again(
    far: SlurmSite, archive: Archive, tmp_path: Path
) -> None:
    await queue_upload(far)
    async with ArsClient(archive.address) as ars:
        await create(ars, CHILD, mb=9)  # room for it once
        for moment in ("sending", "sending", "sent"):
            await killed(far, archive, moment, tmp_path)
            ((attempt),) = await far.attempts(CHILD, stage="other")
            assert attempt["outcome"] is None  # its result does not count yet
            listed = await ars.files.listed(CHILD)
            assert [row.holds(FACTS) for row in listed] == ([True] if moment == "sent" else [])
        heir = far.driver(callback="", archive_shares=ArsShares(archive.address))
        await heir.adopt()

        async def returned() -> bool:
            return await far.states(CHILD, stage="other") == ["returned"]

        await far.drive(heir, returned)
        assert [row.holds(FACTS) for row in await ars.files.listed(CHILD)] == [True]
    ((attempt),) = await far.attempts(CHILD, stage="other")
    assert (attempt["n"], attempt["outcome"]) == (1, "done")
    (batch,) = await far.batches()
    assert far.lab.job_ids(batch["key"]) == [batch["external_id"]]
    again = tmp_path / "again.tif"
    location = ShareLocation(CHILD, "NHMD", "Vascular plants")
    await ArsShares(archive.address).fetch(location, FACTS, again)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(IMAGE).digest()
