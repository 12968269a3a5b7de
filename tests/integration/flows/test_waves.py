"""Many jobs in one subflow: what Prefect shows of them, and that none hangs on another."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelling
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from flows.dispatch import dispatch
from hpc import protocol
from hpc.callers import RunnerCaller
from schemas.attempts import Complete, Fail, Result, Start
from schemas.pace import Pace
from tests.support.callbacks import until
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.schema.database import transact
from track.schema.states import State as JobState

GUIDS = ["g1", "g2", "g3", "g4"]
CROWDED = Pace(tick_s=0.1, recheck_s=0.5, linger_s=600, burst_s=0.001)
PATIENCE_S = 240
QUEUED = """
    SELECT t.id, t.fence, j.asset_guid FROM track.attempt t
    JOIN track.job j ON j.attempt_id = t.id WHERE j.state = 'queued' ORDER BY t.id
"""
PARENTS = "SELECT flow_run_id FROM track.dispatcher WHERE flow_run_id IS NOT NULL"


LOAD = {"key": "load", "run": "module load"}
OCR = {"key": "ocr", "run": "module ocr", "needs": "load"}


@dataclass
class Cluster:
    """Does what is queued when it is told to, all of it together."""

    world: World
    fails: tuple[str, ...] = ()

    async def wait_for(self, count: int) -> list[Any]:
        """What is queued, once it is so much."""
        found: list[Any] = []

        async def there() -> bool:
            found[:] = await self.world.sql(QUEUED)
            return len(found) >= count

        await until(there)
        return found

    async def do(self, count: int) -> None:
        """Start and end what is queued, once it is so much."""
        await transact(self.world.engine, self._end, await self.wait_for(count))

    async def _end(self, tx: AsyncConnection, queued: list[Any]) -> None:
        for attempt, fence, guid in queued:
            native = {"native_id": f"native-{attempt}", "nonce": "n"}
            caller = RunnerCaller(attempt, fence)
            await protocol.start(tx, caller, Start(**native))
            if guid in self.fails:
                blurred = Fail(**native, fail_status="ERROR", message="a blurred label")
                await protocol.fail(tx, caller, blurred)
            else:
                await protocol.complete(tx, caller, Complete(**native, result=Result()))


async def prepared(engine: AsyncEngine, wave: int | str, *stages: dict[str, Any]) -> Cluster:
    pipeline = {"pipeline": "P", "wave": wave, "stages": list(stages or (LOAD, OCR))}
    return Cluster(await undispatched(engine, pipeline, *(new(guid) for guid in GUIDS)))


async def run(world: World, pace: Pace = CROWDED) -> State[Any]:
    async with asyncio.timeout(PATIENCE_S):
        state: State[Any] = await dispatch(world.session_id, pace, return_state=True)
    return state


async def subflows(world: World) -> list[FlowRun]:
    parents = [UUID(str(each)) for (each,) in await world.sql(PARENTS)]
    mine = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=parents))
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=mine)


async def shown(world: World) -> dict[str, list[str]]:
    """The specimens of each subflow, by its name; one name may be there several times."""
    found: dict[str, list[str]] = {}
    for each in await subflows(world):
        found.setdefault(each.name, []).extend(each.parameters["specimens"])
    return {name: sorted(guids) for name, guids in found.items()}


async def explained(each: FlowRun) -> str:
    async with get_client() as client:
        (artifact,) = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[each.id]))
        )
    return str(artifact.data)


async def test_so_many_jobs_of_a_stage_share_a_subflow_as_it_says(
    blocks: Path, engine: AsyncEngine
) -> None:
    cluster = await prepared(engine, 3)
    running = asyncio.create_task(run(cluster.world))
    await cluster.do(4)
    await cluster.do(4)
    assert (await running).name == "Finished"
    found = await subflows(cluster.world)
    sizes = {stage: [len(jobs) for jobs in _jobs(found, stage)] for stage in ("load", "ocr")}
    assert sorted(sizes["load"]) == [1, 3]  # claimed together
    assert sum(sizes["ocr"]) == 4 and max(sizes["ocr"]) <= 3
    assert {each.name for each in found} > {"load × 3"}
    assert all(each.state is not None and each.state.is_completed() for each in found)


def _jobs(found: list[FlowRun], stage: str) -> list[list[int]]:
    return [each.parameters["jobs"] for each in found if each.parameters["stage"] == stage]


async def test_auto_gives_each_its_own_while_prefect_has_time_for_that(
    blocks: Path, engine: AsyncEngine
) -> None:
    cluster = await prepared(engine, "auto")
    running = asyncio.create_task(run(cluster.world, CROWDED.model_copy(update={"burst_s": 60})))
    await cluster.do(4)
    await cluster.do(4)
    assert (await running).name == "Finished"
    names = sorted(each.name for each in await subflows(cluster.world))
    assert names == [f"{guid} {stage}" for guid in GUIDS for stage in ("load", "ocr")]


async def test_a_wave_shows_how_many_went_well_and_which_did_not(
    blocks: Path, engine: AsyncEngine
) -> None:
    cluster = await prepared(engine, "auto")
    cluster.fails = ("g3",)
    running = asyncio.create_task(run(cluster.world))
    await cluster.do(4)
    await cluster.do(3)
    assert (await running).name == "Finished"
    assert (await shown(cluster.world))["load × 4"] == GUIDS
    (load,) = [each for each in await subflows(cluster.world) if each.name == "load × 4"]
    assert load.state is not None and load.state.is_failed()
    assert str(load.state.message).startswith("3 completed, 1 failed; g3: a blurred label")
    assert "- `g3` Failed: a blurred label" in await explained(load)


async def test_an_asset_goes_on_when_it_is_done_itself(blocks: Path, engine: AsyncEngine) -> None:
    cluster = await prepared(engine, "auto")
    running = asyncio.create_task(run(cluster.world))
    (first, *others) = await cluster.wait_for(4)
    guid = first[2]
    await transact(engine, cluster._end, [first])

    async def goes_on() -> bool:
        return (await cluster.world.states(guid))["ocr"] == JobState.QUEUED

    await until(goes_on)
    assert {each[0] for each in await cluster.world.sql(QUEUED)} > {each[0] for each in others}
    await cluster.do(4)
    await cluster.do(3)
    assert (await running).name == "Finished"


async def test_cancelling_a_wave_ends_its_jobs_and_no_others(
    blocks: Path, engine: AsyncEngine
) -> None:
    cluster = await prepared(engine, 3)
    running = asyncio.create_task(run(cluster.world))
    await cluster.wait_for(4)
    waves: list[FlowRun] = []

    async def there() -> bool:
        waves[:] = [each for each in await subflows(cluster.world) if each.name == "load × 3"]
        return bool(waves)

    await until(there)
    (wave,) = waves
    async with get_client() as client:
        await client.set_flow_run_state(wave.id, Cancelling())
        ids = wave.parameters["jobs"]

        async def all_cancelled() -> bool:
            mine = "SELECT count(*) FROM track.job WHERE id = ANY(:ids) AND state = 'cancelled'"
            return await cluster.world.sql(mine, ids=ids) == [(3,)]

        await until(all_cancelled)
        await cluster.do(1)
        await cluster.do(1)
        assert (await running).name == "Finished"
        state = (await client.read_flow_run(wave.id)).state
    assert state is not None and state.is_cancelled()
    done = await cluster.world.sql("SELECT DISTINCT asset_guid FROM track.job WHERE state = 'done'")
    assert [guid for (guid,) in done] == [g for g in GUIDS if g not in wave.parameters["specimens"]]


async def keep_working(cluster: Cluster) -> None:
    """Do what is queued, again and again, however long nothing is."""
    while True:
        await transact(cluster.world.engine, cluster._end, await cluster.world.sql(QUEUED))
        await asyncio.sleep(0.05)
