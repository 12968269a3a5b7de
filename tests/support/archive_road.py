"""The steps of an asset's road through ARS, short enough to be words in a test."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile, Verdict
from tasks.archive.ars.create import ensure_created
from tasks.archive.ars.synchronise import (
    SynchronisePace,
    await_synchronised,
    ensure_synchronise_requested,
)
from tasks.archive.ars.upload import ensure_uploaded

NHMD, PLANTS = "NHMD", "Vascular plants"
STATION, PIPELINE = "WORKHERB0001", "PIPEHERB0001"
NAMED = {
    "institution": NHMD,
    "collection": PLANTS,
    "digitiser": "Karen Blixen",
    "pipeline_name": PIPELINE,
    "workstation_name": STATION,
    "status": "WORKING_COPY",
}
"""What ARS wants to know of an asset, as its document says it."""
QUICK = SynchronisePace(first=0.02, longest=0.1)
"""Looks often, and is as patient as the road: for what only has to be waited out."""
IMPATIENT = replace(QUICK, stuck=4.0, share_open=0.3)
"""Does something soon: for faults that only a remedy ends."""
CREATE = r"/assetmetadata$"


def body_of(guid: str, **fields: Any) -> dict[str, Any]:
    return {
        "asset_guid": guid,
        "status": "WORKING_COPY",
        "institution": NHMD,
        "collection": PLANTS,
        "pipeline": PIPELINE,
        "workstation": STATION,
        "digitiser": "Åse Sørensen",
        **fields,
    }


def image(folder: Path, name: str, size: int = 3_000_000) -> LocalFile:
    content = name.encode() * (size // len(name.encode()))
    path = folder / name
    path.write_bytes(content)
    return LocalFile(
        path=path, name=name, crc32=zlib.crc32(content), size_bytes=len(content), mime="image/tiff"
    )


async def create(ars: ArsClient, guid: str, mb: int = 4, **fields: Any) -> None:
    await ensure_created(ars, body_of(guid, **fields), mb)


async def upload(ars: ArsClient, guid: str, files: list[LocalFile]) -> tuple[str, ...]:
    return await ensure_uploaded(ars, guid, NHMD, PLANTS, files)


async def request(ars: ArsClient, guid: str) -> bool:
    return await ensure_synchronise_requested(ars, guid, STATION, PIPELINE)


async def await_done(
    ars: ArsClient, guid: str, files: list[LocalFile], pace: SynchronisePace = QUICK
) -> Verdict:
    return await await_synchronised(ars, guid, files, STATION, PIPELINE, pace=pace)


async def archive_all(
    ars: ArsClient, guid: str, files: list[LocalFile], pace: SynchronisePace = QUICK
) -> None:
    await create(ars, guid)
    await upload(ars, guid, files)
    await request(ars, guid)
    verdict = await await_done(ars, guid, files, pace)
    assert verdict.done, verdict
