"""Asking for synchronisation and watching it, with each of the ways it goes wrong."""

import pytest

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile, Outcome, TierBusy, TierRefused
from tasks.archive.ars.metadata import lock
from tasks.archive.ars.share import ensure_share_closed
from tasks.archive.ars.synchronise import SynchronisePace
from tests.support.archive import Archive
from tests.support.archive_road import IMPATIENT, await_done, create, request, upload


@pytest.mark.parametrize("fault", ["effect_then_status", "effect_then_reset"])
async def test_a_synchronise_whose_answer_is_lost_is_not_repeated(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile], fault: str
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    archive.fault(fault, guid=guid, path_regex="synchronize")
    assert await request(ars, guid) is True
    assert (await await_done(ars, guid, files)).done
    assert len(archive.requests(guid, "POST", "synchronize")) == 1


async def test_synchronising_without_a_share_says_what_is_missing(
    ars: ArsClient, guid: str
) -> None:
    await create(ars, guid)
    await ensure_share_closed(ars, guid)
    with pytest.raises(TierRefused, match="upload its files first"):
        await request(ars, guid)


@pytest.mark.parametrize("fault", ["erda_unreachable", "complete_lost"])
async def test_an_asset_stuck_on_its_way_is_asked_for_again_and_is_no_success_before(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile], fault: str
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    where = {"guid": guid} if fault == "complete_lost" else {}
    archive.fault(fault, count=3, **where)  # as many as ARS tries: then it forgets the share
    await request(ars, guid)
    assert (await await_done(ars, guid, files, IMPATIENT)).done
    assert len(archive.requests(guid, "POST", "synchronize")) == 2


async def test_an_asset_stuck_for_good_fails_after_three_remedies(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    archive.fault("erda_unreachable", count=None)
    await request(ars, guid)
    pace = SynchronisePace(first=0.02, longest=0.05, stuck=0.1)
    verdict = await await_done(ars, guid, files, pace)
    assert verdict.outcome is Outcome.FAILED
    assert "after asking again 3 times" in verdict.reason
    assert len(archive.requests(guid, "POST", "synchronize")) == 4


async def test_a_failure_at_erda_is_told_at_once_and_asking_again_is_its_cure(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    archive.fault("erda_put_fails", guid=guid, count=3)
    await request(ars, guid)
    verdict = await await_done(ars, guid, files)
    assert (verdict.outcome, verdict.share_open) == (Outcome.FAILED, True)
    assert await request(ars, guid) is True
    assert (await await_done(ars, guid, files)).done
    assert len(archive.requests(guid, "POST", "synchronize")) == 2


async def test_a_locked_asset_fails_with_the_reason_of_ars(
    ars: ArsClient, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    assert (await lock(ars, guid))["asset_locked"] is True
    await request(ars, guid)
    verdict = await await_done(ars, guid, files, IMPATIENT)
    assert verdict.outcome is Outcome.FAILED
    assert "Asset is locked" in verdict.reason


async def test_a_share_left_open_after_success_is_closed(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    archive.fault("cleanup_fails", guid=guid, count=None)
    await request(ars, guid)
    verdict = await await_done(ars, guid, files, IMPATIENT)
    assert verdict.done, verdict


async def test_the_gap_between_success_and_the_end_of_the_share_is_waited_out(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    archive.fault("slow_gap", guid=guid, seconds=0.2)
    await request(ars, guid)
    assert (await await_done(ars, guid, files)).done
    assert archive.requests(guid, "DELETE") == []


async def test_an_archive_that_is_away_is_borne_for_a_while_and_then_reported(
    ars: ArsClient, archive: Archive, guid: str, files: list[LocalFile]
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    await request(ars, guid)
    archive.fault("status", status=503, guid=guid, method="GET", count=6)
    assert (await await_done(ars, guid, files)).done
    archive.fault("status", status=503, guid=guid, method="GET", count=None)
    with pytest.raises(TierBusy):
        await await_done(ars, guid, files, SynchronisePace(first=0.02, silent=0.2))
