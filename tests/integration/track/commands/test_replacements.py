"""A specimen photographed anew: both images name each other, nothing is done twice or halfway."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.at_site import describe, until_blocked
from tests.support.world import World, new
from track.commands.operations import ResultRow
from track.commands.replacements import replace
from track.commands.selection import CannotDo
from track.records.documents import read_document
from track.schema.database import transact

PIPELINE = {"pipeline": "P", "stages": [{"key": "create", "run": "refinery.create"}]}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Four images of one specimen, a derivative of the first, and one that was not taken in."""
    made = await World.make(engine, PIPELINE)
    await made.register(*(new(guid) for guid in ("a", "b", "c", "d", "bare")))
    await made.register(new("a_72", parent_guid="a"))
    await describe(made, "a", "b", "c", "d", "a_72")
    return made


async def say(world: World, old: str, new_: str | None) -> list[ResultRow]:
    return await transact(world.engine, replace, old, new_, actor="operator:ib", why="blurred")


async def tags(world: World, guid: str) -> dict[str, str]:
    async with world.engine.connect() as tx:
        known = (await read_document(tx, guid)).tags
    return {name: text for name, text in known.items() if name.startswith("replace")}


async def test_both_name_each_other_and_so_does_what_was_made_of_them(world: World) -> None:
    rows = await say(world, "a", "b")
    assert [(r.guid, r.now, r.note) for r in rows] == [
        ("a", "b", "replaced_by"), ("b", "a", "replaces"),
    ]  # fmt: skip
    assert await tags(world, "a") == await tags(world, "a_72") == {"replaced_by": "b"}
    assert await tags(world, "b") == {"replaces": "a"}
    told = "SELECT asset_guid, new, why FROM track.history WHERE what LIKE 'asset.replace%'"
    assert await world.sql(told) == [("a", "b", "blurred"), ("b", "a", "blurred")]
    (again,) = await say(world, "a", "b")
    assert not again.changed
    revisions = "SELECT asset_guid, revision FROM metadata.document WHERE revision > 1 ORDER BY 1"
    assert await world.sql(revisions) == [("a", 2), ("a_72", 2), ("b", 2)]


async def test_one_may_stand_for_several_and_each_link_is_taken_back_alone(world: World) -> None:
    await say(world, "a", "c")
    await say(world, "b", "c")
    assert await tags(world, "c") == {"replaces": "a | b"}
    await say(world, "a", None)
    assert await tags(world, "a") == {} and await tags(world, "c") == {"replaces": "b"}
    await say(world, "b", None)
    assert await tags(world, "c") == {}
    (nothing,) = await say(world, "b", None)
    assert not nothing.changed


async def test_a_replaced_image_may_be_replaced_further_but_in_no_circle(world: World) -> None:
    await say(world, "a", "b")
    await say(world, "b", "c")
    with pytest.raises(CannotDo, match="new: a is replaced by b is replaced by c; an image cannot"):
        await say(world, "c", "a")
    with pytest.raises(CannotDo, match="old: a is replaced by b already"):
        await say(world, "a", "d")


@pytest.mark.parametrize(
    ("old", "other", "says"),
    [
        ("x", "b", "old: no asset 'x'"),
        ("a", "x", "new: no asset 'x'"),
        ("a", "a", "new: an asset does not replace itself"),
        ("a_72", "b", "old: a_72 is a derivative; name the image it was made of"),
        ("b", "a_72", "new: a_72 is a derivative"),
        ("a", "bare", "guid: bare has no metadata yet"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    world: World, old: str, other: str, says: str
) -> None:
    with pytest.raises(CannotDo, match=f"^{says}"):
        await say(world, old, other)
    assert await world.sql("SELECT max(revision) FROM metadata.document") == [(1,)]


async def test_links_made_at_once_that_share_no_image_make_no_circle(world: World) -> None:
    await say(world, "a", "b")
    await say(world, "c", "d")
    may_end = asyncio.Event()

    async def first(tx: AsyncConnection) -> None:
        await replace(tx, "b", "c", actor="t", why="")
        began.set()
        await may_end.wait()

    began = asyncio.Event()
    one = asyncio.create_task(transact(world.engine, first))
    await asyncio.wait_for(began.wait(), 60)
    other = asyncio.create_task(say(world, "d", "a"))
    await until_blocked(world.engine, other)
    may_end.set()
    await one
    with pytest.raises(CannotDo, match="a is replaced by b is replaced by c is replaced by d"):
        await other


async def test_asked_at_once_by_many_there_is_one_link_and_no_circle(world: World) -> None:
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c"), ("b", "a")]
    said = await asyncio.gather(*(say(world, *pair) for pair in pairs), return_exceptions=True)
    assert {type(each) for each in said} == {list, CannotDo}
    at, seen = "a", ["a"]
    while (after := (await tags(world, at)).get("replaced_by")) is not None:
        assert after not in seen, seen
        at, seen = after, [*seen, after]
    linked = [guid for guid in "abcd" if "replaced_by" in await tags(world, guid)]
    assert len(linked) == 3
