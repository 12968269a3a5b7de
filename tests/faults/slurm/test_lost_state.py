"""A controller that lost its state counts from the beginning: our old ids are others' jobs."""

from tests.support.slurm_site import SlurmSite
from track import operations
from track.database import transact


async def cancel(site: SlurmSite, guid: str) -> None:
    job_id = await site.world.job_id(guid, "clean")
    await transact(
        site.engine, lambda tx: operations.cancel(tx, job_id, actor="operator:ib", why="")
    )


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
        return second in driver.cancelled

    await site.drive(driver, asked)
    for _ in range(3):
        await driver.turn()
    # Of a task that is cancelled while it waits Slurm shows nothing more.
    assert lab.states("others") == ["PENDING"] * made
