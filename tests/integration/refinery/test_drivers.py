"""The service that drives sites: they come, change and go while it runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.slurm_site import SlurmSite
from hpc.sites.lock import LockLost
from refinery import drivers as service
from refinery.addresses import Addresses
from refinery.drivers import SiteConnection, SiteDrivers
from refinery.settings import Settings
from schemas.backoff import Backoff
from schemas.sites import Site
from tests.support.callbacks import until
from tests.support.patching import seen_by
from track.jobs.sites import load_sites
from track.schema.database import make_engine, transact

LOCAL = {"site": "local", "kind": "local", "root": "/nowhere"}
FAR = {
    "site": "far",
    "kind": "slurm",
    "root": "/r",
    "python": "/p",
    "block": "far",
    "callback": "http://h:1",
}


def block(port: int) -> SlurmSite:
    return SlurmSite(host="h", port=port, user="u", private_key=SecretStr("k"), host_key="hk")


class World:
    """What is known of sites and blocks, and which ways were driven."""

    def __init__(self, drivers: SiteDrivers, engine: AsyncEngine) -> None:
        self.drivers, self.engine = drivers, engine
        self.blocks: dict[str, SlurmSite] = {}
        self.prefect_is_up = True

    async def load(self, *sites: dict[str, Any]) -> None:
        known = [Site.model_validate(each) for each in sites]
        await transact(self.engine, load_sites, known, actor="test")

    async def aload(self, name: str) -> SlurmSite:
        if not self.prefect_is_up:
            raise httpx.ConnectError("down")
        if name not in self.blocks:
            raise ValueError(f"no block {name}")
        return self.blocks[name]

    async def driven(self) -> dict[str, SiteConnection]:
        await self.drivers.turn()
        return {name: way for name, (way, _) in self.drivers.driven.items()}


@pytest.fixture
async def world(
    engine: AsyncEngine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async def drive(*_: object) -> None:
        await asyncio.Event().wait()

    addresses = Addresses("", "http://c:1", "", "", "http://ars:1", database, "", "")
    settings = Settings.load(tmp_path, {})
    made = World(SiteDrivers(settings, addresses, engine), engine)
    monkeypatch.setattr(service, "drive", drive)
    monkeypatch.setattr(service.SlurmSite, "aload", made.aload)
    yield made
    monkeypatch.setattr(made.drivers, "turn", asyncio.Event().wait)
    running = asyncio.create_task(made.drivers.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert made.drivers.driven == {}


async def test_a_site_is_driven_once_its_block_is_there(world: World) -> None:
    await world.load(LOCAL, FAR)
    assert list(await world.driven()) == ["local"]
    world.blocks["far"] = block(22)
    assert list(await world.driven()) == ["local", "far"]


async def test_one_that_is_changed_is_driven_anew_and_the_others_are_left_alone(
    world: World,
) -> None:
    world.blocks["far"] = block(22)
    await world.load(LOCAL, FAR)
    await world.driven()
    _, local = world.drivers.driven["local"]
    _, before = world.drivers.driven["far"]
    world.blocks["far"] = block(2222)
    way = (await world.driven())["far"]
    assert way.address is not None
    assert way.address.node.port == 2222
    assert before.cancelled()
    assert world.drivers.driven["local"][1] is local
    await world.load(LOCAL, {**FAR, "max_running": 3})
    assert (await world.driven())["far"].site.max_running == 3


async def test_one_whose_block_was_removed_is_driven_no_more(world: World) -> None:
    world.blocks["far"] = block(22)
    await world.load(LOCAL, FAR)
    await world.driven()
    del world.blocks["far"]
    assert list(await world.driven()) == ["local"]


async def test_while_prefect_does_not_answer_everything_goes_on(world: World) -> None:
    world.blocks["far"] = block(22)
    await world.load(LOCAL, FAR)
    await world.driven()
    _, before = world.drivers.driven["far"]
    world.prefect_is_up = False
    await world.driven()
    assert world.drivers.driven["far"][1] is before


async def degraded(world: World) -> dict[str, str | None]:
    async with world.engine.connect() as tx:
        rows = await tx.execute(text("SELECT name, degraded FROM track.site"))
        return {row.name: row.degraded for row in rows}


async def test_one_whose_driver_breaks_is_degraded_and_driven_again_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[str] = []

    async def drive(url: str, engine: AsyncEngine, name: str, driver: object) -> None:
        begun.append(name)
        if name == "local" and begun.count("local") < 3:
            raise OSError(28, "No space left on device")
        await asyncio.Event().wait()

    async def again() -> bool:
        await world.driven()
        return begun.count("local") == 3

    monkeypatch.setattr(service, "drive", drive)
    monkeypatch.setattr(service, "PAUSES", Backoff(0.05, 300.0))
    await world.load(LOCAL, {**LOCAL, "site": "second"})
    await until(again)
    assert begun.count("second") == 1
    why = "its driver broke: OSError: [Errno 28] No space left on device"
    assert await degraded(world) == {"local": why, "second": None}
    broken = [each for each in caplog.records if "site local: its driver broke" in each.message]
    assert len(broken) == 2
    assert all(each.exc_info for each in broken)


async def test_a_driver_that_cannot_even_be_made_breaks_no_other_site(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = world.drivers._driver

    def make(way: SiteConnection) -> object:
        if way.site.name == "local":
            raise OSError(28, "No space left on device")
        return real(way)

    async def told() -> bool:
        return (await degraded(world))["local"] is not None

    monkeypatch.setattr(world.drivers, "_driver", make)
    await world.load(LOCAL, {**LOCAL, "site": "second"})
    assert sorted(await world.driven()) == ["local", "second"]
    await until(told)
    assert (await degraded(world))["second"] is None


async def test_the_pause_grows_while_a_driver_breaks_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    def pauses() -> list[str]:
        told = [each.message for each in caplog.records if "its driver broke" in each.message]
        return [line.split("again in ")[1] for line in told]

    async def four() -> bool:
        return len(pauses()) >= 4

    async def no_time(pause: float) -> None:
        await real_sleep(0)

    real_sleep = asyncio.sleep
    monkeypatch.setattr(service, "drive", broken)
    monkeypatch.setattr(service, "PAUSES", Backoff(30.0, 100.0))
    await world.load(LOCAL)
    await world.driven()
    with monkeypatch.context() as patch:
        seen_by(patch, service, "asyncio", sleep=no_time)
        async with asyncio.timeout(20):
            while not await four():
                await real_sleep(0.01)
    assert pauses()[:4] == ["30 s", "60 s", "100 s", "100 s"]


async def test_a_database_out_of_reach_ends_the_service_for_its_supervisor_to_see(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drive(*_: object) -> None:
        raise LockLost("the lock's connection is gone")

    monkeypatch.setattr(service, "drive", drive)
    away = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    drivers, known = world.drivers, {"local": SiteConnection(Site.model_validate(LOCAL), None)}
    monkeypatch.setattr(drivers, "engine", away)
    monkeypatch.setattr(drivers, "_connections", AsyncMock(return_value=known))
    async with asyncio.timeout(60):
        with pytest.raises(LockLost):
            while True:
                await world.driven()
                await asyncio.sleep(0.01)
    await away.dispose()


@pytest.mark.parametrize(
    "error",
    [LockLost("the lock's connection is gone"), psycopg.OperationalError("server closed it")],
    ids=["lock", "connection"],
)
async def test_a_lost_connection_begins_one_driver_anew_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    begun = []

    async def drive(*what: object) -> None:
        begun.append(what)
        if len(begun) == 1:
            raise error
        await asyncio.Event().wait()

    monkeypatch.setattr(service, "drive", drive)
    monkeypatch.setattr(service, "RETAKES", Backoff(0.01, 30.0))
    await world.load(LOCAL)
    async with asyncio.timeout(60):
        while len(begun) < 2:
            await world.driven()
            await asyncio.sleep(0.01)
    assert await degraded(world) == {"local": None}, "nothing is wrong with the site"
