"""Derivatives show what their sheet shows: they have its codes whenever these become known."""

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.attempts import Barcode
from tests.support.at_site import describe, until_blocked
from tests.support.world import World, new
from track.commands.results import apply_barcode, register_child
from track.records.documents import read_document
from track.records.mos import may_lack_metadata, unpushed_relatives
from track.schema.database import transact

PIPELINES: list[dict[str, Any]] = [
    {"pipeline": "CHILD", "stages": [{"key": "create", "run": "refinery.create"}]},
    {"pipeline": "P", "stages": [{"key": "create", "run": "refinery.create"}]},
]
LABEL = Barcode(asset_subject="label", label=True, disposable="d", barcodes=())
SPECIMEN = Barcode(asset_subject="specimen", disposable="d", barcodes=("B1",))


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """A label sheet and a specimen sheet of one batch."""
    made = await World.make(engine, *PIPELINES)
    await made.register(new("label", batch_name="b"), new("specimen", batch_name="b"))
    await describe(made, "label", "specimen")
    return made


async def read(world: World, guid: str, barcode: Barcode) -> None:
    await transact(world.engine, apply_barcode, guid, barcode, actor="test")


async def derive(tx: AsyncConnection, guid: str) -> None:
    fields = {"file_format": "jpeg", "payload_type": "thumbnail"}
    of: Any = SimpleNamespace(emits="CHILD", attempt=SimpleNamespace(guid=guid, actor="test"))
    await register_child(tx, of, f"{guid}_72", ppi=72, fields=fields, size_mb=1)


async def codes(world: World, guid: str) -> tuple[str, ...]:
    async with world.engine.connect() as tx:
        return (await read_document(tx, guid)).barcode


async def test_a_labels_derivative_gets_the_code_of_a_specimen_that_is_read_later(
    world: World,
) -> None:
    await read(world, "label", LABEL)
    await transact(world.engine, derive, "label")
    await read(world, "specimen", SPECIMEN)
    assert await codes(world, "label") == await codes(world, "label_72") == ("B1",)


async def test_a_corrected_code_reaches_the_derivatives_and_says_nothing_else_of_them(
    world: World,
) -> None:
    await read(world, "specimen", SPECIMEN)
    await transact(world.engine, derive, "specimen")
    right = SPECIMEN.model_copy(update={"barcodes": ("B2",), "asset_subject": "label"})
    await read(world, "specimen", right)
    assert await codes(world, "specimen_72") == ("B2",)
    async with world.engine.connect() as tx:
        child = await read_document(tx, "specimen_72")
    assert (child.asset_subject, child.file_format) == ("label", "jpeg")
    assert await world.sql("SELECT subject FROM track.asset WHERE guid = 'specimen_72'") == [
        ("label",)
    ]


async def test_a_derivative_made_while_its_label_gets_a_code_has_it(world: World) -> None:
    await read(world, "label", LABEL)
    async with world.engine.begin() as tx:
        await apply_barcode(tx, "specimen", SPECIMEN, actor="test")
        making = asyncio.create_task(transact(world.engine, partial(derive, guid="label")))
        await until_blocked(world.engine, making)
    await making
    assert await codes(world, "label_72") == ("B1",)


async def test_what_the_archive_knows_of_and_lacks_is_to_be_pushed(world: World) -> None:
    await read(world, "label", LABEL)
    await transact(world.engine, derive, "label")
    await world.finish_all()
    await world.sql("UPDATE metadata.document SET ars_revision = revision")

    async def to_push() -> list[str]:
        return await transact(world.engine, unpushed_relatives, "specimen")

    assert await to_push() == []
    await read(world, "specimen", SPECIMEN)
    assert await to_push() == ["label", "label_72"]
    await world.sql("UPDATE track.job SET state = 'claimed' WHERE asset_guid = 'label_72'")
    assert await to_push() == ["label"], "its creation is under way and brings it"


OURS = ("specimen", "label_72")


@pytest.mark.parametrize(
    ("changed", "concerned"),
    [
        ("specimen", {"specimen"}),
        ("specimen_72", {"specimen"}),
        ("label", {"specimen"}),
        ("label_72", {"specimen", "label_72"}),
        ("other", set()),
    ],
)
async def test_it_is_known_after_which_jobs_the_archive_may_lack_metadata(
    world: World, changed: str, concerned: set[str]
) -> None:
    for guid, codes_ in {"label": LABEL, "specimen": SPECIMEN}.items():
        await read(world, guid, codes_)
        await transact(world.engine, derive, guid)
    await world.register(new("other"))
    await describe(world, "other")
    await world.sql("UPDATE metadata.document SET ars_revision = revision")
    rows = await world.rows("SELECT asset_guid, min(id) AS id FROM track.job GROUP BY 1")
    ids = {row["id"]: row["asset_guid"] for row in rows if row["asset_guid"] in OURS}
    assert await transact(world.engine, may_lack_metadata, ids) == set()
    await world.sql(
        "UPDATE metadata.document SET ars_revision = 0 WHERE asset_guid = :guid", guid=changed
    )
    found = {ids[job_id] for job_id in await transact(world.engine, may_lack_metadata, ids)}
    assert found == concerned
