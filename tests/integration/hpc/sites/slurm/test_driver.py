"""The driver on a real Slurm behind a real sshd: one submission for many, and its ends."""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from demo.lab.sshd import running_sshd
from hpc.sites.driver import drive
from hpc.sites.slurm.answers import SiteTrouble
from hpc.sites.slurm.judge import RESULT_GRACE_S
from hpc.transport.errors import LinkLost
from hpc.transport.ssh import SshLink
from tests.support.slurm_site import ODD_RUNNER, SlurmSite
from track.commands.operations import declare_lost
from track.jobs.sites import choose_site
from track.schema.database import transact


async def test_twenty_jobs_go_as_one_array_over_one_connection_and_all_come_back(
    site: SlurmSite,
) -> None:
    guids = [f"asset-{n}" for n in range(20)]
    await site.queue(*guids)
    driver = site.driver()
    await site.until_states(driver, guids, "returned", seconds=60)
    await driver.turn()
    (batch,) = await site.batches()
    assert (batch["size"], batch["state"]) == (20, "ended")
    assert site.lab.job_ids(batch["key"]) == [batch["external_id"]]
    assert driver.wire.counts.connections == 1
    (attempt,) = await site.attempts(guids[7])
    assert attempt["outcome"] == "done"
    assert attempt["started_by"] == attempt["external_id"] == f"{batch['external_id']}_7"


async def test_tokens_lie_in_a_closed_file_and_nowhere_else(site: SlurmSite) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    (batch,) = await site.batches()
    folder = site.root / "batches" / batch["key"]
    assert oct((folder / "tokens").stat().st_mode & 0o777) == "0o600"
    token = (folder / "tokens").read_text().strip()
    shown = site.lab.run("scontrol", "show", "job", "-dd", batch["external_id"])
    assert token not in shown
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
            except OSError:
                continue
            if int(process.name) != os.getpid():
                assert token.encode() not in content
    (site.root / "go-on").touch()


async def test_results_that_could_not_be_called_back_are_collected_and_silence_is_no_result(
    site: SlurmSite,
) -> None:
    _, silent, *_ = await site.queue("mute-1", "quiet-1", "fails-1", "good-1")
    later = 0.0
    driver = site.driver(ODD_RUNNER, clock=lambda: later + time.monotonic())
    await site.until_states(driver, ["mute-1", "good-1"], "returned")
    await site.until_states(driver, ["fails-1"], "ready")
    await site.until_results_are_awaited(driver, silent)
    later = RESULT_GRACE_S
    await site.until_states(driver, ["quiet-1"], "ready")
    (quiet,), (fails,) = await site.attempts("quiet-1"), await site.attempts("fails-1")
    assert quiet["outcome"] == "lost"
    assert (fails["outcome"], fails["exit_code"]) == ("failed", 3)
    tries = await site.world.sql("SELECT asset_guid, tries FROM track.job WHERE state = 'ready'")
    assert {"quiet-1": 0, "fails-1": 1}.items() <= dict(tries).items()


async def test_of_a_partly_failed_array_only_the_failed_members_are_sent_again(
    site: SlurmSite,
) -> None:
    await site.queue("good-1", "fails-1", "good-2")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["fails-1"], "ready")
    await site.until_states(driver, ["good-1", "good-2"], "returned")
    (failed,) = await site.attempts("fails-1")
    await site.answered(failed["id"])
    await site.enqueue("fails-1")
    await site.until_states(driver, ["fails-1"], "ready")
    first, second = await site.batches()
    assert (first["size"], second["size"]) == (3, 1)


async def test_a_job_cancelled_by_an_operator_ends_at_the_site(site: SlurmSite) -> None:
    await site.queue("slow-1", "slow-2")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1", "slow-2"], "running")
    await site.world.sql(
        "UPDATE track.attempt SET cancel_requested_at = now() WHERE id ="
        " (SELECT attempt_id FROM track.job WHERE asset_guid = 'slow-1' AND state = 'running')"
    )
    await site.until_states(driver, ["slow-1"], "cancelled")
    assert await site.states("slow-2") == ["running"]
    (site.root / "go-on").touch()
    await site.until_states(driver, ["slow-2"], "returned")


