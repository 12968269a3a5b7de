"""Killed after every single call took effect (which is before the next one leaves): the
next run finishes the road, and ARS has done everything once.
"""

import asyncio
import uuid
from pathlib import Path

import httpx

from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import LocalFile
from tasks.archive.ars.create import ensure_created
from tasks.archive.ars.metadata import push_metadata
from tasks.archive.ars.share import ensure_share_closed, ensure_share_open
from tasks.archive.ars.synchronise import (
    SynchronisePace,
    await_synchronised,
    ensure_synchronise_requested,
)
from tasks.archive.ars.upload import ensure_uploaded
from tests.support.archive import Archive
from tests.support.archive_road import NHMD, PIPELINE, PLANTS, STATION, body_of, image

CALLS = 30
"""More calls than the road makes, polls left out."""


class Killed(BaseException):
    """The process died here; nothing may catch it."""


class KillingTransport(httpx.AsyncBaseTransport):
    """Real HTTP until call number `at`, whose answer never reaches us."""

    def __init__(self, at: int) -> None:
        self.wire = httpx.AsyncHTTPTransport()
        self.left = at

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.left -= 1
        response = await self.wire.handle_async_request(request)
        if self.left == 0:
            await response.aread()
            raise Killed
        return response

    async def aclose(self) -> None:
        await self.wire.aclose()


async def road(ars: ArsClient, guid: str, files: list[LocalFile]) -> None:
    place = (guid, NHMD, PLANTS)
    await ensure_created(ars, body_of(guid), 2)
    await ensure_uploaded(ars, *place, files)
    await ensure_synchronise_requested(ars, guid, STATION, PIPELINE)
    pace = SynchronisePace(first=0.05, longest=0.2, share_open=0.3)
    verdict = await await_synchronised(ars, guid, files, STATION, PIPELINE, pace=pace)
    assert verdict.done, verdict
    await ensure_share_open(ars, *place, 2)
    await push_metadata(ars, guid, {"tags": {"ocr": "Salix"}})
    await ensure_share_closed(ars, guid)


async def killed_then_finished(address: ArsAddress, files: list[LocalFile], at: int) -> str:
    guid = str(uuid.uuid4())
    try:
        async with ArsClient(address, transport=KillingTransport(at)) as ars:
            await road(ars, guid, files)
    except Killed:
        async with ArsClient(address) as ars:
            await road(ars, guid, files)
    return guid


def done(archive: Archive, guid: str, method: str, path: str) -> int:
    """How often ARS did this and said so, whether or not we heard it."""
    return len([r for r in archive.requests(guid, method, path) if r["effect_status"] < 300])


async def test_killed_at_any_call_the_next_run_finishes_and_nothing_is_done_twice(
    archive: Archive, tmp_path: Path
) -> None:
    file = image(tmp_path, "Ærø 1.tif", 50_000)
    a_few = asyncio.Semaphore(6)

    async def one(at: int) -> str:
        async with a_few:
            return await killed_then_finished(archive.address, [file], at)

    guids = await asyncio.gather(*(one(at) for at in range(1, CALLS)))
    for guid in guids:
        assert done(archive, guid, "POST", "/assetmetadata$") == 1
        assert done(archive, guid, "PUT", "/assetfiles/") == 1
        assert done(archive, guid, "POST", "/synchronize$") == 1
        assert done(archive, guid, "PUT", "/assetmetadata/") == 1
