"""A person's correction of metadata: its revision, derivatives, object's links, and refusals."""

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.attempts import Barcode
from schemas.metadata.corrections import CORRECTABLE, FIXED
from schemas.metadata.document import Metadata
from schemas.metadata.names import FIELDS
from tests.support.at_site import describe, until_blocked
from tests.support.world import World, new
from track.commands.corrections import correct_field
from track.commands.operations import ResultRow
from track.commands.results import apply_barcode
from track.commands.selection import CannotDo
from track.records.documents import change_document, mark_pushed, read_document, unpushed
from track.schema.database import transact

QR = "http://coll.mfn-berlin.de/u/115ff7"
MFN = r"^http://coll\.mfn-berlin\.de/u/([0-9a-f]+)$"
READ = {"key": "barcode", "run": "module barcode", "params": {"patterns": {"uri": MFN}}}
PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [{"key": "create", "run": "refinery.create"}, {**READ, "needs": "create"}],
}
LABEL = Barcode(asset_subject="label", label=True, disposable="d", barcodes=("L1",))
SPECIMEN = Barcode(asset_subject="specimen", disposable="d", barcodes=("B1",))


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """A sheet with a derivative and that one's thumbnail, and a label of the same object."""
    made = await World.make(engine, PIPELINE)
    await made.register(new("g", batch_name="b"), new("label", batch_name="b"))
    await made.register(new("g_400", parent_guid="g"))
    await made.register(new("g_72", parent_guid="g_400"))
    await describe(made, "g", "label", "g_400", "g_72", digitiser="Søren")
    return made


async def correct(world: World, field: str, value: Any, guid: str = "g") -> list[ResultRow]:
    by: dict[str, Any] = {"actor": "operator:ib", "why": "misspelt"}
    return await transact(world.engine, correct_field, guid, field, value, **by)


async def known(world: World, guid: str = "g") -> Metadata:
    async with world.engine.connect() as tx:
        return await read_document(tx, guid)


async def revisions(world: World) -> list[tuple[object, ...]]:
    return await world.sql("SELECT asset_guid, revision FROM metadata.document ORDER BY 1")


async def test_a_field_is_corrected_in_a_revision_and_in_what_was_made_of_the_asset(
    world: World,
) -> None:
    rows = await correct(world, "digitiser", " Sören Ørsted ")
    assert [(r.guid, r.was, r.now) for r in rows] == [
        (guid, "Søren", "Sören Ørsted") for guid in ("g", "g_400", "g_72")
    ]
    said = await world.sql(
        "SELECT actor, changes -> 0 ->> 'field' FROM metadata.revision WHERE revision = 2"
    )
    assert said == [("operator:ib", "digitiser")] * 3
    told = "SELECT asset_guid, old, new, why FROM track.history WHERE what = 'metadata.corrected'"
    assert await world.sql(told) == [("g", "Søren", "Sören Ørsted", "digitiser: misspelt")]
    again = await correct(world, "digitiser", "Sören Ørsted")
    assert [each.changed for each in again] == [False]
    assert {number for guid, number in await revisions(world) if guid != "label"} == {2}


async def test_a_derivatives_own_value_stays_and_so_does_what_was_made_of_it(world: World) -> None:
    await transact(
        world.engine, change_document, "g_400", {"status": "ARCHIVE"}, writes=["status"], actor="t"
    )
    rows = await correct(world, "status", "ISSUE_WITH_MEDIA")
    assert [(r.guid, r.changed, r.note) for r in rows] == [
        ("g", True, ""),
        ("g_400", False, "its own value stays"),
    ]
    assert (await known(world, "g_72")).status is None


async def test_what_a_file_is_for_is_not_its_derivatives(world: World) -> None:
    assert [r.guid for r in await correct(world, "payload_type", "image")] == ["g"]
    assert (await known(world, "g_400")).payload_type is None


