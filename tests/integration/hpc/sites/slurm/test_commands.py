"""Programs on a real Slurm: in an array, cancelled while they run, with and without a network."""

import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpc.sites.slurm.driver import SlurmDriver
from tests.support.slurm_site import SlurmSite
from tests.support.world import edit
from track.commands import operations
from track.jobs.outputs import retrieval
from track.schema.database import transact

WORKS = """\
import os, sys
open("made.h5", "w").write(sys.argv[1])
print("at", os.environ["REFINERY_STAGE"])
"""
STAYS = """\
import os, sys, time
if os.fork() == 0:
    os.setsid()
with open(sys.argv[1] + "/pids", "a") as told:
    told.write(f"{os.getpid()}\\n")
time.sleep(300)
"""


class NoShares:
    """The archive's shares, of which a command without inputs needs none."""

    async def fetch(self, *_: Any) -> None:
        raise AssertionError("nothing is to be fetched")

    async def send(self, *_: Any) -> None:
        raise AssertionError("nothing is to be sent")


async def queue(site: SlurmSite, source: str, *guids: str, **more: Any) -> None:
    """Have a command run for each asset, which has no file in the archive."""
    words = [sys.executable, "-c", source.replace("{", "{{").replace("}", "}}")]
    given = {"command": [*words, "{folder}" if source == STAYS else "{guid}"], **more}
    stage = {"key": "clean", "run": "command", "resources": {"time": "00:05:00"}, **given}
    await edit(site.engine, {"pipeline": "P", "stages": [stage]})
    await site.queue(*guids)


async def outputs_here(site: SlurmSite, driver: SlurmDriver, guid: str) -> None:
    job_id = await site.world.job_id(guid, "clean")

    async def here() -> bool:
        return await transact(site.engine, retrieval, job_id) == ""

    await site.drive(driver, here)


@pytest.mark.parametrize("network", [True, False], ids=["network", "none"])
async def test_programs_run_in_an_array_and_their_outputs_are_brought(
    site: SlurmSite, tmp_path: Path, network: bool
) -> None:
    outputs = tmp_path / "outputs"
    offline: dict[str, Any] = {} if network else {"callback": "", "archive_shares": NoShares()}
    driver = site.driver(outputs=outputs, **offline)
    await queue(site, WORKS, "g-1", "g-2", outputs=["*.h5"])
    await site.until_states(driver, ["g-1", "g-2"], "returned")
    assert [batch["size"] for batch in await site.batches()] == [2]
    for guid in ("g-1", "g-2"):
        await outputs_here(site, driver, guid)
        assert (outputs / guid / "clean" / "made.h5").read_text() == guid
    rows = await site.world.sql("SELECT details FROM track.job")
    assert rows == [({"exit_code": 0, "output": "at clean"},)] * 2


async def test_a_cancel_while_it_runs_ends_all_that_it_started(site: SlurmSite) -> None:
    await queue(site, STAYS, "g-1")
    driver = site.driver()
    noted = site.root / "assets" / "g-1" / "pids"

    async def at_work() -> bool:
        return noted.exists() and len(noted.read_text().split()) == 2

    await site.drive(driver, at_work)
    job_id = await site.world.job_id("g-1", "clean")
    await transact(site.engine, operations.cancel, job_id, actor="operator:ib", why="")
    await site.until_states(driver, ["g-1"], "cancelled")

    async def gone() -> bool:
        return not any(psutil.pid_exists(int(pid)) for pid in noted.read_text().split())

    await site.drive(driver, gone, 40)