async def test_a_job_that_waits_in_the_queue_and_is_wanted_no_more_is_taken_out(
    site: SlurmSite,
) -> None:
    site.options = {"resources": {"partition": "parked"}}
    await site.queue("a-1", "a-2")
    driver = site.driver(ODD_RUNNER)

    async def sent() -> bool:
        return all(batch["external_id"] for batch in await site.batches() or [{"external_id": 0}])

    await site.drive(driver, sent)
    await site.world.sql(
        "UPDATE track.attempt SET closed_at = now(), outcome = 'superseded' WHERE id ="
        " (SELECT attempt_id FROM track.job WHERE asset_guid = 'a-1' AND state = 'queued')"
    )
    (batch,) = await site.batches()

    async def one_left() -> bool:
        return site.lab.states(batch["key"]).count("PENDING") == 1

    await site.drive(driver, one_left)


async def test_no_more_go_to_the_site_than_it_may_queue_or_run(site: SlurmSite) -> None:
    site.options = {"max_queued": 6, "max_running": 2}
    guids = [f"good-{n}" for n in range(8)]
    await site.queue(*guids)
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    (batch,) = await site.batches()
    assert (batch["size"], batch["resources"]["throttle"]) == (6, 2)
    await site.until_states(driver, guids, "returned", seconds=60)


async def test_what_slurm_refuses_for_good_fails_with_its_own_words(site: SlurmSite) -> None:
    site.options = {"resources": {"partition": "nowhere"}}
    await site.queue("a-1")
    await site.until_states(site.driver(), ["a-1"], "failed")
    (attempt,) = await site.attempts("a-1")
    assert "cluster refuses what the stage asks for" in attempt["message"]
    assert "nvalid partition" in attempt["message"]
    (batch,) = await site.batches()
    assert batch["state"] == "refused"


async def test_a_full_queue_pauses_the_stage_and_uses_no_try(
    site: SlurmSite, tmp_path: Path
) -> None:
    fake = tmp_path / "bin"
    _program(
        fake / "sbatch",
        f'[ -e {tmp_path}/room ] && exec {shutil.which("sbatch")} "$@"\n'
        "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2\necho 'sbatch: error: "
        "Batch job submission failed: Job violates accounting/QOS policy' >&2\nexit 1",
    )
    await site.queue("good-1")
    driver = site.driver(ODD_RUNNER, prelude=f"PATH={fake}:$PATH")
    await driver.turn()
    assert await site.states("good-1") == ["queued"]
    ((reason,),) = await site.world.sql("SELECT reason FROM track.job WHERE state = 'queued'")
    assert "takes no more just now" in str(reason) and "QOSMaxSubmitJob" in str(reason)
    (learnt,) = driver.submitter.refusals.stages.values()
    assert learnt.until > driver.clock()
    assert driver.submitter.unconfirmed == {}
    (tmp_path / "room").touch()
    learnt.until = 0.0
    await site.until_states(driver, ["good-1"], "returned")
    first, second = await site.batches()
    assert first["state"] == "refused" and site.lab.job_ids(first["key"]) == []
    assert len(site.lab.job_ids(second["key"])) == 1
    assert await site.world.sql("SELECT tries FROM track.job WHERE state = 'returned'") == [(0,)]


