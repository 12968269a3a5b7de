"""Programs on this machine: the real runner, the real clusters' API, the real database."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from hpc.archives import build_runner
from hpc.sites.local.driver import LocalDriver
from schemas.sites import Site
from tests.support.callbacks import KEYS, cluster_config
from tests.support.events_server import EventsServer
from tests.support.serving import free_port, serving
from tests.support.world import World, edit, install_sites, new
from track.commands import operations
from track.jobs.outputs import retrieval
from track.schema.database import transact
from track.schema.states import State

ODD = "ø 'a b' $HOME {x} \"; exit 1"
WORKS = """\
import json, os, sys
print("at work", sys.argv[1:])
os.mkdir("d")
with open("d/ø 1.h5", "w") as made:
    made.write(os.environ["REFINERY_GUID"])
told = json.load(open(os.environ["REFINERY_PARAMS"]))
open("result.json", "w").write(json.dumps({"told": told["params"], "before": told["results"]}))
sys.exit(3)
"""
STAYS = """\
import os, sys, time
if os.fork() == 0:
    os.setsid()
with open(sys.argv[1] + "/pids", "a") as told:
    told.write(f"{os.getpid()}\\n")
print("at work", flush=True)
while not os.path.exists(sys.argv[1] + "/go-on"):
    time.sleep(0.02)
"""
"""Two processes, of which one has freed itself; both go on until they are let go."""


@dataclass
class Here:
    """This machine as a site, the world behind it, and a pipeline of nothing but commands."""

    engine: AsyncEngine
    world: World
    api: str
    folder: Path
    runner: Path
    drivers: list[LocalDriver] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "site"

    def driver(self) -> LocalDriver:
        given = {"site": "local", "kind": "local", "root": str(self.root), "python": sys.executable}
        site = Site.model_validate({**given, "capacity": 2})
        outputs = self.folder / "outputs"
        made = LocalDriver(site, self.engine, KEYS, self.api, self.runner, outputs)
        self.drivers.append(made)
        return made

    async def queue(self, *words: str, **more: Any) -> None:
        """Register asset `g`, which has no metadata, and hand its command to this machine."""
        stage = {"key": "run", "run": "command", "command": list(words), "retries": 1, **more}
        await edit(self.engine, {"pipeline": "P", "stages": [stage]})
        await self.world.register(new("g"))
        (found,) = await self.world.claim(guid="g")
        await self.world.enqueue(found.job_id, "local")

    async def until(self, driver: LocalDriver, true: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + 60
        while not await true():
            shown = await self.world.sql("SELECT state, reason FROM track.job")
            assert time.monotonic() < deadline, shown
            await driver.turn()
            await asyncio.sleep(0.05)

    async def until_state(self, driver: LocalDriver, state: State) -> None:
        async def there() -> bool:
            return (await self.world.states("g"))["run"] is state

        await self.until(driver, there)

    async def until_at_work(self, driver: LocalDriver) -> None:
        async def there() -> bool:
            return len(self.living()) == 2

        await self.until(driver, there)

    def living(self) -> list[int]:
        """The processes of a command that noted their ids and have not ended."""
        noted = self.folder / "pids"
        pids = map(int, noted.read_text().split() if noted.exists() else ())
        alive = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    alive.append(pid)
        return alive

    async def attempt(self) -> dict[str, Any]:
        (found,) = await self.world.rows("SELECT * FROM track.attempt")
        return found

    async def job(self) -> dict[str, Any]:
        (found,) = await self.world.rows("SELECT * FROM track.job")
        return found

    async def close(self) -> None:
        """End what still runs, by the ids that are known, and reap what was started here."""
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for driver in self.drivers:
            for started in driver.running.values():
                started.kill()
                started.wait(10)
            await driver.close()


@pytest.fixture
async def here(engine: AsyncEngine, database: str, tmp_path: Path) -> AsyncIterator[Here]:
    """The local site with the real clusters' API; whatever still runs for it is ended."""
    async with EventsServer.serve() as events:
        config = cluster_config(database, events.url, tmp_path)
        async with serving(create_app(config), free_port()) as api:
            pipeline = {"pipeline": "P", "stages": [{"key": "first", "run": "module clean"}]}
            world = await World.make(engine, pipeline)
            runner = await asyncio.to_thread(build_runner, tmp_path / "runner")
            made = Here(engine, world, api, tmp_path, runner)
            await transact(engine, install_sites, [made.driver().site])
            made.root.mkdir()
            try:
                yield made
            finally:
                await made.close()


def python(source: str, *words: str) -> list[str]:
    return [sys.executable, "-c", source.replace("{", "{{").replace("}", "}}"), *words]


