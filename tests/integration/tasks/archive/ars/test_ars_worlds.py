"""Archives of another age, and archives whose disks are full: the same road, and clear words."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile, Outcome, SourceLost, TierBusy, TierUnknown
from demo.ars.config import ProfileName
from refinery.local.postgres import EmbeddedPostgres
from tasks.archive.ars.metadata import push_metadata
from tasks.archive.ars.share import ensure_share_closed, ensure_share_open
from tasks.archive.ars.synchronise import synchronised
from tests.support.archive import Archive, served_archive
from tests.support.archive_road import (
    CREATE,
    IMPATIENT,
    NHMD,
    PLANTS,
    archive_all,
    await_done,
    body_of,
    create,
    image,
    request,
    upload,
)
from tests.support.small_disk import small_disk


@pytest.fixture
def fresh(postgres: EmbeddedPostgres) -> str:
    """The URL of an empty database for one archive."""
    name = f"ars_{uuid.uuid4().hex[:12]}"
    postgres.ensure_database(name)
    return postgres.url(name)


@pytest.fixture
def small_share(tmp_path: Path) -> Iterator[Path]:
    """A real file system of five megabytes where an archive has its shares."""
    with small_disk(tmp_path / "shares", "5m") as place:
        yield place


@pytest.mark.parametrize("profile", ["v2_6", "v2_11"])
async def test_the_whole_road_where_statuses_have_their_old_names(
    fresh: str, tmp_path: Path, files: list[LocalFile], guid: str, profile: ProfileName
) -> None:
    with served_archive(fresh, tmp_path, profile, legacy_status_names=True) as old:
        async with ArsClient(old.address) as ars:
            await archive_all(ars, guid, files)
            status = await ars.assets.status(guid)
            assert status is not None and status.status == "COMPLETED"
            await ensure_share_open(ars, guid, NHMD, PLANTS, 10)
            await push_metadata(ars, guid, body_of(guid, tags={"ocr": "Ficaria verna"}))
            assert await ensure_share_closed(ars, guid) is True
            assert (await synchronised(ars, guid, files)).done
            old.fault("erda_put_fails", guid=(other := str(uuid.uuid4())), count=3)
            await create(ars, other)
            await upload(ars, other, files)
            await request(ars, other)
            failed = await await_done(ars, other, files, IMPATIENT)
            assert failed.reason.startswith("ERDA_ERROR") and failed.share_open
            await archive_all(ars, other, files, IMPATIENT)


async def test_a_full_erda_is_failed_by_name_and_good_again_once_there_is_room(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    archive.fault("erda_put_fails", guid=guid, count=None)
    await request(ars, guid)
    verdict = await await_done(ars, guid, files, IMPATIENT)
    assert verdict.outcome is Outcome.FAILED
    assert "ERDA_FAILED" in verdict.reason
    rows = await ars.files.listed(guid)
    assert {row.name for row in rows if row.holds(files[0]) or row.holds(files[1])} == {
        file.name for file in files
    }, "what was uploaded still lies in its share"
    archive.heal()
    await request(ars, guid)
    assert (await await_done(ars, guid, files)).done


async def test_a_share_whose_disk_fills_up_under_an_upload_keeps_nothing_half(
    fresh: str, small_share: Path, tmp_path: Path, guid: str
) -> None:
    """The archive promised the room, and its disk has it not."""
    file = image(tmp_path, "leaf.tif", 3_000_000)
    with served_archive(fresh, tmp_path) as archive:
        async with ArsClient(archive.address) as ars:
            await create(ars, guid, mb=20)
            ballast = small_share / "ballast"
            ballast.write_bytes(bytes(4_000_000))
            with pytest.raises(TierUnknown, match=r"leaf\.tif"):
                await upload(ars, guid, [file])
            assert await ars.files.listed(guid) == []
            ballast.unlink()
            assert await upload(ars, guid, [file]) == ("leaf.tif",)
            await request(ars, guid)
            assert (await await_done(ars, guid, [file])).done


async def test_without_keycloak_nothing_is_done_and_it_is_tried_again(
    archive: Archive, guid: str
) -> None:
    async with ArsClient(archive.address) as ars:
        archive.fault("status", status=503, path_regex="^/keycloak", count=1)
        with pytest.raises(TierBusy, match="Keycloak"):
            await create(ars, guid)
        assert archive.requests(guid, "POST", CREATE) == []
        await create(ars, guid)
    archive.heal()


async def test_a_file_that_rots_in_the_store_is_not_sent_again_and_again(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    """Its size is right: only the archive's checksum tells, which once looked like bad luck."""
    await create(ars, guid)
    rotten = files[0].path
    content = bytearray(rotten.read_bytes())
    content[1000] ^= 1
    rotten.write_bytes(content)
    with pytest.raises(SourceLost, match=f"{files[0].name}.*ingest it again") as lost:
        await upload(ars, guid, files[:1])
    assert lost.value.retry_after is None
    assert len(archive.requests(guid, "PUT")) == 1
    assert await ars.files.listed(guid) == []
