"""A site that is cut off, an agent that is killed: people are told once, and of the return."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from demo.lab.slurm_lab import SlurmLab
from hpc.sites.slurm import driver as slurm_driver
from hpc.sites.slurm.driver import SlurmDriver
from refinery.local.postgres import EmbeddedPostgres
from schemas.alarm_patience import AlarmPatience
from schemas.sites import Site
from tasks.upkeep.alarms import raise_alarms
from tests.integration.refinery.local.told_people.conftest import Look, Told
from tests.support.agent_site import RUNNER
from tests.support.archive import archive_in
from tests.support.callbacks import cluster_config, until
from tests.support.delay_proxy import DelayProxy, running_proxy
from tests.support.packed_agent import PackedAgent, packed_agent
from tests.support.serving import free_port, serving
from tests.support.slurm_site import ODD_RUNNER, SlurmSite, slurm_site
from tests.support.world import World, install_sites, new
from track.commands.agents import allow_joining
from track.schema.database import transact

CUT, BACK = "site cluster is degraded", "site cluster works again"


@pytest.fixture
async def far(
    told: Told, lab: SlurmLab, engine: AsyncEngine, database: str, places: None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> AsyncIterator[SlurmSite]:  # fmt: skip
    """A real Slurm behind a real sshd; what the clusters' API announces reaches Prefect."""
    monkeypatch.setattr(slurm_driver, "DEGRADED_AFTER_S", 0.5)
    together_s = getattr(request, "param", 0.1)
    announcing = partial(told.announcing, together_s=together_s)
    async with slurm_site(lab, engine, database, tmp_path, announcing) as made:
        yield made


async def degraded(site: SlurmSite) -> bool:
    """Whether its driver has said so."""
    rows = await site.world.sql("SELECT degraded FROM track.site WHERE name = :n", n=site.name)
    return rows != [(None,)]


async def drive(site: SlurmSite, driver: SlurmDriver, *, cut: bool) -> None:
    """Let its driver work until it has found out."""

    async def found() -> bool:
        return await degraded(site) == cut

    await site.drive(driver, found, 60)


async def time_passes(site: SlurmSite, what: str) -> None:
    """As if all that was said had been so much earlier."""
    await site.world.sql("UPDATE track.history SET at = at - CAST(:what AS interval)", what=what)


async def test_a_site_cut_off_with_jobs_there_is_told_of_once_a_day_and_when_it_is_back(
    told: Told, far: SlurmSite, look: Look
) -> None:
    with running_proxy(far.lab.sshd.port) as network:
        far.port = network.port
        driver = far.driver(ODD_RUNNER)
        jobs = ("slow-1", "slow-2")
        await far.queue(*jobs)
        await far.until_states(driver, jobs, "running")
        assert await look() == []
        far.lab.sshd.stop()
        network.cut()
        try:
            await drive(far, driver, cut=True)
            await told.once(look, CUT)
            text = told.people.mail_of(CUT)
            for words in ("Why: ", "It is so since 20", "lose no try", "operate/doctor-site"):
                assert words in text
            assert "http://board.museum.dk/today" in text
            await time_passes(far, "1 day")
            await told.once(look, "site cluster is still degraded")
        finally:
            far.lab.sshd.start()
        await drive(far, driver, cut=False)
        await told.once(look, BACK)
        assert len(told.people.mails) == len(told.people.posts) == 3
        await comes_and_goes(told, far, driver, network, look)
        (far.root / "go-on").touch()
        await far.until_states(driver, jobs, "returned")
        assert await far.world.sql("SELECT FROM track.job WHERE tries > 0") == []


async def comes_and_goes(
    told: Told, far: SlurmSite, driver: SlurmDriver, network: DelayProxy, look: Look
) -> None:
    """The site is cut off and back again and again: one trouble is told of, and one end."""
    for _ in range(3):
        network.refusing = True
        network.cut()
        await drive(far, driver, cut=True)
        await look()
        network.refusing = False
        await drive(far, driver, cut=False)
        await look()
    await told.once(look, CUT, times=2)
    assert len(told.people.mailed(BACK)) == 1, "it may be cut off again any moment"
    await time_passes(far, "10 minutes")
    await told.once(look, BACK, times=2)
    assert len(told.people.mails) == len(told.people.posts) == 5


