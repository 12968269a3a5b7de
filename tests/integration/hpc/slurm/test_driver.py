"""The driver on a real Slurm behind a real sshd: one submission for many, and its ends."""

from tests.support.slurm_site import ODD_RUNNER, SlurmSite


async def test_fifty_jobs_go_as_one_array_over_one_connection_and_all_come_back(
    site: SlurmSite,
) -> None:
    guids = [f"asset-{n}" for n in range(50)]
    await site.queue(*guids)
    driver = site.driver()
    await site.until_states(driver, guids, "returned", seconds=60)
    await driver.turn()
    (batch,) = await site.batches()
    assert batch["size"] == 50
    assert batch["state"] == "ended"
    assert site.lab.job_ids(batch["key"]) == [batch["external_id"]]
    assert driver.wire.counts.connections == 1
    attempts = await site.attempts(guids[7])
    assert attempts[0]["outcome"] == "done"
    assert attempts[0]["started_by"] == attempts[0]["external_id"]


async def test_odd(site: SlurmSite) -> None:
    await site.queue("mute-1", "quiet-1", "fails-1", "good-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["mute-1", "good-1"], "returned")
    await site.until_states(driver, ["quiet-1", "fails-1"], "ready")
    print(await site.attempts("quiet-1"), await site.attempts("fails-1"))
