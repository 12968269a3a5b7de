"""Metadata that changes when its asset's road is over reaches the archive all the same."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from flows.dispatch import dispatch
from flows.operate import push
from flows.reconcile import reconcile
from schemas.pace import Pace
from tasks.archive.ars.metadata import merged
from tests.support.archive import Archive
from tests.support.archive_road import NAMED, NHMD, PLANTS
from tests.support.at_site import complete, describe, start
from tests.support.callbacks import until
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.records.documents import change_document
from track.schema.database import transact
from track.schema.states import State as JobState

ROAD: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "barcode", "run": "module barcode", "needs": "create"},
        {"key": "finalise", "run": "refinery.finalise", "needs": "barcode"},
    ],
}
PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
LABEL = {"asset_subject": "label", "label": True, "disposable": "DISP-1", "barcodes": []}
SPECIMEN = {"asset_subject": "specimen", "disposable": "DISP-1", "barcodes": ["NHMD-1"]}
PID = f"{NHMD}.{PLANTS}.NHMD-1"
TAG = {"tags": {"read": "by hand"}}
PATIENCE_S = 120


@dataclass(frozen=True)
class Object:
    """Two sheets of one object on their road, and what the archive knows of them."""

    world: World
    archive: Archive
    label: str
    specimen: str

    async def reads(self, guid: str, barcode: dict[str, Any]) -> None:
        """The cluster reads a sheet, once it has the job."""
        await until(lambda: self.is_at(guid, "barcode", JobState.QUEUED))
        ((attempt,),) = await self.world.sql(
            "SELECT j.attempt_id FROM track.job j WHERE j.asset_guid = :g AND j.state = 'queued'",
            g=guid,
        )
        assert isinstance(attempt, int)
        await start(self.world, attempt)
        await complete(self.world, attempt, result={"barcode": barcode})

    async def is_at(self, guid: str, stage: str, state: JobState) -> bool:
        return (await self.world.states(guid))[stage] == state

    async def over(self, guid: str) -> None:
        """Wait until a sheet's road is over."""
        await until(lambda: self.is_at(guid, "finalise", JobState.DONE))

    async def named(self, guid: str) -> list[str]:
        """The specimens that the archive has for a sheet."""
        async with ArsClient(self.archive.address) as ars:
            held = await ars.assets.get(guid)
        return [each["specimen_pid"] for each in (held or {}).get("asset_specimen") or ()]

    async def add_tag(self, guid: str) -> None:
        """A script adds to the metadata."""
        await transact(
            self.world.engine,
            change_document,
            guid,
            TAG,
            writes=["tags"],
            actor="test",
        )

    async def tags(self, guid: str) -> dict[str, str]:
        async with ArsClient(self.archive.address) as ars:
            held = await ars.assets.get(guid)
        assert held is not None
        return {name: value for name, value in held["tags"].items() if name == "read"}

    async def digitiser(self, guid: str, put: str | None = None) -> str:
        """The digitiser in the archive, where a person first writes another one if asked to."""
        async with ArsClient(self.archive.address) as ars:
            held = await ars.assets.get(guid)
            assert held is not None
            if put is not None:
                changed = {"digitiser": put, "updateUser": "a curator", "issues": None}
                held = await ars.assets.update(guid, merged(held, changed))
        return str(held["digitiser"])

    async def refusals(self) -> object:
        rows = await self.world.sql(
            "SELECT count(*) FROM track.history WHERE what = 'metadata.refused' AND why <> ''"
        )
        return rows[0][0]

    async def flag(self, guid: str) -> object:
        rows = await self.world.sql(
            "SELECT update_metadata FROM track.dassco WHERE _id = :g", g=guid
        )
        return rows[0][0]


@pytest.fixture
async def sheets(blocks: Path, engine: AsyncEngine, archive: Archive) -> AsyncIterator[Object]:
    guids = [str(uuid.uuid4()) for _ in range(2)]
    world = await undispatched(
        engine, ROAD, *(new(guid, batch_name="b") for guid in guids), archive=archive.block()
    )
    await describe(world, *guids, **NAMED, preparation_type="sheet")
    yield Object(world, archive, *guids)
    archive.heal()


@asynccontextmanager
async def dispatched(sheets: Object) -> AsyncIterator[asyncio.Task[State[Any]]]:
    """A dispatcher at work, which the block waits for or which ends with it."""

    async def whole() -> State[Any]:
        state: State[Any] = await dispatch(sheets.world.session_id, PACE, return_state=True)
        return state

    run = asyncio.create_task(whole())
    try:
        yield run
    finally:
        run.cancel()
        await asyncio.wait([run])


async def test_a_label_whose_road_is_over_is_told_of_when_its_specimen_is_read(
    sheets: Object,
) -> None:
    async with dispatched(sheets) as run:
        await sheets.reads(sheets.label, LABEL)
        await sheets.over(sheets.label)
        assert await sheets.named(sheets.label) == []
        await sheets.reads(sheets.specimen, SPECIMEN)
        async with asyncio.timeout(PATIENCE_S):
            assert (await run).name == "Finished"
    assert await sheets.named(sheets.label) == await sheets.named(sheets.specimen) == [PID]
    assert await sheets.flag(sheets.label) == "NO"