@pytest.mark.parametrize("far", [3.0], indirect=True, ids=["together"])
async def test_a_network_that_is_away_with_sites_and_the_archive_is_one_message(
    told: Told, far: SlurmSite, look: Look, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    names = ("cluster", "second", "third")
    with (
        running_proxy(far.lab.sshd.port) as network,
        archive_in(postgres, tmp_path / "ars") as archive,
        running_proxy(int(archive.base_url.rpartition(":")[2])) as to_archive,
    ):
        far.port = network.port
        drivers = []
        for far.name in names:
            drivers.append(far.driver(ODD_RUNNER))
        sites = [each.site for each in drivers]
        await transact(far.engine, install_sites, sites)
        block = archive.block()
        block.base_url = f"http://127.0.0.1:{to_archive.port}"
        await block.save("default", overwrite=True)
        for away in (False, True, False):
            for each in (network, to_archive):
                each.refusing = away
                each.cut()
            for far.name, driver in zip(names, drivers, strict=True):
                await drive(far, driver, cut=away)
            await look()
            if away:
                await told.once(look, CUT)
            elif told.people.mails:
                await told.once(look, BACK)
    assert [sorted(told.people.mailed(each)) for each in ("is degraded", "works again")] == [
        [f"site {name} {how}" for name in names] for how in ("is degraded", "works again")
    ]
    assert told.people.mailed("archive") == ["archive ars is down", "archive ars is up again"]
    assert len(told.people.mails) == len(told.people.posts) == 2
    assert told.people.mails[0]["subject"].startswith("4 alarms: ")


@pytest.fixture
def agent(tmp_path: Path) -> PackedAgent:
    """The packed agent, before it has joined."""
    return packed_agent(tmp_path / "agent")


async def test_a_killed_agent_is_told_of_once_and_so_is_its_return(
    told: Told, agent: PackedAgent, engine: AsyncEngine, database: str, places: None, tmp_path: Path
) -> None:
    digest = hashlib.sha256(RUNNER.encode()).hexdigest()
    runner = tmp_path / f"runner-{digest}.pyz"
    runner.write_text(RUNNER)
    config = cluster_config(database, "", tmp_path, runner=runner, announcing=told.announcing)
    world = await World.make(engine, {"pipeline": "P", "stages": [{"key": "a", "run": "module a"}]})
    patience = AlarmPatience(looks=1, silent_s=4)

    async def look() -> list[str]:
        return await raise_alarms(engine, 0, patience)

    async with serving(create_app(config), free_port()) as url:
        site = Site.model_validate({"site": "pull", "kind": "pull", "callback": url})
        await transact(engine, install_sites, [site])
        await transact(engine, allow_joining, "pull", "join-token-1", 1, 1.0, actor="test")
        words = ["--server", url, "--site", "pull", "--root", str(agent.root), "--process", "2"]
        given = {"REFINERY_JOIN_TOKEN": "join-token-1"}
        joined = await asyncio.to_thread(
            agent.run, "join", *words, "--python", sys.executable, **given
        )
        assert joined.returncode == 0, joined.stderr
        await world.register(new("slow-1"))
        await world.describe("slow-1")
        (claim,) = await world.claim()
        await world.enqueue(claim.job_id, "pull")
        await lives(agent, lambda: until(begun(agent), 30))
        assert await look() == []

        async def silent() -> bool:
            return bool(await look())

        await until(silent, 30)
        await told.once(look, "agent 1 does not work")
        text = told.people.mail_of("agent 1 does not work")
        assert "of site pull was last heard of" in text and "operate/agent order=gone" in text
        assert "It is so since 20" in text and "http://board.museum.dk/today" in text
        (agent.root / "go-on").touch()

        async def returned() -> bool:
            return (await world.states("slow-1"))["a"].value == "returned"

        await lives(agent, lambda: until(returned, 30))
        await told.once(look, "agent 1 works again")
    assert len(told.people.mails) == len(told.people.posts) == 2


def begun(agent: PackedAgent) -> Callable[[], Awaitable[bool]]:
    """Asks whether the work of its job was begun."""

    async def asked() -> bool:
        return bool(agent.work())

    return asked


async def lives(agent: PackedAgent, while_: Callable[[], Awaitable[object]]) -> None:
    """Let the agent live until something has happened; then it is killed."""
    process: subprocess.Popen[str] = await asyncio.to_thread(agent.start)
    try:
        await while_()
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)
