"""The operator's verbs as Prefect runs them: parameters, answers, history, artifacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.exceptions import ParameterTypeError
from sqlalchemy.ext.asyncio import AsyncEngine

from flows import operate
from schemas.pipeline.load import PipelineError
from schemas.sites import Site
from tasks.upkeep import definitions
from tests.support.world import World, install_sites, new
from track.commands.selection import CannotDo
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State as JobState

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    sites = [
        Site.model_validate({"site": name, "kind": "local", "root": f"/nowhere/{name}"})
        for name in ("local", "other")
    ]
    await transact(engine, install_sites, sites)
    await made.register(new("g"), new("h"))
    return made


async def said(flow: Any, **parameters: Any) -> str:
    """Run a verb; what its state says."""
    state: State[Any] = await flow(by="ib", return_state=True, **parameters)
    if state.is_failed():
        await state.result()
    return str(state.message)


async def table(verb: str) -> Sequence[Any]:
    key = ArtifactFilter(key=ArtifactFilterKey(any_=[f"operate-{verb}"]))
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=key, limit=1, sort=ArtifactSort.CREATED_DESC
        )
    return str(found[0].data) if found else ""


async def page(key: str) -> str:
    """The markdown that was left last under a key."""
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])),
            limit=1, sort=ArtifactSort.CREATED_DESC,
        )  # fmt: skip
    return str(found[0].data)


async def fail(world: World) -> None:
    for found in await world.claim():
        await transact(
            world.engine,
            verbs.end,
            found.job_id,
            JobState.FAILED,
            actor="t",
            why="broke",
        )


async def test_all_that_failed_is_done_again_by_who_asked(world: World) -> None:
    await fail(world)
    assert "2 changed, 0 left" in await said(operate.resubmit, pipeline="P", stage="load")
    assert "0 changed, 0 left" in await said(operate.resubmit, pipeline="P", stage="load")
    assert (await world.states("h"))["load"] == JobState.READY
    actors = await world.sql("SELECT DISTINCT actor FROM track.history WHERE old = 'failed'")
    assert actors == [("operator:ib",)]


async def test_one_job_is_answered_in_one_line_and_a_table(world: World) -> None:
    await fail(world)
    assert await said(operate.resubmit, guid="g", stage="load") == (
        "resubmit g load: failed → ready"
    )
    shown = await table("resubmit")
    assert '"was": "failed"' in shown and '"what": "g"' in shown


async def test_skip_and_cancel(world: World) -> None:
    assert "ready → excluded" in await said(operate.skip, guid="g", stage="load")
    assert "ready → cancelled" in await said(operate.cancel, guid="g", stage="ocr")


async def test_attention_is_set_and_cleared(world: World) -> None:
    assert "– → a blurred label" in await said(operate.attention, guid="g", text="a blurred label")
    assert "left as it was" in await said(operate.attention, guid="g", text="a blurred label")
    assert "a blurred label → –" in await said(operate.attention, guid="g")


async def test_switches(world: World) -> None:
    assert "stage P/load: on → off" in await said(operate.switch, on=False, stage="load")
    assert "pipeline P: on → off" in await said(operate.switch, on=False, pipeline="P")
    assert "site local: on → off" in await said(operate.switch, on=False, site="local")
    assert "left as it was" in await said(operate.switch, on=False, site="local")
    with pytest.raises(CannotDo, match="only one"):
        await said(operate.switch, on=False, site="local", pipeline="P")


async def test_priority(world: World) -> None:
    assert "2 changed" in await said(operate.priority, priority=5, session=world.session_id)
    assert "0 changed" in await said(operate.priority, priority=5, session=world.session_id)


async def test_a_sites_queue_is_moved_away(world: World) -> None:
    for found in await world.claim():
        await transact(
            world.engine,
            verbs.enqueue_at_site,
            found.job_id,
            "local",
            dispatcher_id=world.dispatcher_id,
            actor="t",
        )
    assert "2 changed" in await said(operate.site, to="other", leaving="local")
    assert "0 changed" in await said(operate.site, to="other", leaving="local")
    with pytest.raises(CannotDo, match="to: no site 'othr'; did you mean 'other'"):
        await said(operate.site, to="othr", leaving="local")


async def test_pipelines_are_loaded_from_a_folder_and_what_is_wrong_is_named(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "q.yaml").write_text("pipeline: Q\nstages:\n  - {key: a, run: module load}\n")
    assert "– → loaded (1 stages: 1 added)" in await said(operate.pipeline, path=str(folder))
    again = await said(operate.pipeline, path=str(folder / "q.yaml"))
    assert "left as it was (unchanged, 1 stages)" in again
    assert "Unchanged: Q." in await page("operate-pipeline-plan")
    (folder / "r.yaml").write_text("pipeline: R\nstages:\n  - {key: a, rum: module load}\n")
    with pytest.raises(PipelineError, match=r"r\.yaml, line 3: .*run"):
        await said(operate.pipeline, path=str(folder))
    (folder / "r.yaml").write_text("pipeline: R\nstages:\n  - {key: a, run: module load, on: m}\n")
    with pytest.raises(PipelineError, match="no site 'm'"):
        await said(operate.pipeline, path=str(folder))
    with pytest.raises(CannotDo, match="cannot be read"):
        await said(operate.pipeline, path=str(folder / "s.yaml"))


MORE = """
pipeline: P
stages:
  - {key: load, run: module load}
  - {key: ocr, run: module ocr}
  - {key: crop, run: module crop, needs: [load, ocr]}