async def test_a_label_that_the_archive_refuses_holds_up_no_specimen(sheets: Object) -> None:
    async with dispatched(sheets) as run:
        await sheets.reads(sheets.label, LABEL)
        await sheets.over(sheets.label)
        sheets.archive.fault("status", status=400, guid=sheets.label, method="PUT")
        await sheets.reads(sheets.specimen, SPECIMEN)
        async with asyncio.timeout(PATIENCE_S):
            assert (await run).name == "Finished"
    assert await sheets.flag(sheets.label) == "YES"
    await an_hour_passes(sheets)
    assert "documents pushed 1" in await reconciled()
    assert await sheets.named(sheets.label) == [PID]


async def over(sheets: Object) -> None:
    """Both sheets' road is over, and a script adds to the metadata of both."""
    async with dispatched(sheets) as run:
        for guid in (sheets.label, sheets.specimen):
            await sheets.reads(guid, {"asset_subject": "specimen", "barcodes": []})
        async with asyncio.timeout(PATIENCE_S):
            await run
    for guid in (sheets.label, sheets.specimen):
        await sheets.add_tag(guid)


async def test_what_a_script_adds_after_the_end_is_pushed_by_reconcile_once(
    sheets: Object,
) -> None:
    await over(sheets)
    assert "documents pushed 0" in await reconciled(), "somebody may be about to"
    await an_hour_passes(sheets)
    assert "documents pushed 2" in await reconciled()
    assert await sheets.tags(sheets.label) == await sheets.tags(sheets.specimen) == TAG["tags"]
    assert (await reconciled()).startswith("all quiet")


async def test_what_the_archive_refuses_is_tried_ever_more_rarely_and_holds_up_nothing(
    sheets: Object,
) -> None:
    await over(sheets)
    await an_hour_passes(sheets)
    sheets.archive.fault("status", status=400, guid=sheets.label, method="PUT", count=None)
    assert "documents pushed 1" in await reconciled()
    assert await sheets.refusals() == 1
    assert "documents pushed 0" in await reconciled()
    assert await sheets.refusals() == 1, "it was asked a moment ago"
    await an_hour_passes(sheets)
    await reconciled()
    assert await sheets.refusals() == 2
    sheets.archive.heal()
    await an_hour_passes(sheets)
    assert "documents pushed 1" in await reconciled()


async def test_an_archive_that_is_away_is_asked_once_a_look(sheets: Object) -> None:
    await over(sheets)
    await an_hour_passes(sheets)
    sheets.archive.fault("status", status=503, method="GET", count=None)
    assert "documents pushed 0" in await reconciled()
    assert await sheets.refusals() == 1
    sheets.archive.heal()
    await an_hour_passes(sheets)
    assert "documents pushed 2" in await reconciled()


async def test_what_a_person_changed_in_the_archive_is_put_right_at_the_end(
    sheets: Object,
) -> None:
    """Also a field that was pushed long ago, when other changes have been pushed since."""
    ours = NAMED["digitiser"]
    async with dispatched(sheets) as run:
        await sheets.reads(sheets.label, LABEL)
        await sheets.over(sheets.label)
        assert await sheets.digitiser(sheets.specimen, put="Somebody Else") == "Somebody Else"
        await sheets.reads(sheets.specimen, SPECIMEN)
        async with asyncio.timeout(PATIENCE_S):
            assert (await run).name == "Finished"
    assert await sheets.digitiser(sheets.specimen) == ours


async def test_everything_is_pushed_again_to_an_archive_that_forgot_it(sheets: Object) -> None:
    await over(sheets)
    await sheets.digitiser(sheets.label, put="Somebody Else")
    await push(by="ib", guid=sheets.label, return_state=True)
    assert await sheets.digitiser(sheets.label) == "Somebody Else", "only what was owed"
    await push(by="ib", guid=sheets.label, everything=True, return_state=True)
    assert await sheets.digitiser(sheets.label) == NAMED["digitiser"]


async def test_what_the_archive_never_holds_fails_the_end_with_the_fields_name(
    sheets: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def another(*_: object) -> tuple[str, ...]:
        return ("digitiser",)

    monkeypatch.setattr("tasks.archive.ars.tier.ArsTier.differing", another)
    async with dispatched(sheets) as run:
        for guid in (sheets.label, sheets.specimen):
            await sheets.reads(guid, {"asset_subject": "specimen", "barcodes": []})
        async with asyncio.timeout(PATIENCE_S):
            assert (await run).name == "Finished"
    ((state, reason),) = await sheets.world.sql(
        "SELECT DISTINCT state, replace(reason, asset_guid, 'G') FROM track.job"
        " WHERE id IN (SELECT max(id) FROM track.job GROUP BY asset_guid)"
    )
    assert state == "failed"
    assert "does not hold what it was told of digitiser" in str(reason)


async def test_a_live_subflow_is_left_to_tell_what_changed(sheets: Object) -> None:
    async with dispatched(sheets):
        await until(lambda: sheets.is_at(sheets.label, "barcode", JobState.QUEUED))
        await sheets.add_tag(sheets.label)
        await an_hour_passes(sheets)
        assert "documents pushed 0" in await reconciled()


async def an_hour_passes(sheets: Object) -> None:
    """For metadata and for what history has of it."""
    hour = "interval '1 hour'"
    await sheets.world.sql(f"UPDATE metadata.document SET updated_at = updated_at - {hour}")
    await sheets.world.sql(
        f"UPDATE track.history SET at = at - {hour} WHERE what = 'metadata.refused'"
    )


async def reconciled() -> str:
    """What a look of reconcile says it found."""
    state = await reconcile(return_state=True)
    assert state.is_completed(), state
    return str(state.message)
