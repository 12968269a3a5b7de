"""A controller that lost its state counts from the beginning: our old ids are others' jobs."""

import time

from demo.lab.slurm_lab import SlurmLab
from tests.support.slurm_site import SlurmSite
from track.commands import operations
from track.schema.database import transact


async def cancel(site: SlurmSite, guid: str) -> None:
    job_id = await site.world.job_id(guid, "clean")
    await transact(site.engine, operations.cancel, job_id, actor="operator:ib", why="")


async def test_a_cancel_ends_one_task_of_ours_and_never_what_has_its_id_now(
    site: SlurmSite,
) -> None:
    lab = site.lab
    lab.lose_state()
    site.options = {"resources": {"partition": "parked"}}
    _, second = await site.queue("a-1", "a-2")
    driver = site.driver()
    await driver.turn()
    (batch,) = await site.batches()
    await cancel(site, "a-1")

    async def one_left() -> bool:
        return lab.states(batch["key"]).count("PENDING") == 1

    await site.drive(driver, one_left)

    lab.lose_state()
    taken, made = "", 0
    while taken != batch["external_id"]:
        taken = lab.run(
            *("sbatch", "--parsable", "--partition=parked", "--array=0-1", "--job-name=others"),
            *("--output=/dev/null", "--chdir=/", "--wrap=sleep 600"),
        ).strip()
        made += 2
        assert int(taken) <= int(batch["external_id"])
    await cancel(site, "a-2")

    async def asked() -> bool:
        return second in driver.canceller.again_at

    await site.drive(driver, asked)
    for _ in range(3):
        await driver.turn()
    # Of a task that is cancelled while it waits Slurm shows nothing more.
    assert lab.states("others") == ["PENDING"] * made


def test_a_lab_that_lost_its_state_tells_of_no_job_before(lab: SlurmLab) -> None:
    """Ids are given again: another test took an old job's end for that of its own."""
    words = ("--parsable", "--wait", "--job-name=before", "--output=/dev/null", "--wrap=true")
    lab.run("sbatch", "--chdir=/", *words)
    until = time.monotonic() + 60
    while "before" not in [each.name for each in lab.records()]:
        assert time.monotonic() < until
        time.sleep(0.1)
    lab.lose_state()
    assert lab.records() == []
    assert lab.job_ids("before") == []
