"""Scripts on this machine: run there, ended there, told by the paths they have always called."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from hpc.sites.local.driver import LocalDriver
from schemas.sites import Site
from tests.support.callbacks import KEYS, cluster_config
from tests.support.events_server import EventsServer
from tests.support.serving import free_port, serving
from tests.support.slurm_site import ODD_RUNNER
from tests.support.world import World, install_sites, new
from track.commands import operations
from track.jobs.claims import Claim
from track.schema.database import transact

ODD_GUID = "a $(touch pwned) 'x'"
PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "ocr", "run": "bash ocr.sh {guid} {batch}", "resources": {"qos": "long"}},
        {"key": "other", "run": "module clean", "needs": "ocr"},
    ],
}
DONE = """\
curl -fsS "{api}/dev/api/v1/update_asset" -H 'Content-Type: application/json' \\
  -d '{{"guid": "'"$1"'", "job": "ocr", "status": "DONE", "data": {{}}}}' >&2
"""


@dataclass
class Here:
    """This machine as a site with a folder of scripts."""

    engine: AsyncEngine
    world: World
    api: str
    folder: Path
    drivers: list[LocalDriver] = field(default_factory=list)

    @property
    def site(self) -> Site:
        root, scripts = self.folder / "site", self.folder / "scripts"
        given = {"site": "local", "kind": "local", "root": str(root), "scripts": str(scripts)}
        return Site.model_validate(given | {"capacity": 2})

    def script(self, text: str) -> None:
        """What `ocr.sh` does."""
        (self.folder / "scripts" / "ocr.sh").write_text(text)

    def driver(self) -> LocalDriver:
        made = LocalDriver(self.site, self.engine, KEYS, self.api, ODD_RUNNER)
        self.drivers.append(made)
        return made

    async def queue(self, guid: str) -> Claim:
        """Register an asset and hand its script to this machine."""
        await self.world.register(new(guid, batch_name="W_2026-01-01"))
        await self.world.describe(guid)
        (found,) = await self.world.claim(guid=guid)
        await self.world.enqueue(found.job_id, "local")
        return found

    async def state(self, guid: str) -> str:
        return (await self.world.states(guid))["ocr"].value

    async def until(self, driver: LocalDriver, true: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + 120
        while not await true():
            shown = await self.world.sql("SELECT state, reason FROM track.job")
            assert time.monotonic() < deadline, shown
            await driver.turn()
            await asyncio.sleep(0.05)

    async def until_state(self, driver: LocalDriver, guid: str, state: str) -> None:
        async def there() -> bool:
            return await self.state(guid) == state

        await self.until(driver, there)

    async def attempt(self) -> tuple[Any, ...]:
        ((*found,),) = await self.world.sql(
            "SELECT outcome, exit_code, message FROM track.attempt ORDER BY id"
        )
        return tuple(found)


@pytest.fixture
async def here(engine: AsyncEngine, database: str, tmp_path: Path) -> AsyncIterator[Here]:
    """The site and the real clusters' API, which scripts of this machine may call."""
    async with EventsServer.serve() as events:
        networks = (ip_network("127.0.0.0/8"),)
        config = cluster_config(database, events.url, tmp_path, legacy_callbacks=networks)
        async with serving(create_app(config), free_port()) as api:
            made = Here(engine, await World.make(engine, PIPELINE), api, tmp_path)
            await transact(engine, install_sites, [made.site])
            (tmp_path / "scripts").mkdir()
            yield made
            for driver in made.drivers:
                for process in driver.running.values():
                    process.kill()
                    process.wait(10)


async def test_a_script_gets_its_arguments_unchanged_and_its_call_ends_the_job(here: Here) -> None:
    """It was once handed to the runner, which knew no module of that name."""
    here.script(f'printf "%s|" "$@" "$SBATCH_QOS" >>said; {DONE.format(api=here.api)}')
    await here.queue("g-1")
    await here.until_state(here.driver(), "g-1", "returned")
    assert (here.folder / "scripts" / "said").read_text() == "g-1|W_2026-01-01|long|"


async def test_a_script_that_fails_fails_its_attempt_with_its_output(here: Here) -> None:
    here.script("printf '%s' \"$1\" >said; echo 'no such asset' >&2; exit 9")
    await here.queue(ODD_GUID)
    await here.until_state(here.driver(), ODD_GUID, "ready")
    outcome, code, message = await here.attempt()
    assert (outcome, code) == ("failed", 9)
    assert "no such asset" in message
    scripts = here.folder / "scripts"
    assert ((scripts / "said").read_text(), (scripts / "pwned").exists()) == (ODD_GUID, False)


async def test_a_script_that_ends_well_without_a_call_has_failed(here: Here) -> None:
    here.script("exit 0")
    await here.queue("g-1")
    await here.until_state(here.driver(), "g-1", "ready")
    outcome, code, message = await here.attempt()
    assert (outcome, code) == ("failed", 0)
    assert "did not report DONE" in message


async def test_what_a_script_left_in_the_background_is_waited_for(here: Here) -> None:
    wait = "while [ ! -e go-on ]; do sleep 0.05; done; "
    here.script(f"( {wait} {DONE.format(api=here.api)} ) &\nexit 0")
    await here.queue("g-1")
    driver = here.driver()
    for _ in range(10):
        await driver.turn()
        await asyncio.sleep(0.05)
    assert await here.state("g-1") == "queued"
    heir = here.driver()
    await heir.adopt()
    (here.folder / "scripts" / "go-on").touch()
    await here.until_state(heir, "g-1", "returned")
    assert (await here.attempt())[0] == "done"


async def test_a_job_that_a_script_gave_to_a_scheduler_is_waited_for(here: Here) -> None:
    here.script("echo Submitted batch job 4711")
    await here.queue("g-1")

    async def told() -> bool:
        ((reason,),) = await here.world.sql("SELECT reason FROM track.job ORDER BY id LIMIT 1")
        return "4711" in str(reason)

    await here.until(here.driver(), told)
    assert await here.state("g-1") == "queued"


async def test_a_running_script_is_cancelled_to_its_end(here: Here) -> None:
    here.script("touch begun; sleep 600")
    found = await here.queue("g-1")
    driver = here.driver()

    async def begun() -> bool:
        return (here.folder / "scripts" / "begun").exists()

    await here.until(driver, begun)
    await transact(here.engine, operations.cancel, found.job_id, actor="test", why="a test")
    await here.until_state(driver, "g-1", "cancelled")
    assert (await here.attempt())[0] == "cancelled"
