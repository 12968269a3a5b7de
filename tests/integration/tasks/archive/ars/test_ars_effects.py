"""Creating, uploading, shares and metadata, against the stand-in on real HTTP and PostgreSQL."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import LocalFile, Outcome, TierBusy, TierRefused, TierUnknown
from refinery.local.postgres import EmbeddedPostgres
from tasks.archive.ars.create import ensure_created, ensure_specimens
from tasks.archive.ars.metadata import push_metadata
from tasks.archive.ars.share import ensure_share_closed, ensure_share_open
from tasks.archive.ars.synchronise import synchronised
from tests.support.archive import Archive, served_archive
from tests.support.archive_road import (
    CREATE,
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


async def test_the_road_to_erda_and_back_with_spaces_and_danish_letters(
    ars: ArsClient, guid: str, files: list[LocalFile], tmp_path: Path
) -> None:
    await create(ars, guid)
    assert await upload(ars, guid, files) == ("Ærø fjord 1.tif", "raw.cr3")
    assert (await synchronised(ars, guid, files)).outcome is Outcome.PENDING
    assert await request(ars, guid) is True
    assert (await await_done(ars, guid, files)).done

    assert await ensure_share_open(ars, guid, NHMD, PLANTS, 10) == 10
    to = tmp_path / "again.tif"
    await ars.files.download(guid, NHMD, PLANTS, files[0], to)
    assert to.read_bytes() == files[0].path.read_bytes()
    assert await ensure_share_closed(ars, guid) is True
    assert await ensure_share_closed(ars, guid) is False


async def test_every_effect_called_twice_happens_once(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    first = await ensure_created(ars, body_of(guid), 4)
    second = await ensure_created(ars, body_of(guid), 4)
    assert (first.new, second.new) == (True, False)
    assert second.share_open
    await upload(ars, guid, files)
    assert await upload(ars, guid, files) == ()
    await request(ars, guid)
    assert (await await_done(ars, guid, files)).done
    assert await request(ars, guid) is False
    assert await upload(ars, guid, files) == ()
    await ensure_share_open(ars, guid, NHMD, PLANTS, 5)
    await ensure_share_open(ars, guid, NHMD, PLANTS, 5)
    assert await request(ars, guid) is False
    assert len(archive.requests(guid, "POST", CREATE)) == 1
    assert len(archive.requests(guid, "PUT")) == 2
    assert len(archive.requests(guid, "POST", "synchronize")) == 1
    assert len(archive.requests(guid, "POST", "createShare")) == 1


async def test_two_creates_at_once_end_in_one_asset(ars: ArsClient, guid: str) -> None:
    async def one() -> bool | str:
        try:
            return (await ensure_created(ars, body_of(guid), 4)).new
        except TierBusy:
            return "busy"

    outcomes = await asyncio.gather(*(one() for _ in range(5)))
    assert outcomes.count(True) == 1
    assert (await ensure_created(ars, body_of(guid), 4)).new is False


@pytest.mark.parametrize("fault", ["effect_then_status", "effect_then_reset"])
async def test_a_create_whose_answer_is_lost_is_found_and_not_repeated(
    ars: ArsClient, archive: Archive, guid: str, fault: str
) -> None:
    archive.fault(fault, guid=guid, path_regex=CREATE)
    created = await ensure_created(ars, body_of(guid), 4)
    assert created.share_open
    assert len(archive.requests(guid, "POST", CREATE)) == 1


async def test_a_create_that_did_nothing_stays_unknown_and_succeeds_when_asked_again(
    ars: ArsClient, archive: Archive, guid: str
) -> None:
    archive.fault("status", status=504, guid=guid, path_regex=CREATE)
    with pytest.raises(TierUnknown):
        await ensure_created(ars, body_of(guid), 4)
    assert (await ensure_created(ars, body_of(guid), 4)).new is True


async def test_a_guid_of_another_collection_is_never_taken_over(ars: ArsClient, guid: str) -> None:
    await create(ars, guid)
    with pytest.raises(TierRefused, match="the guid was given twice"):
        await ensure_created(ars, body_of(guid, collection="Entomology"), 4)


async def test_a_refusal_carries_the_words_of_ars(ars: ArsClient, guid: str) -> None:
    with pytest.raises(TierRefused, match="Pipeline doesnt exist in this institution"):
        await ensure_created(ars, body_of(guid, pipeline="NOSUCH"), 4)


async def test_a_locked_guid_and_a_full_disk_are_busy_and_not_refused(
    ars: ArsClient, archive: Archive, guid: str
) -> None:
    archive.disk(1)
    try:
        with pytest.raises(TierBusy, match="DISK_FULL"):
            await ensure_created(ars, body_of(guid), 4)
    finally:
        archive.disk(100_000)
    archive.fault("open_share_fails", guid=guid)
    with pytest.raises(TierUnknown):
        await ensure_created(ars, body_of(guid), 4)
    with pytest.raises(TierBusy) as busy:
        await ensure_created(ars, body_of(guid), 4)
    archive.advance(busy.value.retry_after)
    assert (await ensure_created(ars, body_of(guid), 4)).new is True


async def test_specimens_come_before_the_asset_that_names_them(ars: ArsClient, guid: str) -> None:
    barcode = guid[:8]
    specimen = {
        "institution": NHMD,
        "collection": PLANTS,
        "barcode": barcode,
        "preparation_types": ["sheet"],
    }
    link = {"asset_preparation_type": "sheet", "specimen": specimen}
    with pytest.raises(TierRefused, match="doesn't exist"):
        await create(ars, guid, asset_specimen=[link])
    await ensure_specimens(ars, [specimen])
    await create(ars, guid, asset_specimen=[link])
    (held,) = await ensure_specimens(ars, [{**specimen, "preparation_types": ["pinning"]}])
    assert held["preparation_types"] == ["pinning", "sheet"]


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "cut_upload", "bytes": 100_000},
        {"action": "effect_then_reset"},
        {"action": "effect_then_status"},
        {"action": "corrupt_upload"},
        {"action": "unauthorised"},
        {"action": "unauthorised", "count": 3},
    ],
)
async def test_an_upload_that_goes_wrong_ends_with_the_right_bytes(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile], fault: dict[str, Any]
) -> None:
    await create(ars, guid, mb=20)
    fault = dict(fault)
    where = {} if fault["action"] == "corrupt_upload" else {"path_regex": "assetfiles"}
    archive.fault(fault.pop("action"), guid=guid, **where, **fault)
    await upload(ars, guid, files)
    await request(ars, guid)
    assert (await await_done(ars, guid, files)).done


async def test_an_upload_that_was_heard_is_not_sent_again(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    archive.fault("effect_then_status", guid=guid, path_regex="assetfiles")
    await upload(ars, guid, files)
    assert len(archive.requests(guid, "PUT")) == 2


async def test_nothing_is_uploaded_while_ars_synchronises(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files[:1])
    archive.fault("erda_unreachable", count=None)
    await request(ars, guid)
    with pytest.raises(TierBusy, match="nothing may be uploaded"):
        await upload(ars, guid, files)
    with pytest.raises(TierBusy):
        await ensure_share_closed(ars, guid)
    with pytest.raises(TierBusy):
        await ensure_share_open(ars, guid, NHMD, PLANTS, 4)


async def test_an_upload_opens_or_enlarges_the_share_it_needs(
    ars: ArsClient, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid, mb=1)
    await upload(ars, guid, files[:1])
    await request(ars, guid)
    assert (await await_done(ars, guid, files[:1])).done
    assert await upload(ars, guid, files) == ("raw.cr3",)
    await request(ars, guid)
    assert (await await_done(ars, guid, files)).done


async def test_a_file_that_changed_replaces_the_one_in_erda(
    ars: ArsClient, guid: str, files: list[LocalFile], tmp_path: Path
) -> None:
    await archive_all(ars, guid, files)
    (tmp_path / "new").mkdir()
    changed = image(tmp_path / "new", "raw.cr3", 700_000)
    assert (await synchronised(ars, guid, [changed])).outcome is Outcome.MISSING
    assert await upload(ars, guid, [files[0], changed]) == ("raw.cr3",)
    assert await request(ars, guid) is True
    assert (await await_done(ars, guid, [files[0], changed])).done


async def test_a_share_with_unsaved_files_is_closed_only_on_purpose(
    ars: ArsClient, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    with pytest.raises(TierRefused, match=r"raw\.cr3"):
        await ensure_share_closed(ars, guid)
    assert await ensure_share_closed(ars, guid, discard=True) is True


@pytest.mark.parametrize("fault", ["effect_then_status", "effect_then_reset"])
async def test_a_share_opened_without_an_answer_is_not_opened_again(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile], fault: str
) -> None:
    await archive_all(ars, guid, files)
    archive.fault(fault, guid=guid, path_regex="createShare")
    assert (await ensure_share_open(ars, guid, NHMD, PLANTS, 6)) == 6
    archive.fault(fault, guid=guid, path_regex="deleteShare")
    assert await ensure_share_closed(ars, guid) is True
    assert len(archive.requests(guid, "POST", "createShare")) == 1


async def test_a_share_too_small_for_its_files_is_refused(
    ars: ArsClient, guid: str, files: list[LocalFile]
) -> None:
    await archive_all(ars, guid, files)
    with pytest.raises(TierRefused, match="exceeds requested allocation"):
        await ensure_share_open(ars, guid, NHMD, PLANTS, 1)


async def test_a_derivative_is_uploaded_beside_its_parent(
    ars: ArsClient, guid: str, files: list[LocalFile], tmp_path: Path
) -> None:
    await archive_all(ars, guid, files)
    child = str(uuid.uuid4())
    await create(ars, child, mb=20, parent_guids=[guid])
    thumbnail = image(tmp_path, "72 ppi.jpg", 40_000)
    await upload(ars, child, [thumbnail])
    await request(ars, child)
    assert (await await_done(ars, child, [thumbnail])).done
    assert [row.name for row in await ars.files.listed(child)] == ["72 ppi.jpg"]


async def test_a_push_keeps_what_ars_knows_and_is_sent_once(
    ars: ArsClient, archive: Archive, guid: str
) -> None:
    await create(ars, guid, tags={"curator": "Åse"}, funding=["DaSSCo"])
    held = await push_metadata(ars, guid, {"tags": {"ocr": "Salix herbacea"}, "funding": []})
    assert held["tags"] == {"curator": "Åse", "ocr": "Salix herbacea"}
    assert held["funding"] == ["DaSSCo"]
    await push_metadata(ars, guid, {"tags": {"ocr": "Salix herbacea"}})
    assert len(archive.requests(guid, "PUT", "assetmetadata")) == 1


@pytest.mark.parametrize("fault", ["effect_then_status", "effect_then_reset", "status"])
async def test_a_push_whose_answer_is_lost_arrives_once(
    ars: ArsClient, archive: Archive, guid: str, fault: str
) -> None:
    await create(ars, guid)
    archive.fault(fault, guid=guid, method="PUT")
    held = await push_metadata(ars, guid, {"payload_type": "image"})
    assert held["payload_type"] == "image"
    again = archive.requests(guid, "PUT")
    assert len(again) == (2 if fault == "status" else 1)


async def test_pushes_serialised_by_the_caller_lose_nothing(ars: ArsClient, guid: str) -> None:
    await create(ars, guid)
    one_at_a_time = asyncio.Lock()

    async def push(n: int) -> None:
        async with one_at_a_time:
            await push_metadata(ars, guid, {"tags": {f"tag {n}": "æøå"}})

    await asyncio.gather(*(push(n) for n in range(8)))
    held = await ars.assets.get(guid)
    assert held is not None
    assert sorted(held["tags"]) == [f"tag {n}" for n in range(8)]


async def test_a_revoked_token_is_renewed_in_the_middle_of_the_road(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    archive.revoke_tokens()
    await upload(ars, guid, files)
    assert len(await ars.files.listed(guid)) == 2


async def test_an_address_where_nobody_answers_is_busy() -> None:
    nowhere = ArsAddress("http://127.0.0.1:9", "me", "s", "u", ("u",))
    async with ArsClient(nowhere) as ars:
        with pytest.raises(TierBusy):
            await ensure_created(ars, body_of("g"), 4)


async def test_the_parts_of_a_living_archive_all_report_health(ars: ArsClient) -> None:
    assert await ars.silent_parts() == []


async def test_the_older_contract_registers_specimens_by_pid(
    postgres: EmbeddedPostgres, tmp_path: Path, guid: str
) -> None:
    name = f"ars_{uuid.uuid4().hex[:12]}"
    postgres.ensure_database(name)
    specimen = {
        "institution": NHMD,
        "collection": PLANTS,
        "barcode": "Ø 7",
        "preparation_types": ["sheet"],
    }
    link = {"asset_preparation_type": "sheet", "specimen": specimen}
    with served_archive(postgres.url(name), tmp_path, profile="v2_6") as old:
        async with ArsClient(old.address) as ars:
            await ensure_specimens(ars, [specimen])
            await ensure_specimens(ars, [specimen])
            await create(ars, guid, asset_specimen=[link])
