"""Specimens with a stable identifier, in archives of both contracts."""

import uuid
from pathlib import Path

import pytest

from blocks.ars_client import ArsClient
from refinery.local.postgres import EmbeddedPostgres
from schemas.metadata.document import read_document
from tasks.archive.ars.tier import ArsTier
from tests.support.archive import served_archive
from tests.support.archive_road import NAMED, NHMD, PLANTS

URI = "https://herbarium.bgbm.org/object/B100277113"


@pytest.mark.parametrize(
    ("profile", "pid"), [("v2_11", URI), ("v2_6", f"{NHMD}.{PLANTS}.B100277113")]
)
async def test_an_identifier_with_slashes_is_kept_where_the_archive_can_be_asked_for_it(
    postgres: EmbeddedPostgres, tmp_path: Path, profile: str, pid: str
) -> None:
    database, guid = f"ars_{uuid.uuid4().hex[:12]}", str(uuid.uuid4())
    postgres.ensure_database(database)
    given = {"asset_guid": guid, **NAMED, "preparation_type": "sheet"}
    metadata = read_document({**given, "barcode": ["B100277113"], "specimen_pid": [URI]}).metadata
    with served_archive(postgres.url(database), tmp_path, profile=profile) as archive:
        async with ArsClient(archive.address) as ars:
            tier = ArsTier(ars)
            await tier.prepare(metadata)
            await tier.create(metadata, 4)
            held = await ars.assets.get(guid)
            assert held is not None
            assert [each["specimen_pid"] for each in held["asset_specimen"]] == [pid]
            assert "asset_specimen" not in await tier.differing(metadata)


async def test_a_specimen_that_the_archive_had_before_keeps_its_identifier_there(
    ars: ArsClient, guid: str
) -> None:
    barcode = uuid.uuid4().hex[:10]
    given = {"asset_guid": guid, **NAMED, "preparation_type": "sheet", "barcode": [barcode]}
    plain = read_document(given).metadata
    known = read_document({**given, "specimen_pid": [f"https://example.org/{barcode}"]}).metadata
    tier = ArsTier(ars)
    await tier.prepare(plain)
    await tier.prepare(known)
    await tier.create(known, 4)
    held = await ars.assets.get(guid)
    assert held is not None
    assert [each["specimen"]["barcode"] for each in held["asset_specimen"]] == [barcode]
    assert "asset_specimen" not in await tier.differing(known), "or it is pushed for ever"