async def test_a_second_driver_stands_by_and_takes_over(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.lock.FENCE_S", 0.5)
    await site.queue("slow-1")
    drivers = [site.driver(ODD_RUNNER), site.driver(ODD_RUNNER)]
    tasks = [
        asyncio.create_task(drive(site.url, site.engine, site.name, driver)) for driver in drivers
    ]
    try:
        await _until(lambda: site.states("slow-1"), ["running"])
        working = [driver.state.hello is not None for driver in drivers]
        assert working.count(True) == 1
        first = working.index(True)
        tasks[first].cancel()
        await asyncio.gather(tasks[first], return_exceptions=True)
        (site.root / "go-on").touch()
        await site.queue("good-2")
        await _until(lambda: site.states("slow-1", "good-2"), ["returned", "returned"])
        assert drivers[1 - first].state.hello is not None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_start_up_files_that_talk_and_dawdle_do_no_harm(
    site: SlurmSite, tmp_path: Path
) -> None:
    rc = tmp_path / "sshd" / "home" / ".bashrc"
    rc.parent.mkdir(parents=True)
    rc.write_text("echo 'refinery-maintenance on Monday'\necho oops >&2\nsleep 0.3\n")
    with running_sshd(tmp_path / "sshd", environment=site.lab.sshd.environment) as server:
        server.environment["HOME"] = str(rc.parent)
        site.port = server.port
        await site.queue("good-1")
        driver = site.driver(ODD_RUNNER, wire=SshLink(server.address()))
        await site.until_states(driver, ["good-1"], "returned")
        await driver.close()


async def test_a_site_out_of_reach_is_degraded_and_what_waits_goes_to_the_next(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpc.sites.slurm.driver.DEGRADED_AFTER_S", 0.0)
    await site.world.sql(
        "INSERT INTO track.site (name, kind, rank, definition, seen_at)"
        " VALUES ('next', 'local', 5, '{}', now())"
    )
    await site.queue("a-1")
    site.port = 1
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    assert "does not answer" in str(why)
    before, _ = await site.attempts("a-1")
    assert before["outcome"] == "superseded"
    async with site.engine.connect() as tx:
        assert await choose_site(tx, await site.world.job_id("a-1", "other")) == "next"
    (_,) = await site.prefect.expect("specimen.site.degraded")
    site.port = None
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    assert await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'") == [
        (None,)
    ]


async def test_what_is_queued_while_the_link_is_down_is_held_by_no_batch(
    site: SlurmSite,
) -> None:
    driver = site.driver(ODD_RUNNER)
    await driver.turn()
    await driver.close()
    assert isinstance(driver.wire, SshLink)
    driver.wire.address = site.lab.sshd.address(port=1)
    await site.queue("a-1")
    await driver.turn()
    assert await site.batches() == []
    driver.wire.address = site.lab.sshd.address()
    await site.queue("good-1")
    await site.until_states(driver, ["good-1"], "returned")


async def test_a_job_given_up_while_the_link_is_down_is_cancelled_once_it_is_back(
    site: SlurmSite,
) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    await driver.close()
    assert isinstance(driver.wire, SshLink)
    driver.wire.address = site.lab.sshd.address(port=1)
    job_id = await site.world.job_id("slow-1", "clean")
    await transact(site.engine, declare_lost, job_id, actor="operator:ib", why="unreachable")
    await driver.turn()
    driver.wire.address = site.lab.sshd.address()
    (batch,) = await site.batches()

    async def stopped() -> bool:
        return "RUNNING" not in site.lab.states(batch["key"])

    await site.drive(driver, stopped)
    await driver.turn()
    (batch,) = await site.batches()
    assert batch["state"] == "ended"


async def test_a_cancel_that_the_link_lost_is_made_again_before_its_batch_is_closed(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    job_id = await site.world.job_id("slow-1", "clean")
    await transact(site.engine, declare_lost, job_id, actor="operator:ib", why="unreachable")
    with monkeypatch.context() as cut:
        cut.setattr(driver.state.cluster, "cancel", _raising(LinkLost("cut")))
        await driver.turn()
    (batch,) = await site.batches()
    assert batch["state"] == "submitted"
    await driver.turn()

    async def stopped() -> bool:
        return "RUNNING" not in site.lab.states(batch["key"])

    await site.drive(driver, stopped)


async def test_a_site_that_has_no_room_for_a_batch_is_still_polled_and_tidied(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.queue("slow-1")
    driver = site.driver(ODD_RUNNER)
    await site.until_states(driver, ["slow-1"], "running")
    await site.world.sql(
        "UPDATE track.attempt SET cancel_requested_at = now() WHERE closed_at IS NULL"
    )
    old = site.root / "batches" / "bold"
    old.mkdir()
    os.utime(old, (1_000_000_000, 1_000_000_000))
    driver._tidy_at = 0.0
    full = _raising(SiteTrouble("unpacking: no space left"))
    monkeypatch.setattr(driver.state.cluster, "send", full)
    await site.queue("good-2")
    await driver.turn()
    assert not old.exists()
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    assert why == "unpacking: no space left"
    await site.until_states(driver, ["slow-1"], "cancelled")


def _raising(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


async def test_a_site_whose_nodes_have_no_way_to_us_says_so_and_submits_nothing(
    site: SlurmSite,
) -> None:
    await site.queue("a-1")
    driver = site.driver(ODD_RUNNER)
    driver.callback = ""
    await driver.turn()
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    assert "name a callback address they reach" in str(why)
    assert await site.batches() == []


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


async def _until(look: object, wanted: list[str], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await look() != wanted:  # type: ignore[operator]
            await asyncio.sleep(0.05)