async def test_a_program_runs_its_outputs_are_brought_and_its_words_are_kept(here: Here) -> None:
    words = python(WORKS, "{guid}", "{folder}", "{params.odd}")
    given = {"params": {"odd": ODD}, "expect_exit": [0, 3], "outputs": ["d/*.h5"]}
    await here.queue(*words, **given)
    driver = here.driver()
    await here.until_state(driver, State.RETURNED)
    job = await here.job()
    said = ["g", str(here.root / "assets" / "g"), ODD]
    assert job["details"] == {
        "exit_code": 3,
        "output": f"at work {said}",
        "result": {"told": {"odd": ODD}, "before": {}},
    }

    async def brought() -> bool:
        return await transact(here.engine, retrieval, job["id"]) == ""

    await here.until(driver, brought)
    outputs = here.folder / "outputs"
    found = [str(each.relative_to(outputs)) for each in outputs.rglob("*") if each.is_file()]
    assert found == ["g/run/d/ø 1.h5"]
    assert (outputs / found[0]).read_text() == "g"
    used = await here.attempt()
    assert (used["outcome"], used["max_rss_mb"] > 5) == ("done", True)


async def test_another_code_uses_a_try_and_its_log_is_kept(here: Here) -> None:
    await here.queue("/bin/sh", "-c", "echo all lost; exit 9")
    driver = here.driver()
    await here.until_state(driver, State.READY)
    job, attempt = await here.job(), await here.attempt()
    assert (job["tries"], attempt["outcome"], attempt["exit_code"]) == (1, "failed", 9)
    assert attempt["message"] == "/bin/sh ended with code 9, not 0: all lost"

    async def over() -> bool:
        return not driver.under_way

    await here.until(driver, over)
    (log,) = here.root.glob("batches/*/log/0.output")
    assert log.read_text() == "all lost\n"


async def test_outputs_that_it_did_not_leave_fail_the_job_by_name(here: Here) -> None:
    await here.queue("/bin/true", outputs=["a.h5"])
    await here.until_state(here.driver(), State.FAILED)
    assert "'run/a.h5'" in (await here.job())["reason"]


@pytest.mark.parametrize("whose", ["own", "adopted"])
async def test_a_cancel_while_it_runs_ends_all_that_it_started(here: Here, whose: str) -> None:
    await here.queue(*python(STAYS, str(here.folder)))
    driver = here.driver()
    await here.until_at_work(driver)
    if whose == "adopted":
        driver = here.driver()
        await driver.adopt()
    job_id = (await here.job())["id"]
    await transact(here.engine, operations.cancel, job_id, actor="operator:ib", why="")
    await here.until_state(driver, State.CANCELLED)
    assert here.living() == []
    assert (await here.attempt())["outcome"] == "cancelled"


async def test_its_time_limit_ends_it_and_uses_a_try(here: Here) -> None:
    await here.queue(*python(STAYS, str(here.folder)), resources={"time": "00:00:02"})
    driver = here.driver()
    await here.until_at_work(driver)
    await here.until_state(driver, State.READY)
    assert here.living() == []
    assert ((await here.attempt())["outcome"], (await here.job())["tries"]) == ("timeout", 1)


async def test_a_killed_runner_leaves_nothing_behind_when_its_job_is_done_again(
    here: Here,
) -> None:
    await here.queue(*python(STAYS, str(here.folder)))
    driver = here.driver()
    await here.until_at_work(driver)
    (process,) = driver.running.values()
    process.kill()
    await here.until_state(driver, State.READY)
    assert here.living() == []
    ended = await here.attempt()
    # Two processes print at once, and their lines may run into each other.
    assert ended["outcome"] == "failed"
    assert ended["result"]["printed"].count("at work") == 2


async def test_a_runner_that_does_not_stop_is_ended_by_force_with_its_program(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.local.driver.GRACE_S", 0.3)
    await here.queue(*python(STAYS, str(here.folder)))
    driver = here.driver()
    await here.until_at_work(driver)
    (process,) = driver.running.values()
    process.send_signal(signal.SIGSTOP)
    job_id = (await here.job())["id"]
    await transact(here.engine, operations.cancel, job_id, actor="operator:ib", why="")
    await here.until_state(driver, State.CANCELLED)
    assert here.living() == []


async def test_a_program_outlives_its_driver_and_its_result_is_taken(here: Here) -> None:
    await here.queue(*python(STAYS, str(here.folder)))
    first = here.driver()
    await here.until_at_work(first)
    heir = here.driver()
    await heir.adopt()
    await heir.turn()
    assert len(here.living()) == 2
    (here.folder / "go-on").touch()
    await here.until_state(heir, State.RETURNED)
    assert (await here.job())["details"] == {"exit_code": 0, "output": "at work\nat work"}