async def test_tags_change_one_by_one(world: World) -> None:
    await correct(world, "tags", {"note": "torn", "metadataTemplate": None})
    assert (await known(world)).tags == (await known(world, "g_72")).tags == {"note": "torn"}
    with pytest.raises(CannotDo, match="value: the tag replaced_by is not a person's"):
        await correct(world, "tags", {"replaced_by": "h"})
    with pytest.raises(CannotDo, match="value: write the tags to change as"):
        await correct(world, "tags", None)


async def test_v2s_names_are_read_and_an_empty_value_clears(world: World) -> None:
    assert (await correct(world, "multispecimen", "yes"))[0].now == "true"
    assert (await correct(world, "funding", ["A", "B"]))[0].now == '["A", "B"]'
    assert (await correct(world, "funding", None))[0].now == ""
    assert (await known(world)).funding == ()


async def test_a_corrected_code_is_on_its_label_and_on_every_derivative(world: World) -> None:
    await transact(world.engine, apply_barcode, "label", LABEL, actor="t")
    await transact(world.engine, apply_barcode, "g", SPECIMEN, actor="t")
    assert (await known(world, "label")).barcode == ("L1", "B1")
    await correct(world, "barcode", ["B2"])
    assert (await known(world, "label")).barcode == ("L1", "B2")
    assert (await known(world, "g_72")).barcode == ("B2",)
    members = "SELECT asset_guid, own_barcodes, spid FROM mos.member ORDER BY 1"
    assert await world.sql(members) == [
        ("g", ["B2"], "NHMD_Vascular plants_B2"),
        ("label", ["L1"], "NHMD_Vascular plants_L1"),
    ]


async def test_a_labels_own_code_is_corrected_and_its_specimens_stay(world: World) -> None:
    await transact(world.engine, apply_barcode, "label", LABEL, actor="t")
    await transact(world.engine, apply_barcode, "g", SPECIMEN, actor="t")
    (row,) = await correct(world, "barcode", ["L2"], guid="label")
    assert row.changed and "its specimens' codes stay on a label: B1" in row.note
    assert (await known(world, "label")).barcode == ("L2", "B1")
    (same,) = await correct(world, "barcode", ["L2", "B1"], guid="label")
    assert not same.changed
    await correct(world, "barcode", ["L3", "B1"], guid="label")
    own = "SELECT own_barcodes FROM mos.member WHERE label"
    assert await world.sql(own) == [(["L3"],)], "its specimens' codes are none of its own"


async def test_what_was_taken_for_a_label_and_is_a_specimen_feeds_labels_instead(
    world: World,
) -> None:
    await transact(world.engine, apply_barcode, "label", LABEL, actor="t")
    await transact(world.engine, apply_barcode, "g", SPECIMEN, actor="t")
    await correct(world, "asset_subject", "specimen", guid="label")
    assert (await known(world, "label")).barcode == ("L1",)
    await correct(world, "asset_subject", "label", guid="g")
    assert (await known(world, "g")).barcode == ("B1", "L1")
    subjects = "SELECT guid, subject FROM track.asset WHERE guid <> 'g_72' ORDER BY guid"
    assert await world.sql(subjects) == [
        ("g", "label"), ("g_400", "label"), ("label", "specimen"),
    ]  # fmt: skip


