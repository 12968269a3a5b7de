"""Jobs that are there and end badly: each end has its name, and no work is done twice."""

import asyncio
from pathlib import Path

import pytest

from tests.support.serving import free_port
from tests.support.slow_runner import slow_runner
from tests.support.slurm_site import ODD_RUNNER, SlurmSite
from track.commands.operations import declare_lost
from track.schema.database import transact


async def test_a_duplicate_job_of_the_same_attempts_does_no_work(site: SlurmSite) -> None:
    await site.queue("slow-1", "slow-2")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1", "slow-2"], "running")
    (batch,) = await site.batches()
    folder = site.root / "batches" / batch["key"]
    twin = site.lab.run(
        *("sbatch", "--parsable", f"--job-name={batch['key']}", f"--chdir={folder}"),
        str(folder / "job.sh"),
    ).strip()

    async def twin_is_gone() -> bool:
        shown = site.lab.run("squeue", "-h", "-r", "-t", "all", "-j", twin, "-o", "%T", check=False)
        return set(shown.split()) <= {"COMPLETED"}

    await site.drive(driver, twin_is_gone)
    assert await site.states("slow-1", "slow-2") == ["running", "running"]
    (site.root / "go-on").touch()
    await site.until_states(driver, ["slow-1", "slow-2"], "returned")
    assert len(site.work_done()) == 2
    assert all(native.startswith(batch["external_id"]) for _, native in site.work_done())


async def test_a_job_cancelled_by_somebody_at_the_site_is_tried_again(site: SlurmSite) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    (batch,) = await site.batches()
    site.lab.run("scancel", batch["external_id"])
    await site.until_states(driver, ["slow-1"], "ready")
    (attempt,) = await site.attempts("slow-1")
    assert attempt["outcome"] == "cancelled"
    assert "somebody cancelled it at the site" in attempt["message"]


async def test_a_job_over_its_time_is_told_apart_and_gets_twice_as_much(
    site: SlurmSite, tmp_path: Path
) -> None:
    site.options = {"resources": {"time": "00:03", "mem": "100M"}}
    await site.queue("slow-1")
    driver = site.driver(slow_runner(tmp_path))
    await site.until_states(driver, ["slow-1"], "running")
    (batch,) = await site.batches()
    # Not now: a busy controller reads it a second later, and refuses a time that is past.
    soon = "EndTime=now+5seconds"
    site.lab.run("scontrol", "update", f"jobid={batch['external_id']}_0", soon)
    await site.until_states(driver, ["slow-1"], "ready")
    (attempt,) = await site.attempts("slow-1")
    assert attempt["outcome"] == "timeout"
    await site.answered(attempt["id"])
    await site.enqueue("slow-1")
    await driver.turn()
    again = (await site.batches())[1]
    assert again["resources"] == {"time": "00:06:00", "mem": 100}


async def test_a_node_that_fails_costs_no_try_and_is_avoided(site: SlurmSite) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    (batch,) = await site.batches()
    node = site.lab.run("squeue", "-h", "-j", batch["external_id"], "-o", "%N").strip()
    site.lab.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        await site.until_states(driver, ["slow-1"], "ready")
        (attempt,) = await site.attempts("slow-1")
        assert attempt["outcome"] == "node_fail"
        assert driver.state.avoided() == (node,)
        await site.answered(attempt["id"])
        await site.enqueue("slow-1")
        await site.until_states(driver, ["slow-1"], "running")
        key = (await site.batches())[1]["key"]
        script = (site.root / "batches" / key / "job.sh").read_text()
        assert f"#SBATCH --exclude={node}\n" in script
        heir = site.driver(ODD_RUNNER)
        await heir.adopt()
        assert heir.state.avoided() == (node,)
        ((tries,),) = await site.world.sql("SELECT tries FROM track.job WHERE state = 'running'")
        assert tries == 0
    finally:
        site.lab.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        (site.root / "go-on").touch()


async def test_nodes_that_cannot_call_back_use_no_try_and_degrade_the_site(
    site: SlurmSite,
) -> None:
    await site.queue("lost-1", "lost-2", "lost-3")
    nowhere = f"http://127.0.0.1:{free_port()}"
    driver = site.driver(ODD_RUNNER, callback=nowhere)
    await site.until_states(driver, ["lost-1", "lost-2", "lost-3"], "ready")
    await driver.turn()
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    assert "cannot reach our callback address" in str(why)
    heir = site.driver(ODD_RUNNER, callback=nowhere)
    await heir.adopt()
    assert "cannot reach our callback address" in heir.state.faulty()
    tries = await site.world.sql("SELECT DISTINCT tries FROM track.job WHERE state = 'ready'")
    assert (0,) in tries


async def test_jobs_the_controller_has_forgotten_are_known_by_what_they_left(
    site: SlurmSite,
) -> None:
    """Without accounting, and after MinJobAge, only the exit codes on the disk are evidence."""
    await site.queue("mute-1", "fails-1")
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    (batch,) = await site.batches()

    async def forgotten() -> bool:
        return not site.lab.states(batch["key"])

    async with asyncio.timeout(120):
        while not await forgotten():
            await asyncio.sleep(0.3)
    heir = site.driver(ODD_RUNNER)
    await heir.adopt()
    await site.until_states(heir, ["mute-1"], "returned")
    await site.until_states(heir, ["fails-1"], "ready")


async def test_jobs_of_which_nothing_is_left_stay_unknown_until_a_person_decides(
    site: SlurmSite,
) -> None:
    site.options = {"resources": {"partition": "parked"}}
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    (batch,) = await site.batches()
    site.lab.run("scancel", batch["external_id"])
    async with asyncio.timeout(120):
        while site.lab.states(batch["key"]):
            await asyncio.sleep(0.3)
    driver.poller.due_at = 0.0
    await driver.turn()
    assert await site.states("good-1") == ["queued"]
    assert len(driver.poller.unknown) == 1
    job_id = await site.world.job_id("good-1", "clean")
    line = await transact(
        site.engine,
        declare_lost,
        job_id,
        actor="operator:ib",
        why="the node burnt",
    )
    assert (line.was, line.now) == ("queued", "ready")
    await driver.turn()
    assert await site.states("good-1") == ["ready"]
    assert (await site.attempts("good-1"))[0]["outcome"] == "declared"


async def test_a_controller_that_does_not_answer_changes_no_job(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    with site.lab.stopped():
        driver.poller.due_at = 0.0
        await driver.turn()
    assert await site.states("slow-1") == ["running"]
    assert not driver.poller.unknown
    assert driver.state.squeue.open

    async def answers() -> bool:
        return not driver.state.squeue.open

    await site.drive(driver, answers)
    (site.root / "go-on").touch()
    await site.until_states(driver, ["slow-1"], "returned")


async def test_a_clock_that_is_wrong_over_there_is_seen_and_decides_nothing(
    site: SlurmSite, tmp_path: Path
) -> None:
    fake = tmp_path / "bin" / "date"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\n/bin/date -d "-3 hours" "$@"\n')
    fake.chmod(0o755)
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER, prelude=f"PATH={fake.parent}:$PATH")
    await site.until_states(driver, ["good-1"], "returned")
    assert driver.state.hello is not None
    assert driver.state.hello.clock_skew_s == pytest.approx(-10800, abs=60)
