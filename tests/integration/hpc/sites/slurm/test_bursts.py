"""What is queued together goes together, and nothing else has to wait for that."""

import asyncio
import time

import pytest

from hpc.sites import driver as driving
from hpc.sites.driver import drive
from tests.support.callbacks import until
from tests.support.slurm_site import ODD_RUNNER, SlurmSite
from tests.support.world import new


async def test_what_is_queued_within_the_interval_after_a_submission_is_one_array(
    site: SlurmSite,
) -> None:
    site.options = {"submit_s": 0.5}
    guids = [f"good-{n}" for n in range(11)]
    now = 1000.0
    driver = site.driver(ODD_RUNNER, clock=lambda: now)
    await site.queue(guids[0])
    assert await driver.turn() is None
    for guid in guids[1:]:
        now += 1 / 32
        await site.queue(guid)
        due_s = await driver.turn()
    assert [batch["size"] for batch in await site.batches()] == [1]
    assert due_s == 0.1875
    now += 0.1875
    assert await driver.turn() is None
    assert [batch["size"] for batch in await site.batches()] == [1, 10]


async def test_a_burst_is_few_arrays_and_the_driver_comes_for_them_by_itself(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "TICK_S", 3600.0)  # no turn but those that are asked for
    site.options = {"submit_s": 3}
    guids = [f"good-{n}" for n in range(13)]
    for guid in guids:
        await site.world.register(new(guid))
        await site.world.describe(guid)
    task = asyncio.create_task(drive(site.url, site.engine, site.name, site.driver(ODD_RUNNER)))

    async def sent(number: int) -> bool:
        task.done() and task.result()
        return sum(batch["size"] for batch in await site.batches()) == number

    try:
        await site.enqueue(guids[0])
        await until(lambda: sent(1))
        for guid in guids[1:]:
            await site.enqueue(guid)
        await until(lambda: sent(13))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(await site.batches()) <= 3


async def test_while_new_work_is_held_back_jobs_are_polled_and_cancelled(site: SlurmSite) -> None:
    site.options = {"submit_s": 3600}
    await site.queue("slow-1")
    later = 0.0
    driver = site.driver(ODD_RUNNER, clock=lambda: later + time.monotonic())
    await site.until_states(driver, ["slow-1"], "running")
    await site.queue("good-2")
    await site.world.sql(
        "UPDATE track.attempt SET cancel_requested_at = now() WHERE started_by IS NOT NULL"
    )
    await site.until_states(driver, ["slow-1"], "cancelled")
    assert await site.states("good-2") == ["queued"]
    later = 3600.0
    await site.until_states(driver, ["good-2"], "returned")


async def test_a_driver_that_has_just_begun_sends_at_once_what_another_held_back(
    site: SlurmSite,
) -> None:
    site.options = {"submit_s": 3600}
    await site.queue("good-1")
    first = site.driver(ODD_RUNNER)
    await first.turn()
    await site.queue("good-2")
    await first.turn()
    assert await site.states("good-2") == ["queued"]
    await first.close()
    await site.until_states(site.driver(ODD_RUNNER), ["good-1", "good-2"], "returned")


async def test_a_submission_without_an_answer_is_made_good_while_new_work_waits(
    site: SlurmSite,
) -> None:
    site.options = {"submit_s": 3600}
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    await driver.close()
    await site.world.sql(
        "UPDATE track.batch SET state = 'intended', external_id = NULL, submitted_at = NULL"
    )
    heir = site.driver(ODD_RUNNER)
    await heir.adopt()
    heir.submitter.pace.took_at = heir.clock()
    await site.until_states(heir, ["good-1"], "returned")
    (batch,) = await site.batches()
    assert len(site.lab.job_ids(batch["key"])) == 1
