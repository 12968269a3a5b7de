"""Jobs that are told to stop: the scheduler's word says what that means, not the signal."""

from pathlib import Path
from typing import Any

import pytest

from hpc.sites.slurm.relay import ArchiveSharesError, ShareLocation
from schemas.files import FileFacts
from tests.support.slow_runner import slow_runner
from tests.support.slurm_site import SlurmSite


class ClosedShares:
    """An archive that gives nothing and takes nothing."""

    async def fetch(self, location: ShareLocation, file: FileFacts, to: Path) -> None:
        raise ArchiveSharesError("closed")

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        raise ArchiveSharesError("closed")


async def stopped(site: SlurmSite, folder: Path, **more: Any) -> dict[str, Any]:
    """Let a job of the real runner begin, have it make room for another; its attempt."""
    await site.queue("g-1")
    driver = site.driver(slow_runner(folder), **more)
    await site.until_states(driver, ["g-1"], "running")
    site.lab.run(
        *("sbatch", "--partition=urgent", "--nodes=2", "--exclusive"),
        *("--output=/dev/null", "--chdir=/", "--wrap=sleep 1"),
    )
    await site.until_states(driver, ["g-1"], "ready")
    return (await site.attempts("g-1"))[-1]


async def tries(site: SlurmSite) -> int:
    ((found,),) = await site.world.sql("SELECT max(tries) FROM track.job")
    return int(str(found))


@pytest.mark.parametrize("network", [True, False])
async def test_a_preempted_job_uses_no_try_whatever_its_runner_could_tell(
    site: SlurmSite, tmp_path: Path, network: bool
) -> None:
    """Its runner reported a failure at SIGTERM, before the scheduler's word was read."""
    more: dict[str, Any] = {} if network else {"callback": "", "archive_shares": ClosedShares()}
    attempt = await stopped(site, tmp_path, **more)
    assert attempt["outcome"] == "preempted"
    assert "it had to make room for another job" in attempt["message"]
    assert await tries(site) == 0


async def test_a_real_runner_that_somebody_cancels_uses_no_try_and_says_why_it_waits(
    site: SlurmSite, tmp_path: Path
) -> None:
    await site.queue("g-1")
    driver = site.driver(slow_runner(tmp_path))
    await site.until_states(driver, ["g-1"], "running")
    site.lab.run("scancel", (await site.batches())[0]["external_id"])
    await site.until_states(driver, ["g-1"], "ready")
    assert (await site.attempts("g-1"))[0]["outcome"] == "cancelled"
    assert await tries(site) == 0
    ((reason,),) = await site.world.sql("SELECT reason FROM track.job WHERE state = 'ready'")
    assert "somebody cancelled it at the site" in str(reason)
    assert "it is tried again at" in str(reason)


async def test_a_real_runner_that_is_warned_of_its_time_limit_ran_out_of_time(
    site: SlurmSite, tmp_path: Path
) -> None:
    await site.queue("g-1")
    driver = site.driver(slow_runner(tmp_path))
    await site.until_states(driver, ["g-1"], "running")
    site.lab.run("scancel", "--batch", "--signal=USR1", (await site.batches())[0]["external_id"])
    await site.until_states(driver, ["g-1"], "ready")
    (attempt,) = await site.attempts("g-1")
    assert (attempt["outcome"], attempt["exit_code"]) == ("timeout", 138)
    assert await tries(site) == 1
