"""The archive's open share as a driver reaches it: whole files, checked both ways, or none."""

import random
import uuid
import zlib
from pathlib import Path

import pytest

from blocks.ars_client import ArsClient
from hpc.sites.slurm.relay import ArchiveSharesError, CarriedFile, ShareLocation
from refinery.archive_shares import ArsShares
from schemas.files import FileFacts
from tests.support.archive import Archive
from tests.support.archive_road import create

IMAGE = random.Random(2).randbytes(5_000_000)
FACTS = FileFacts(name="Ærø 400.tif", crc32=zlib.crc32(IMAGE), size_bytes=len(IMAGE))
CARRIED = CarriedFile(**dict(FACTS), path="g/other/another name.tif")


@pytest.fixture
async def location(archive: Archive) -> ShareLocation:
    """An asset whose share is open."""
    guid = str(uuid.uuid4())
    async with ArsClient(archive.address) as ars:
        await create(ars, guid, mb=5)
    return ShareLocation(guid, "NHMD", "Vascular plants")


def local(folder: Path, content: bytes = IMAGE) -> Path:
    path = folder / "mine.tif"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("file", [FACTS, CARRIED], ids=["facts", "carried"])
async def test_a_file_goes_into_the_share_and_comes_back_as_it_was(
    archive: Archive, location: ShareLocation, tmp_path: Path, file: FileFacts
) -> None:
    shares = ArsShares(archive.address)
    await shares.send(location, file, local(tmp_path))
    await shares.send(location, file, local(tmp_path))  # again is harmless, and takes no room
    await shares.fetch(location, FACTS, tmp_path / "back.tif")
    assert (tmp_path / "back.tif").read_bytes() == IMAGE
    async with ArsClient(archive.address) as ars:
        assert [row.holds(FACTS) for row in await ars.files.listed(location.guid)] == [True]
    assert len(archive.requests(location.guid, "PUT", "assetfiles")) == 1


async def test_a_file_that_is_another_one_is_not_sent(
    archive: Archive, location: ShareLocation, tmp_path: Path
) -> None:
    torn = local(tmp_path, bytes(len(IMAGE)))
    with pytest.raises(ArchiveSharesError, match="CRC"):
        await ArsShares(archive.address).send(location, FACTS, torn)
    async with ArsClient(archive.address) as ars:
        assert not any(row.holds(FACTS) for row in await ars.files.listed(location.guid))


async def test_what_the_share_holds_otherwise_is_not_given(
    archive: Archive, location: ShareLocation, tmp_path: Path
) -> None:
    shares = ArsShares(archive.address)
    await shares.send(location, FACTS, local(tmp_path))
    wanted = FACTS.model_copy(update={"crc32": 1})
    with pytest.raises(ArchiveSharesError, match="CRC"):
        await shares.fetch(location, wanted, tmp_path / "back.tif")
    assert [path.name for path in tmp_path.glob("back*")] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "cut_upload", "bytes": 1_000_000},
        {"action": "corrupt_upload"},
        {"action": "effect_then_reset"},
        {"action": "status", "status": 503},
    ],
)
async def test_a_fault_of_the_archive_is_an_error_of_its_shares_and_sending_again_mends_it(
    archive: Archive, location: ShareLocation, tmp_path: Path, fault: dict[str, object]
) -> None:
    shares, fault = ArsShares(archive.address), dict(fault)
    where = {} if fault["action"] == "corrupt_upload" else {"path_regex": "assetfiles"}
    archive.fault(str(fault.pop("action")), guid=location.guid, **where, **fault)
    with pytest.raises(ArchiveSharesError):
        await shares.send(location, FACTS, local(tmp_path))
    await shares.send(location, FACTS, local(tmp_path))
    async with ArsClient(archive.address) as ars:
        assert [row.holds(FACTS) for row in await ars.files.listed(location.guid)] == [True]


async def test_an_archive_that_is_away_is_an_error_of_its_shares(
    tmp_path: Path, archive: Archive
) -> None:
    away = ArsShares(Archive("http://127.0.0.1:9", "v2_11").address)
    with pytest.raises(ArchiveSharesError):
        await away.send(ShareLocation("g", "NHMD", "Vascular plants"), FACTS, local(tmp_path))
