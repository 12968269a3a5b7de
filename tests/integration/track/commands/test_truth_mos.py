"""Objects of several sheets: links come out the same in every order and however often."""

import asyncio
from functools import partial
from itertools import permutations

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.attempts import Barcode, Result
from tests.support.at_site import describe
from tests.support.callbacks import until
from tests.support.world import World, links, new
from track.commands.results import apply_barcode, apply_result
from track.jobs.attempts import Attempt, LockedAttempt
from track.schema.database import transact
from track.schema.states import State
from track.schema.tables import document

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
    await transact(world.engine, apply_barcode, guid, SHEETS[guid], actor="test")


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


async def test_two_sheets_of_one_object_read_at_once_cannot_deadlock(engine: AsyncEngine) -> None:
    """Each of two transactions, without a retry, writes the other's document as well."""
    world = await sheets(engine)
    labels = {
        guid: Barcode(asset_subject="label", label=True, disposable="d1", barcodes=(guid,))
        for guid in ("label", "s1")
    }
    for guid, barcode in labels.items():
        await transact(engine, partial(apply_barcode, guid=guid, barcode=barcode, actor="test"))

    async def again(guid: str) -> None:
        barcode = labels[guid].model_copy(update={"barcodes": (guid, "new")})
        result = Result(metadata={"tags": {"seen": guid}}, barcode=barcode)
        found = Attempt(1, 1, 1, "s1", 1, guid, 1, "a", None, None, True, False)
        of = LockedAttempt(found, State.RUNNING, ["tags"], None, "", "P", "", False)
        async with engine.begin() as tx:
            await apply_result(tx, of, result)

    async with engine.begin() as holder:
        await holder.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('b_d1', 0))"))
        both = [asyncio.create_task(again(guid)) for guid in labels]
        await until(partial(waiting, engine, 2))
    await asyncio.gather(*both)
    assert (await barcodes(world))["label"] == ["label", "new"]


async def waiting(engine: AsyncEngine, how_many: int) -> bool:
    """Whether as many transactions wait for an advisory lock."""
    async with engine.connect() as tx:
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return (await tx.execute(text(locks))).scalar_one() == how_many