"""


async def test_a_pipeline_shows_its_plan_and_a_dry_run_does_nothing_else(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(MORE)
    told = await said(operate.pipeline, path=str(file), dry_run=True)
    words = "3 stages: 1 re-parented, 1 added; 2 jobs to come"
    assert told.startswith("nothing was done; pipeline P") and words in told
    shown = await page("operate-pipeline-plan")
    assert "| P | crop | added |  | module crop, needs load, ocr | 2 |" in shown
    assert "| P | ocr | re-parented | needs load |  | 2 |" in shown
    assert "crop" not in await world.states("g")
    assert f"loaded ({words})" in await said(operate.pipeline, path=str(file))
    assert (await world.states("g"))["crop"] == JobState.WAITING


async def test_of_two_who_load_at_once_the_second_is_told(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.yaml").write_text(MORE)
    show = definitions._show

    async def somebody_else_loads(*args: Any) -> None:
        await show(*args)
        monkeypatch.setattr(definitions, "_show", show)
        await operate.pipeline(by="jo", path=str(tmp_path))

    monkeypatch.setattr(definitions, "_show", somebody_else_loads)
    with pytest.raises(CannotDo, match="path: somebody loaded these pipelines meanwhile"):
        await said(operate.pipeline, path=str(tmp_path))
    actors = await world.sql("SELECT actor FROM track.history WHERE what = 'pipeline.definition'")
    assert [each for each in actors if each != ("test",)] == [("operator:jo",)]


async def test_retention_is_shown_tried_and_changed(world: World) -> None:
    told = await said(operate.retention)
    assert "0 changed, 3 left" in told and "7 d, once in erda" in await table("retention")
    change: dict[str, Any] = {"kind": "ndrive", "days": 30, "pipeline": "P"}
    tried = await said(operate.retention, dry_run=True, **change)
    assert tried.startswith("nothing was done; retention ndrive copies of P")
    assert "7 d, once in erda → 30 d, once in erda" in tried
    assert "7 d, once in erda → 30 d" in await said(operate.retention, **change)
    assert "left as it was" in await said(operate.retention, **change)
    assert "30 d, once in erda → 7 d" in await said(
        operate.retention, kind="ndrive", pipeline="P", reset=True
    )
    told_by = "SELECT actor, old, why FROM track.history WHERE what = 'retention.rule' ORDER BY id"
    assert (await world.sql(told_by))[0] == (
        "operator:ib", "7 d, once in erda", "ndrive copies of P",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"days": 3}, "kind: say which copies"),
        ({"kind": "store", "days": 3, "reset": True}, "reset: it goes back"),
        ({"kind": "store", "days": 3, "pipeline": "Q"}, "pipeline: no pipeline 'Q'"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused(
    world: World, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(CannotDo, match=f"^{says}"):
        await said(operate.retention, **given)


async def test_a_correction_and_a_link_are_answered_row_by_row(world: World) -> None:
    await world.describe("g", "h")
    told = await said(operate.metadata, guid="g", field="funding", value='["A", "B"]', why="asked")
    assert told == 'metadata g: – → ["A", "B"]'
    with pytest.raises(CannotDo, match=r"^value: .* is no JSON"):
        await said(operate.metadata, guid="g", field="funding", value='["A"')
    with pytest.raises(CannotDo, match="field: asset_guid is not a person's to change"):
        await said(operate.metadata, guid="g", field="asset_guid", value="x")
    assert "replace: 2 changed" in await said(operate.replace, old="g", new="h")
    assert "left as it was" in await said(operate.replace, old="g", new="h")
    assert '"now": "h"' in await table("replace")


async def test_outputs_that_nobody_awaits_are_left_alone_and_a_reason_is_needed(
    world: World,
) -> None:
    which = {"guid": "g", "stage": "load", "do": "without"}
    told = await said(operate.outputs, why="the site is gone", **which)
    assert "left as it was (it is ready, and no outputs of it are awaited)" in told
    with pytest.raises(ParameterTypeError):
        await operate.outputs(by="ib", why="", **which)
    with pytest.raises(ParameterTypeError):
        await operate.outputs(by="ib", why="gone", **(which | {"do": "give up"}))


async def test_who_asks_must_say_who_they_are(world: World) -> None:
    with pytest.raises(CannotDo, match="by: write your name"):
        await operate.attention(by="  ", guid="g")
    with pytest.raises(ParameterTypeError):
        await operate.attention(by="", guid="g")


async def test_an_unknown_guid_is_a_failed_run_that_says_so(world: World) -> None:
    state = await operate.skip(by="ib", guid="x", stage="load", return_state=True)
    assert state.is_failed() and "no asset 'x'" in str(state.message)
    with pytest.raises(CannotDo, match="say what to do again"):
        await said(operate.resubmit)
