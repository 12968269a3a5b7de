"""Cancelling a run in Prefect ends the job at the cluster, by Slurm's own word."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars import ArsArchive
from demo.lab.slurm_lab import SlurmLab
from flows.dispatch import dispatch
from schemas.pace import Pace
from tests.support.callbacks import until
from tests.support.slurm_lab import lab, slurm_lab
from tests.support.slurm_site import ODD_RUNNER, SlurmSite, slurm_site
from tests.support.world import new
from track.records.sessions import mark_registered
from track.schema.database import transact

__all__ = ["lab", "slurm_lab"]
PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
GUID = "slow-g"


@pytest.fixture
async def site(
    lab: SlurmLab, blocks: Path, engine: AsyncEngine, database: str, tmp_path: Path
) -> AsyncIterator[SlurmSite]:
    """A site of a session with one asset, and no dispatcher yet."""
    archive = ArsArchive(
        base_url="http://127.0.0.1:9", client_id="c", client_secret=SecretStr("nobody asks for it")
    )
    await archive.save("default", overwrite=True)
    async with slurm_site(lab, engine, database, tmp_path) as made:
        await made.world.sql("DELETE FROM track.dispatcher")
        await made.world.register(new(GUID))
        await made.world.describe(GUID)
        await transact(engine, mark_registered, made.world.session_id)
        yield made


async def test_a_run_cancelled_in_prefect_ends_its_job_at_slurm_and_no_other(
    site: SlurmSite,
) -> None:
    driver = site.driver(ODD_RUNNER)

    async def drive() -> None:
        while True:
            await driver.turn()
            await asyncio.sleep(0.1)

    def is_(stage: str, state: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return await site.states(GUID, stage=stage) == [state]

        return look

    dispatcher = asyncio.create_task(dispatch(site.world.session_id, PACE, return_state=True))
    driving = asyncio.create_task(drive())
    try:
        await until(is_("clean", "running"))
        await until(is_("other", "running"))
        attempts = {key: (await site.attempts(GUID, key))[0] for key in ("clean", "other")}
        async with get_client() as client:
            named = FlowRunFilter(name=FlowRunFilterName(any_=[f"{GUID} clean"]))
            runs: list[FlowRun] = []

            async def runs_in_prefect() -> bool:  # which comes after the job is at its site
                runs[:] = await client.read_flow_runs(flow_run_filter=named)
                return any(run.state is not None and run.state.is_running() for run in runs)

            await until(runs_in_prefect)
            (run,) = runs
            await client.set_flow_run_state(run.id, Cancelling())
            await until(is_("clean", "cancelled"))

            async def final() -> bool:
                state = (await client.read_flow_run(run.id)).state
                return state is not None and state.type == StateType.CANCELLED

            await until(final)
        natives = {key: each["external_id"] for key, each in attempts.items()}
        ended = {f"{each.array}_{each.line}": each.state for each in site.lab.records()}
        assert ended[natives["clean"]] == "CANCELLED"
        assert natives["other"] not in ended
        assert await site.states(GUID, stage="other") == ["running"]
    finally:
        (site.root / "go-on").touch()
        for task in (dispatcher, driving):
            task.cancel()
        await asyncio.gather(dispatcher, driving, return_exceptions=True)