async def test_a_uri_becomes_identifier_and_barcode_and_several_codes_several_specimens(
    world: World,
) -> None:
    await correct(world, "barcode", [QR, "A-1"])
    document = await known(world)
    assert document.barcode == ("115ff7", "A-1") and document.multi_specimen
    assert document.specimen_pid == (QR, "NHMD.Vascular plants.A-1")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("digitizer", "S", "field: there is no field 'digitizer'; Did you mean 'digitiser'"),
        ("date_asset_taken", "Friday", "value: 'Friday' is not a time"),
        ("multi_specimen", "perhaps", "value: expected true or false"),
        ("barcode", ["K/1234"], "value: 'K/1234' has a slash"),
        ("barcode", ["https://a.b/c"], "value: 'https://a.b/c' is a URI that no pattern"),
        ("specimen_pid", ["x"], "value: 1 identifiers for 0 barcodes"),
        ("digitiser", None, "value: the archive takes no asset without digitiser"),
        ("digitiser", "a\0b", "value: "),
        ("legality", 5, "value: expected a mapping"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_remedy_and_nothing_is_written(
    world: World, field: str, value: Any, says: str
) -> None:
    with pytest.raises(CannotDo, match=f"^{says}"):
        await correct(world, field, value)
    assert {number for _, number in await revisions(world)} == {1}


async def test_every_field_is_a_persons_to_correct_or_says_why_it_is_not(world: World) -> None:
    assert {*CORRECTABLE, *FIXED} == FIELDS
    for name, why in FIXED.items():
        with pytest.raises(CannotDo) as refused:
            await correct(world, name, "x")
        assert str(refused.value) == f"field: {name} is not a person's to change; {why}"


async def test_an_unknown_asset_one_without_metadata_and_a_derivatives_codes_are_refused(
    world: World,
) -> None:
    await world.register(new("bare"))
    with pytest.raises(CannotDo, match="guid: no asset 'x'"):
        await correct(world, "digitiser", "S", guid="x")
    with pytest.raises(CannotDo, match="guid: bare has no metadata yet"):
        await correct(world, "digitiser", "S", guid="bare")
    with pytest.raises(CannotDo, match="guid: g_400 shows what its sheet shows; correct g"):
        await correct(world, "barcode", ["B"], guid="g_400")


async def test_a_correction_is_pushed_also_when_the_road_is_over(world: World) -> None:
    for guid in ("g", "g_400", "g_72"):
        await transact(world.engine, mark_pushed, guid, 1)
    await world.sql("UPDATE track.job SET state = 'done'")
    await correct(world, "digitiser", "S")
    for guid in ("g", "g_400", "g_72"):
        pending = await transact(world.engine, unpushed, guid)
        assert pending is not None and pending.metadata.digitiser == "S"
        assert pending.last_pushed is not None and pending.last_pushed.digitiser == "Søren"


async def test_of_two_at_once_the_second_is_told_what_the_first_wrote(world: World) -> None:
    engine, by = world.engine, {"actor": "t", "why": ""}
    first_may_end = asyncio.Event()

    async def first(tx: AsyncConnection) -> None:
        await correct_field(tx, "g", "digitiser", "A", **by)
        await first_may_end.wait()

    one = asyncio.create_task(transact(engine, first))
    await until_in(world)
    other = asyncio.create_task(
        transact(engine, partial(correct_field, **by), "g", "digitiser", "A")
    )
    await until_blocked(engine, other)
    first_may_end.set()
    await one
    (row,) = await other
    assert not row.changed and row.was == "A"
    assert (await revisions(world))[0] == ("g", 2)


async def until_in(world: World) -> None:
    """Return when a transaction that has written is idle, waiting for its own test."""
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    async with asyncio.timeout(60):
        while await world.sql(f"{idle} AND datname = current_database()") != [(1,)]:
            await asyncio.sleep(0.01)


async def test_two_sheets_of_one_object_corrected_at_once_end_as_if_one_came_first(
    world: World,
) -> None:
    await transact(world.engine, apply_barcode, "label", LABEL, actor="t")
    await transact(world.engine, apply_barcode, "g", SPECIMEN, actor="t")
    await asyncio.gather(
        *(correct(world, "barcode", [f"B{n}"]) for n in range(2, 6)),
        *(correct(world, "barcode", [f"L{n}"], guid="label") for n in range(2, 6)),
    )
    (own,) = (await known(world)).barcode
    assert (await known(world, "label")).barcode[1:] == (own,)
    assert (await known(world, "g_72")).barcode == (own,)
