"""Objects of several sheets: links come out the same in every order and however often."""

import asyncio
from itertools import permutations

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.callbacks import Barcode
from tests.support.at_site import describe
from tests.support.world import World, new
from track.database import transact
from track.mos import links
from track.results import apply_barcode
from track.tables import document

ONE = {"pipeline": "P", "stages": [{"key": "a", "run": "module load"}]}
SHEETS = {
    "label": Barcode(asset_subject="label", label=True, disposable="d1", barcodes=("L",)),
    "s1": Barcode(asset_subject="specimen", disposable="d1", barcodes=("B1", "B9")),
    "s2": Barcode(asset_subject="specimen", disposable="d1", barcodes=("B2",)),
}


async def sheets(engine: AsyncEngine) -> World:
    world = await World.make(engine, ONE)
    await world.register(*(new(guid, batch_name="b") for guid in SHEETS))
    await describe(world, *SHEETS)
    return world


async def read(world: World, guid: str) -> None:
    await transact(world.engine, lambda tx: apply_barcode(tx, guid, SHEETS[guid], actor="test"))


async def barcodes(world: World) -> dict[str, list[str]]:
    async with world.engine.connect() as tx:
        rows = await tx.execute(select(document.c.asset_guid, document.c.body["barcode"]))
        return {guid: codes for guid, codes in rows.all()}


EXPECTED = {"label": ["L", "B1", "B2"], "s1": ["B1", "B9"], "s2": ["B2"]}


@pytest.mark.parametrize("order", list(permutations(SHEETS)), ids=" ".join)
async def test_every_order_gives_the_same_links(engine: AsyncEngine, order: list[str]) -> None:
    world = await sheets(engine)
    for guid in order:
        await read(world, guid)
    assert await barcodes(world) == EXPECTED
    async with engine.connect() as tx:
        assert await links(tx, "label") == ["s1", "s2"]
        assert await links(tx, "s1") == ["label", "s2"]


async def test_repetition_changes_nothing_and_makes_no_revision(engine: AsyncEngine) -> None:
    world = await sheets(engine)
    for guid in SHEETS:
        await read(world, guid)
    before = await world.sql("SELECT asset_guid, revision FROM metadata.document ORDER BY 1")
    for guid in (*SHEETS, *reversed(SHEETS)):
        await read(world, guid)
    assert (
        await world.sql("SELECT asset_guid, revision FROM metadata.document ORDER BY 1") == before
    )


async def test_all_sides_at_once_give_the_same_links(engine: AsyncEngine) -> None:
    world = await sheets(engine)
    await asyncio.gather(*(read(world, guid) for guid in (*SHEETS, *SHEETS)))
    assert await barcodes(world) == EXPECTED
