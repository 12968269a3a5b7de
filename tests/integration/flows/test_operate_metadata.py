"""A person's corrections reach the archive, also of a specimen whose road is over, and later
when it is away."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient
from flows import operate
from flows.reconcile import reconcile
from tests.support.archive import Archive
from tests.support.archive_road import NAMED
from tests.support.at_site import describe
from tests.support.flow_world import run_session, undispatched
from tests.support.world import World, new
from track.commands.selection import CannotDo

ROAD = {
    "pipeline": "P",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "end", "run": "refinery.finalise", "needs": "create"},
    ],
}


@dataclass(frozen=True)
class Pair:
    """Two specimens whose road is over, and the archive that has them."""

    world: World
    archive: Archive
    old: str
    new: str

    async def held(self, guid: str) -> dict[str, Any]:
        async with ArsClient(self.archive.address) as ars:
            found = await ars.assets.get(guid)
        assert found is not None
        return dict(found)


@pytest.fixture
async def pair(blocks: Path, engine: AsyncEngine, archive: Archive) -> AsyncIterator[Pair]:
    guids = [str(uuid.uuid4()) for _ in range(2)]
    world = await undispatched(
        engine, ROAD, *(new(guid) for guid in guids), archive=archive.block()
    )
    await describe(world, *guids, **NAMED)
    await run_session(world)
    yield Pair(world, archive, *guids)
    archive.heal()


async def said(flow: Any, **parameters: Any) -> str:
    state: State[Any] = await flow(by="ib", return_state=True, **parameters)
    if state.is_failed():
        await state.result()
    return str(state.message)


async def test_what_is_corrected_and_linked_after_the_end_is_in_the_archive(pair: Pair) -> None:
    final = (await pair.held(pair.old))["date_asset_finalised"]
    assert final is not None
    told = await said(operate.metadata, guid=pair.old, field="digitiser", value="Åse Sørensen")
    assert "Karen Blixen → Åse Sørensen" in told
    assert "2 changed" in await said(operate.replace, old=pair.old, new=pair.new)
    old, fresh = await pair.held(pair.old), await pair.held(pair.new)
    assert old["digitiser"] == "Åse Sørensen" and old["date_asset_finalised"] == final
    assert old["tags"]["replaced_by"] == pair.new
    assert fresh["tags"]["replaces"] == pair.old
    pushed = "SELECT DISTINCT ars_revision = revision FROM metadata.document"
    assert await pair.world.sql(pushed) == [(True,)]
    puts = len(pair.archive.requests(pair.old, "PUT"))
    await said(operate.metadata, guid=pair.old, field="digitiser", value="Åse Sørensen")
    assert len(pair.archive.requests(pair.old, "PUT")) == puts, "the same again tells it nothing"


async def test_while_the_archive_refuses_the_row_says_so_and_reconcile_goes_on(pair: Pair) -> None:
    pair.archive.fault("status", status=400, guid=pair.old, method="PUT")
    told = await said(operate.metadata, guid=pair.old, field="funding", value='["DaSSCo"]')
    assert "1 changed, 1 left" in told
    assert (await pair.held(pair.old))["funding"] != ["DaSSCo"]
    pair.archive.heal()
    await pair.world.sql("UPDATE metadata.document SET updated_at = now() - interval '1 hour'")
    state: State[Any] = await reconcile(return_state=True)
    assert "documents pushed 1" in str(state.message)
    assert (await pair.held(pair.old))["funding"] == ["DaSSCo"]


async def test_only_a_copy_that_the_archive_can_prove_may_be_required(pair: Pair) -> None:
    with pytest.raises(CannotDo, match=r"requires: nobody can prove .* 'erdaa'; did you mean 'er"):
        await said(operate.retention, kind="store", requires=["erdaa"])
    told = await said(operate.retention, kind="store", requires=["erda"])
    assert "left as it was" in told
