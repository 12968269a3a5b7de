"""This machine as a site: runners that end well, die, outlive their driver, are stopped."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.clusters import create_app
from hpc.sites import driver as driving
from hpc.sites.collect import report
from hpc.sites.driver import drive
from hpc.sites.local.driver import MEMBERS_AT_ONCE, LocalDriver
from schemas.backoff import Backoff
from schemas.sites import Site
from tests.support.callbacks import KEYS, cluster_config
from tests.support.events_server import EventsServer
from tests.support.serving import free_port, serving
from tests.support.slow_runner import slow_runner
from tests.support.slurm_site import ODD_RUNNER
from tests.support.world import World, install_sites, new
from track.commands import operations
from track.commands.site_health import degrade
from track.jobs.outputs import retrieval
from track.schema.database import transact

PIPELINE: dict[str, Any] = {"pipeline": "P", "stages": [{"key": "a", "run": "module clean"}]}


@dataclass
class Here:
    """The local site, and the world behind it."""

    engine: AsyncEngine
    world: World
    callback: str
    folder: Path
    capacity: int = 2
    drivers: list[LocalDriver] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "site"

    def driver(self) -> LocalDriver:
        given = {"site": "local", "kind": "local", "root": str(self.root)}
        site = Site.model_validate({**given, "capacity": self.capacity})
        outputs = self.folder / "outputs"
        made = LocalDriver(site, self.engine, KEYS, self.callback, ODD_RUNNER, outputs)
        self.drivers.append(made)
        return made

    def end_runners(self) -> None:
        """Kill what still runs, and reap what was started here."""
        for process in runners(self.root):
            process.kill()
        for driver in self.drivers:
            for started in driver.running.values():
                started.wait(10)

    async def queue(self, *guids: str) -> None:
        """Register assets and hand their stage to this machine."""
        for guid in guids:
            await self.world.register(new(guid))
            await self.world.describe(guid)
            await self.again(guid)

    async def again(self, guid: str) -> None:
        """Hand a ready job to this machine."""
        (found,) = await self.world.claim(limit=100, guid=guid)
        await self.world.enqueue(found.job_id, "local")

    async def states(self, *guids: str) -> list[str]:
        return [(await self.world.states(guid))["a"].value for guid in guids]

    async def until(self, driver: LocalDriver, state: str, *guids: str) -> None:
        deadline = time.monotonic() + 30
        while set(await self.states(*guids)) != {state}:
            assert time.monotonic() < deadline, await self.states(*guids)
            await driver.turn()
            await asyncio.sleep(0.05)

    async def attempts(self) -> list[tuple[Any, ...]]:
        return list(
            await self.world.sql(
                "SELECT outcome, exit_code, started_by IS NOT NULL FROM track.attempt ORDER BY id"
            )
        )

    async def tries(self) -> int:
        ((found,),) = await self.world.sql("SELECT tries FROM track.job")
        assert isinstance(found, int)
        return found


@pytest.fixture
async def here(engine: AsyncEngine, database: str, tmp_path: Path) -> AsyncIterator[Here]:
    """The local site with the real clusters' API; whatever still runs for it is ended."""
    async with EventsServer.serve() as events:
        config = cluster_config(database, events.url, tmp_path)
        async with serving(create_app(config), free_port()) as callback:
            made = Here(engine, await World.make(engine, PIPELINE), callback, tmp_path)
            site = made.driver().site
            await transact(engine, install_sites, [site])
            made.root.mkdir()
            try:
                yield made
            finally:
                made.end_runners()


