"""What becomes of codes: of URIs, of codes that name no specimen, and where none was read."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.attempts import Barcode
from schemas.metadata.document import Metadata
from tests.support.at_site import complete, describe, queue, start
from tests.support.world import World, edit, new
from track.commands.results import apply_barcode
from track.commands.specimen_codes import NOTHING_READ, name_documented
from track.commands.switches import set_attention
from track.records.documents import change_document, read_document
from track.schema.database import transact
from track.schema.states import State

QR = "http://coll.mfn-berlin.de/u/115ff7"
MFN = r"^http://coll\.mfn-berlin\.de/u/([0-9a-f]+)$"
WRITES = ["asset_subject", "barcode", "multi_specimen"]


def pipeline(**params: Any) -> dict[str, Any]:
    """A road of one look and what follows it."""
    return {
        "pipeline": "P",
        "stages": [
            {"key": "barcode", "run": "module barcode", "writes": WRITES, "params": params},
            {"key": "ocr", "run": "module ocr", "needs": "barcode"},
        ],
    }


def sheet(*texts: str, **more: Any) -> dict[str, Any]:
    """What the module brings of a sheet with these codes."""
    return {
        "barcodes": list(texts),
        "asset_subject": "specimen",
        "multi_specimen": len(texts) > 1,
    } | more


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, pipeline(patterns={"uri": MFN}))
    await made.register(new("g"))
    await describe(made, "g")
    return made


async def read(world: World, barcode: dict[str, Any], metadata: Any = None) -> None:
    """The cluster reads the sheet, and its stage is finished."""
    (found,) = await world.claim()
    attempt = await queue(world, found)
    await start(world, attempt)
    told = {"barcode": barcode, "metadata": metadata or {}}
    assert (await complete(world, attempt, result=told)).applied == "applied"
    await world.sql(
        "UPDATE track.job SET dispatcher_id = :d WHERE id = :j",
        d=world.dispatcher_id,
        j=found.job_id,
    )
    await world.finish(found)


async def known(world: World, guid: str = "g") -> Metadata:
    async with world.engine.connect() as tx:
        return await read_document(tx, guid)


async def attention(world: World) -> str | None:
    ((note,),) = await world.sql("SELECT attention FROM track.asset WHERE guid = 'g'")
    return note  # type: ignore[return-value]


async def warning(world: World) -> str | None:
    ((said,),) = await world.sql("SELECT warning FROM track.job ORDER BY id LIMIT 1")
    return said  # type: ignore[return-value]


async def test_a_uri_becomes_identifier_and_barcode(world: World) -> None:
    seen = {"barcode": [QR], "multi_specimen": False, "asset_subject": "specimen"}
    await read(world, sheet(QR), seen)
    document = await known(world)
    assert (document.barcode, document.specimen_pid) == (("115ff7",), (QR,))
    assert await attention(world) is None
    assert await warning(world) is None
    ((revision,),) = await world.sql("SELECT revision FROM metadata.document")
    assert revision == 2, "what was read is written once, as what it names"


async def test_a_uri_and_a_number_of_one_specimen_are_one(world: World) -> None:
    await read(world, sheet("115ff7", QR))
    document = await known(world)
    assert (document.barcode, document.specimen_pid) == (("115ff7",), (QR,))
    assert document.multi_specimen is False
    assert await world.sql("SELECT own_barcodes FROM mos.member") == [(["115ff7"],)]


async def test_each_of_two_specimens_has_an_identifier(world: World) -> None:
    await read(world, sheet("A-1", QR))
    document = await known(world)
    assert document.barcode == ("A-1", "115ff7")
    assert document.specimen_pid == ("NHMD.Vascular plants.A-1", QR)
    assert document.multi_specimen is True


@pytest.mark.parametrize("code", ["https://herbarium.bgbm.org/object/B1", "K/1234", "9" * 300])
async def test_a_code_that_names_no_specimen_holds_it_and_fails_nothing(
    world: World, code: str
) -> None:
    await read(world, sheet("A-1", code))
    assert (await known(world)).barcode == ("A-1",)
    assert code[:100] in str(await attention(world))
    assert code[:100] in str(await warning(world))
    assert await world.states("g") == {"barcode": State.DONE, "ocr": State.READY}
    assert await world.claim() == [], "a person looks at it first"
    await transact(world.engine, set_attention, "g", None, actor="operator:ib")
    assert [found.stage for found in await world.claim()] == ["ocr"]


async def test_a_uri_that_the_module_left_out_counts_once_a_pattern_knows_it(world: World) -> None:
    other = {"text": QR, "kind": "other"}
    await edit(world.engine, pipeline())
    await read(world, sheet(codes=[other]))
    assert (await known(world)).barcode == ()
    assert QR in str(await attention(world))
    await edit(world.engine, pipeline(patterns={"uri": MFN}))
    barcode = Barcode.model_validate(sheet(codes=[other]))
    await transact(world.engine, apply_barcode, "g", barcode, actor="test")
    assert (await known(world)).specimen_pid == (QR,)


async def test_a_code_of_no_concern_holds_nothing(world: World) -> None:
    chart = {"text": "https://charts.example/24", "kind": "ignored"}
    await read(world, sheet("A-1", codes=[chart]))
    assert await attention(world) is None


@pytest.mark.parametrize("code", ["NHMD\n1", "\x1d0112\x1d21X", "NHMD-1\r\n", "標本-1"])
async def test_line_breaks_and_separators_in_a_code_are_kept(world: World, code: str) -> None:
    await read(world, sheet(code))
    assert (await known(world)).barcode == (code,)


async def test_a_sheet_without_the_expected_code_asks_a_person(world: World) -> None:
    await read(world, sheet())
    assert await attention(world) == NOTHING_READ
    assert await world.states("g") == {"barcode": State.DONE, "ocr": State.READY}
    assert await world.claim() == []


@pytest.mark.parametrize(
    "without",
    [
        {"asset_subject": "device target"},
        {"asset_subject": "label", "label": True},
        {"disposable": "D1"},
    ],
)
async def test_what_needs_no_code_of_its_own_goes_on(world: World, without: dict[str, Any]) -> None:
    await read(world, sheet(**without))
    assert await attention(world) is None


async def test_a_stage_may_say_that_no_code_is_expected(world: World) -> None:
    await edit(world.engine, pipeline(expected=False))
    await read(world, sheet())
    assert await attention(world) is None


async def test_what_the_workstation_wrote_outlives_a_look_that_read_nothing(world: World) -> None:
    typed = {"barcode": ["A-1"], "multi_specimen": True}
    await transact(world.engine, change_document, "g", typed, writes=WRITES, actor="test")
    await read(world, sheet())
    document = await known(world)
    assert (document.barcode, document.multi_specimen) == (("A-1",), True)
    assert await attention(world) is None


async def test_an_identifier_goes_with_the_barcode_it_was_of(world: World) -> None:
    await read(world, sheet(QR))
    other = Barcode.model_validate(sheet("A-1"))
    await transact(world.engine, apply_barcode, "g", other, actor="test")
    assert ((await known(world)).barcode, (await known(world)).specimen_pid) == (("A-1",), ())


async def test_a_label_sheet_gets_the_identifiers_with_the_codes(world: World) -> None:
    await world.register(new("label"))
    await describe(world, "label")
    label = sheet(asset_subject="label", label=True, disposable="D1")
    for guid, seen in (("label", label), ("g", sheet(QR, disposable="D1"))):
        barcode = Barcode.model_validate(seen)
        await transact(world.engine, apply_barcode, guid, barcode, actor="test")
    document = await known(world, "label")
    assert (document.barcode, document.specimen_pid) == (("115ff7",), (QR,))


async def test_uris_that_the_document_came_with_are_named_before_the_archive_gets_it(
    world: World,
) -> None:
    unknown = "https://example.org/1"
    came = {"barcode": [QR, unknown]}
    await transact(world.engine, change_document, "g", came, writes=WRITES, actor="test")
    told = await transact(world.engine, name_documented, "g", actor="test")
    document = await known(world)
    assert (document.barcode, document.specimen_pid) == (("115ff7",), (QR,))
    assert unknown in told[0]
    assert await attention(world) == told[0]
    assert await transact(world.engine, name_documented, "g", actor="test") == []
