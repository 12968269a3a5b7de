"""Prefect's server goes away in the middle of a wave: the work goes on, and is shown afterwards."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backoff import Backoff
from tests.integration.flows.test_waves import GUIDS, prepared, run, shown, subflows
from tests.support.callbacks import until
from tests.support.delay_proxy import DelayProxy, running_proxy
from tests.support.serving import free_port
from tests.support.world import World


@pytest.fixture
def proxy(prefect_server: None) -> Iterator[DelayProxy]:
    """What stands between the dispatcher and Prefect's server."""
    real = httpx.URL(str(PREFECT_API_URL.value()))
    assert real.port is not None
    with (
        running_proxy(real.port) as made,
        temporary_settings({PREFECT_API_URL: str(real.copy_with(port=made.port))}),
    ):
        yield made


@contextmanager
def away(proxy: DelayProxy) -> Iterator[None]:
    """Every connection to Prefect is cut, and nobody answers any more."""
    real, proxy.target = proxy.target, free_port()
    proxy.cut()
    try:
        yield
    finally:
        proxy.target = real


async def all_done(world: World) -> bool:
    return await world.sql("SELECT DISTINCT state FROM track.job") == [("done",)]


async def test_a_wave_goes_on_while_prefect_is_away_and_is_shown_once_it_is_back(
    blocks: Path, proxy: DelayProxy, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was made before is ended then, and those that Prefect missed are made."""
    monkeypatch.setattr("tasks.dispatch.runs.AWAY", Backoff(0.05, 0.2))
    cluster = await prepared(engine, "auto")
    world = cluster.world
    running = asyncio.create_task(run(world))
    await cluster.wait_for(4)

    async def is_shown() -> bool:
        return "load × 4" in await shown(world)

    await until(is_shown)
    with away(proxy):
        await cluster.do(4)
        await cluster.do(4)  # of the next stage, which is handed over all the same
        await until(lambda: all_done(world))
    assert (await running).name == "Finished"
    found = await subflows(world)
    specimens = [guid for each in found for guid in each.parameters["specimens"]]
    assert sorted(specimens) == sorted(2 * GUIDS)
    assert all(each.state is not None and each.state.is_completed() for each in found)