def runners(root: Path) -> list[psutil.Process]:
    """The living runners of a site."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(root) in w for w in words):
            found.append(process)
    return found


async def only_runner(root: Path, true: Callable[[], bool] = lambda: True) -> psutil.Process:
    async with asyncio.timeout(20):
        while len(found := runners(root)) != 1 or not true():
            await asyncio.sleep(0.02)
    return found[0]


async def test_jobs_run_as_processes_and_come_back_by_http(here: Here) -> None:
    await here.queue("good-1", "good-2", "mute-3")
    await here.until(here.driver(), "returned", "good-1", "good-2", "mute-3")
    assert await here.attempts() == [("done", None, True)] * 3


async def test_a_proxy_for_the_outside_is_not_asked_for_our_own_api(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    await here.queue("good-1")
    await here.until(here.driver(), "returned", "good-1")


async def test_no_more_runners_than_there_is_room_for(here: Here) -> None:
    guids = [f"slow-{n}" for n in range(5)]
    await here.queue(*guids)
    driver = here.driver()
    for _ in range(10):
        await driver.turn()
        assert len(runners(here.root)) <= here.capacity
    (here.root / "go-on").touch()
    await here.until(driver, "returned", *guids)


async def test_the_next_runner_begins_when_one_has_ended_and_not_at_a_tick(
    here: Here, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "TICK_S", 300.0)
    here.capacity = 1
    guids = [f"good-{n}" for n in range(3 * MEMBERS_AT_ONCE)]
    await here.queue(*guids)
    task = asyncio.create_task(drive(database, here.engine, "local", here.driver()))
    try:
        async with asyncio.timeout(60):
            while set(await here.states(*guids)) != {"returned"}:
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_runner_killed_at_its_work_costs_a_try_and_the_job_is_done_again(
    here: Here,
) -> None:
    await here.queue("slow-1")
    driver = here.driver()
    await here.until(driver, "running", "slow-1")
    (await only_runner(here.root)).kill()
    await here.until(driver, "ready", "slow-1")
    assert await here.attempts() == [("failed", -signal.SIGKILL, True)]
    assert await here.tries() == 1
    await here.world.sql("UPDATE track.job SET available_at = now()")
    (here.root / "go-on").touch()
    await here.again("slow-1")
    await here.until(driver, "returned", "slow-1")


@pytest.mark.parametrize(("guid", "said"), [("slow-1", "looks at slow-1"), ("mute-1", "")])
async def test_a_runner_killed_at_its_work_leaves_what_its_module_printed(
    here: Here, guid: str, said: str
) -> None:
    await here.queue(guid)
    driver = here.driver()
    driver.runner = slow_runner(here.folder)
    await here.until(driver, "running", guid)
    (batch,) = driver.under_way.values()
    kept = here.root / "batches" / batch.key / "log" / "0.output"
    (await only_runner(here.root, lambda: kept.exists() and said in kept.read_text())).kill()
    await here.until(driver, "ready", guid)
    assert await here.world.sql("SELECT result ->> 'printed' FROM track.attempt") == [(said,)]


async def test_a_runner_outlives_its_driver_and_the_next_one_takes_it_up(here: Here) -> None:
    await here.queue("slow-1")
    await here.until(here.driver(), "running", "slow-1")
    heir = here.driver()
    await heir.adopt()
    await heir.turn()
    assert len(heir.under_way) == 1
    assert await here.states("slow-1") == ["running"]
    (here.root / "go-on").touch()
    await here.until(heir, "returned", "slow-1")
    assert await here.attempts() == [("done", None, True)]


async def test_a_dead_runner_that_nobody_reaped_is_not_taken_for_a_living_one(here: Here) -> None:
    """As in a container whose first process waits for nobody."""
    await here.queue("slow-1")
    dead = here.driver()
    await here.until(dead, "running", "slow-1")
    runner = await only_runner(here.root)
    runner.kill()
    async with asyncio.timeout(10):
        while runner.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)
    heir = here.driver()
    await heir.adopt()
    assert runner.status() == psutil.STATUS_ZOMBIE
    assert await here.states("slow-1") == ["ready"]
    assert await here.attempts() == [("lost", None, True)]
    assert await here.tries() == 0  # nobody saw how it ended


async def test_results_left_while_no_driver_was_there_are_applied_by_the_next(here: Here) -> None:
    await here.queue("mute-1")
    driver = here.driver()
    await driver.turn()
    (process,) = driver.running.values()
    await asyncio.to_thread(process.wait, 20)
    assert await here.states("mute-1") == ["running"]
    await here.driver().adopt()
    assert await here.states("mute-1") == ["returned"]


@pytest.mark.parametrize("moment", ["spawn", "mark_submitted"])
async def test_a_driver_killed_between_intent_and_id_loses_nothing(
    here: Here, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.queue("good-1")
    driver = here.driver()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"hpc.sites.local.driver.{moment}", die)
        with pytest.raises(KeyboardInterrupt):
            await driver.turn()
    heir = here.driver()
    await heir.adopt()
    if moment == "spawn":
        assert await here.states("good-1") == ["ready"]
        assert await here.tries() == 0
        await here.world.sql("UPDATE track.job SET available_at = now()")
        await here.again("good-1")
    await here.until(heir, "returned", "good-1")
    outcomes = [row[0] for row in await here.attempts()]
    assert outcomes == (["lost", "done"] if moment == "spawn" else ["done"])


@pytest.mark.parametrize("whose", ["own", "adopted"])
async def test_a_cancelled_job_is_stopped_also_by_a_driver_that_did_not_start_it(
    here: Here, whose: str
) -> None:
    await here.queue("slow-1")
    driver = here.driver()
    await here.until(driver, "running", "slow-1")
    runner = await only_runner(here.root)
    if whose == "adopted":
        driver = here.driver()
        await driver.adopt()
    job_id = await here.world.job_id("slow-1", "a")
    await transact(here.engine, operations.cancel, job_id, actor="operator:ib", why="")
    await here.until(driver, "cancelled", "slow-1")
    assert not runner.is_running() or runner.status() == psutil.STATUS_ZOMBIE


async def test_outputs_of_this_machine_are_put_in_their_place_too(here: Here) -> None:
    await here.queue("makes-1")
    driver = here.driver()
    await here.until(driver, "returned", "makes-1")
    job_id = await here.world.job_id("makes-1", "a")
    async with asyncio.timeout(60):
        while await transact(here.engine, retrieval, job_id) != "":
            await driver.turn()
            await asyncio.sleep(0.05)
    made = here.folder / "outputs" / "makes-1" / "a"
    assert (made / "note.txt").read_bytes() == b"short"
    assert os.path.getsize(made / "derived" / "large.bin") == 3_000_001


async def test_a_site_whose_runner_could_not_be_started_recovers_once_it_can_be(
    here: Here,
) -> None:
    await here.queue("good-1")
    broken = here.driver()
    broken.site = broken.site.model_copy(update={"python": "/nowhere/python"})
    with pytest.raises(FileNotFoundError):
        await broken.turn()
    await transact(here.engine, degrade, "local", "its driver broke")
    heir = here.driver()
    await heir.adopt()
    assert await here.states("good-1") == ["ready"]
    assert await here.tries() == 0
    await heir.turn()
    assert await here.world.sql("SELECT name FROM track.site WHERE degraded <> ''") == []


async def cancel(here: Here, guid: str) -> None:
    job_id = await here.world.job_id(guid, "a")
    await transact(here.engine, operations.cancel, job_id, actor="operator:ib", why="")


@pytest.mark.parametrize("kind", ["slow", "deaf"])
async def test_the_first_of_a_batch_is_stopped_and_the_others_go_on(
    here: Here, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.local.driver.GRACE_S", 0.3)
    here.capacity = 1
    await here.queue(f"{kind}-1", "good-2", "good-3")
    driver = here.driver()
    await here.until(driver, "running", f"{kind}-1")
    await cancel(here, f"{kind}-1")
    await here.until(driver, "cancelled", f"{kind}-1")
    await here.until(driver, "returned", "good-2", "good-3")
    assert [row[0] for row in await here.attempts()] == ["cancelled", "done", "done"]
    assert await here.world.sql("SELECT count(*) FROM track.batch") == [(1,)]


@pytest.mark.parametrize("kind", ["slow", "deaf"])
async def test_a_job_over_its_time_is_ended_and_gets_twice_as_much(
    here: Here, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.local.driver.GRACE_S", 0.3)
    here.capacity = 1
    await here.queue(f"{kind}-1", "good-2")
    await here.world.sql("""UPDATE track.stage SET resources = '{"time": "00:00:01"}'""")
    driver = here.driver()
    await here.until(driver, "ready", f"{kind}-1")
    await here.until(driver, "returned", "good-2")
    rows = await here.world.sql(
        "SELECT t.outcome, j.tries, j.reason FROM track.job j"
        " JOIN track.attempt t ON t.id = j.attempt_id WHERE j.asset_guid <> 'good-2'"
    )
    (outcome, tries, reason) = rows[0]
    assert (outcome, tries) == ("timeout", 1)
    assert "its time ran out: it may run for 1 s" in str(reason)
    await here.world.sql("UPDATE track.job SET available_at = now()")
    (here.root / "go-on").touch()
    await here.again(f"{kind}-1")
    await here.until(driver, "returned", f"{kind}-1")
    asked = await here.world.sql("SELECT resources ->> 'time' FROM track.batch ORDER BY id")
    assert asked == [("00:00:01",), ("00:00:02",)]


async def test_nothing_is_left_of_a_batch_that_went_well_and_only_logs_of_another(
    here: Here,
) -> None:
    here.capacity = 1
    driver = here.driver()
    batches = here.root / "batches"
    await here.queue("good-1", "mute-2")
    await here.until(driver, "returned", "good-1", "mute-2")
    async with asyncio.timeout(60):
        while driver.under_way:
            await driver.turn()
    assert list(batches.iterdir()) == []
    await here.queue("fails-3")
    await here.until(driver, "ready", "fails-3")
    (folder,) = batches.iterdir()
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"runner.log"}


async def test_what_a_killed_driver_left_is_removed_by_the_next_but_not_what_runs(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.queue("good-1", "slow-2")
    driver = here.driver()
    monkeypatch.setattr("hpc.sites.local.driver.clear_folder", lambda *_, **__: None)
    await here.until(driver, "running", "slow-2")
    await here.until(driver, "returned", "good-1")
    async with asyncio.timeout(60):
        while len(driver.under_way) > 1:
            await driver.turn()
            await asyncio.sleep(0.02)
    old = here.root / "batches" / "bold"
    (old / "log").mkdir(parents=True)
    os.utime(old, (1_000_000_000, 1_000_000_000))
    heir = here.driver()
    await heir.adopt()
    await heir.turn()
    tokens = [path.parent.name for path in here.root.glob("batches/*/tokens")]
    (running,) = heir.under_way.values()
    assert tokens == [running.key]
    assert not old.exists()
    (here.root / "go-on").touch()
    await here.until(heir, "returned", "slow-2")


async def test_outputs_that_cannot_be_kept_hide_none_behind_them_and_say_why(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.retries.PAUSES", Backoff(0.1, 900.0))
    in_the_way = here.folder / "outputs" / "makes-1"
    in_the_way.parent.mkdir()
    in_the_way.write_bytes(b"not a folder")
    driver = here.driver()
    await here.queue("makes-1", "makes-2")
    await here.until(driver, "returned", "makes-1", "makes-2")

    async def are_here(guid: str) -> None:
        job_id = await here.world.job_id(guid, "a")
        async with asyncio.timeout(60):
            while await transact(here.engine, retrieval, job_id) != "":
                await driver.turn()
                await asyncio.sleep(0.05)

    await are_here("makes-2")
    told = "SELECT reason FROM track.job WHERE asset_guid = 'makes-1'"
    async with asyncio.timeout(60):  # whichever of the two was looked at first
        while "its outputs cannot be kept here" not in str(await here.world.sql(told)):
            await driver.turn()
            await asyncio.sleep(0.05)
    in_the_way.unlink()
    await are_here("makes-1")


async def test_a_machine_whose_runners_never_get_to_a_start_is_held_and_says_so(
    here: Here,
) -> None:
    driver = here.driver()
    ahead = 0.0
    driver.clock = lambda: time.monotonic() + ahead
    for guid in ("lost-1", "lost-2", "lost-3"):
        await here.queue(guid)
        await here.until(driver, "ready", guid)
    ((why,),) = await here.world.sql("SELECT degraded FROM track.site WHERE name = 'local'")
    assert "its runners end with code 75 before they start" in str(why)
    await here.world.sql("UPDATE track.job SET available_at = now()")
    assert await here.world.claim() == []
    ahead = 601.0
    await driver.turn()
    await here.queue("good-4")
    await here.until(driver, "returned", "good-4")


async def test_one_end_is_one_fault_however_often_its_transaction_is_done(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, deadlocks = here.driver(), 4

    async def report_after_deadlocks(tx: AsyncConnection, *args: Any, **named: Any) -> None:
        nonlocal deadlocks
        if (deadlocks := deadlocks - 1) >= 0:
            await tx.execute(text("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"))
        await report(tx, *args, **named)

    monkeypatch.setattr("hpc.sites.local.driver.report", report_after_deadlocks)
    await here.queue("lost-1")
    await here.until(driver, "ready", "lost-1")
    assert deadlocks < 0 and driver.faults.times == 1
    assert await here.world.sql("SELECT name FROM track.site WHERE degraded <> ''") == []
