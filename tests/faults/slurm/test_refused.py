"""Submissions that a cluster does not take, in Slurm's own words and in a site's: nothing is
held against a specimen, nothing is asked without bound, and everything says why."""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.lab.slurm_lab import SlurmLab, running_lab
from hpc.scheduler.refusals import SubmitOutcome
from hpc.scheduler.slurm import SubmitResult
from hpc.sites.shipping import Parcel
from hpc.sites.slurm.judge import RESULT_GRACE_S
from tests.support.refusing_site import (
    FAILED,
    POLICY,
    Played,
    Sbatch,
    degraded,
    reason,
    second_site,
    set_up,
    sites_of,
    tries,
)
from tests.support.slurm_site import ODD_RUNNER, SlurmSite, slurm_site

PLUGIN = """
function slurm_job_submit(job, partitions, uid)
  slurm.log_user("Our cluster wants a project number")
  return slurm.ERROR
end
function slurm_job_modify(job, record, partitions, uid) return slurm.SUCCESS end
"""


@pytest.fixture
def sbatch(tmp_path: Path) -> Sbatch:
    return Sbatch(tmp_path / "bin")


@pytest.fixture
async def without_arrays(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> AsyncIterator[SlurmSite]:
    """A site of a cluster on which arrays are switched off, before it was ever given one."""
    with running_lab() as lab, set_up(lab, "MaxArraySize=0"):
        async with slurm_site(lab, engine, database, tmp_path) as made:
            yield made


async def test_a_plugins_own_words_stand_on_the_jobs_and_degrade_the_site(
    site: SlurmSite,
) -> None:
    await site.queue("good-1")
    await second_site(site)
    (site.lab.folder / "job_submit.lua").write_text(PLUGIN)
    played = Played(site)
    with set_up(site.lab, "JobSubmitPlugins=lua"):
        await played.driver.turn()
        assert "wants a project number" in await reason(site, "good-1")
        assert await degraded(site) == ""  # once is no evidence
        await played.turns(2)
        assert "wants a project number" in await degraded(site)
        assert await sites_of(site, "good-1") == ["cluster", "next"]
        heir = site.driver(ODD_RUNNER)
        await heir.adopt()
        assert "wants a project number" in heir.state.faulty()
    await played.turns(14, step_s=60.0)
    assert await degraded(site) == ""
    assert await tries(site) == {0}
    assert all(batch["state"] == "refused" for batch in await site.batches())


async def test_a_site_that_refuses_everything_is_asked_ever_less_and_recovers_with_a_success(
    site: SlurmSite, sbatch: Sbatch
) -> None:
    guids = ["good-1", "good-2"]
    await site.queue(*guids)
    sbatch.says(f"{FAILED}Disk quota exceeded")
    played = Played(site, sbatch.prelude)
    await played.turns(60)
    assert sbatch.calls < 25
    assert "Disk quota exceeded" in await degraded(site)
    assert "Disk quota exceeded" in await reason(site, "good-2")
    sbatch.accepts()
    played.now += 300
    await site.until_states(played.driver, guids, "returned")
    assert await degraded(site) == ""
    assert await tries(site) == {0}


async def test_what_no_one_knows_of_is_sent_ever_less_and_says_so(
    site: SlurmSite, sbatch: Sbatch
) -> None:
    await site.queue("good-1")
    sbatch.says("Killed", code=137)
    played = Played(site, sbatch.prelude)
    await played.driver.turn()
    assert "did not say whether it took it: Killed" in await reason(site, "good-1")
    await played.turns(60, step_s=30.0)
    assert sbatch.calls < 25
    assert "Killed" in await degraded(site)
    sbatch.accepts()
    await played.turns(10, step_s=30.0)
    await site.until_states(played.driver, ["good-1"], "returned")
    (batch,) = await site.batches()
    assert len(site.lab.job_ids(batch["key"])) == 1
    assert await tries(site) == {0}


async def test_an_earlier_submission_that_hangs_is_asked_for_ever_less_and_says_so(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.queue("good-1")
    played, asked = Played(site), 0
    real = played.driver.state.cluster.send

    async def still_at_it(parcels: Sequence[Parcel], **_: Any) -> dict[str, SubmitResult]:
        nonlocal asked
        asked += 1
        return {each.key: SubmitResult(SubmitOutcome.BUSY) for each in parcels}

    monkeypatch.setattr(played.driver.state.cluster, "send", still_at_it)
    await played.turns(30, step_s=10.0)
    assert asked < 20
    assert "still under way there" in await reason(site, "good-1")
    assert "still under way there" in await degraded(site)
    monkeypatch.setattr(played.driver.state.cluster, "send", real)
    played.now += 300
    await site.until_states(played.driver, ["good-1"], "returned")
    assert await degraded(site) == ""


async def test_a_limit_below_an_arrays_size_is_learnt_and_the_array_split(
    site: SlurmSite, sbatch: Sbatch
) -> None:
    guids = [f"good-{n}" for n in range(10)]
    await site.queue(*guids)
    sbatch.says(f"{POLICY}limits)", when='[ "$size" -gt 3 ]')
    driver = site.driver(ODD_RUNNER, prelude=sbatch.prelude)
    await site.until_states(driver, guids, "returned", seconds=60)
    sizes = [batch["size"] for batch in await site.batches()]
    assert sizes == [10, 5, 5, 2, 2, 2, 2, 2]
    assert await tries(site) == {0}


async def test_a_setting_on_the_tasks_of_an_array_is_learnt(site: SlurmSite) -> None:
    guids = [f"good-{n}" for n in range(5)]
    await site.queue(*guids)
    with set_up(site.lab, "SchedulerParameters=max_array_tasks=2,sched_interval=1"):
        driver = site.driver(ODD_RUNNER)
        await site.until_states(driver, guids, "returned", seconds=60)
    assert [batch["size"] for batch in await site.batches()] == [5, 2, 2, 1]
    assert await tries(site) == {0}


async def test_where_arrays_are_off_each_job_is_sent_alone(without_arrays: SlurmSite) -> None:
    site = without_arrays
    _, _, silent, _ = await site.queue("good-1", "good-2", "quiet-1", "slow-1")
    later = 0.0
    driver = site.driver(ODD_RUNNER, clock=lambda: later + time.monotonic())
    await site.until_states(driver, ["good-1", "good-2"], "returned", seconds=60)
    await site.until_results_are_awaited(driver, silent)
    later = RESULT_GRACE_S
    await site.until_states(driver, ["quiet-1"], "ready")
    await site.until_states(driver, ["slow-1"], "running")
    (attempt,) = await site.attempts("slow-1")
    assert attempt["started_by"] == attempt["external_id"]
    assert str(attempt["external_id"]).isdecimal()
    await site.world.sql(
        "UPDATE track.attempt SET cancel_requested_at = now() WHERE id = :a", a=attempt["id"]
    )
    await site.until_states(driver, ["slow-1"], "cancelled")


async def test_a_queue_without_a_place_for_long_degrades_its_site(
    site: SlurmSite, sbatch: Sbatch
) -> None:
    await site.queue("good-1", "good-2")
    await second_site(site)
    sbatch.says(f"{POLICY}limits)")
    played = Played(site, sbatch.prelude)
    await played.turns(20, step_s=30.0)
    assert await degraded(site) == ""
    assert "takes no more just now" in await reason(site, "good-1")
    await played.turns(13, step_s=30.0)
    assert "no place for any job" in await degraded(site)
    assert await sites_of(site, "good-1") == ["cluster", "next"]
    assert sbatch.calls < 20
    assert await tries(site) == {0}


async def test_a_stage_that_alone_is_refused_goes_elsewhere_and_the_others_stay(
    site: SlurmSite, sbatch: Sbatch
) -> None:
    await second_site(site)
    await site.world.sql("""UPDATE track.stage SET resources = '{"mem": 77}' WHERE key = 'other'""")
    await site.queue("good-1", stage="other")
    sbatch.says(f"{FAILED}Unspecified error", when="grep -q mem=77M job.sh")
    played = Played(site, sbatch.prelude)
    for n in range(2, 6):
        await site.queue(f"good-{n}")
        await site.until_states(played.driver, [f"good-{n}"], "returned")
        played.now += 60
    await played.driver.turn()
    assert await sites_of(site, "good-1") == ["cluster", "next"]
    assert await degraded(site) == ""
    ((lacks,),) = await site.world.sql("SELECT lacks FROM track.site WHERE name = 'cluster'")
    assert "Unspecified error" in lacks["load"]["why"]  # type: ignore[index]
    assert await tries(site) == {0}


async def test_a_refused_job_that_was_to_be_cancelled_meanwhile_is(
    site: SlurmSite, sbatch: Sbatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.queue("good-1")
    sbatch.says(f"{FAILED}Unspecified error")
    driver = site.driver(ODD_RUNNER, prelude=sbatch.prelude)
    real = driver.state.cluster.send

    async def cancelled_meanwhile(*given: Any, **named: Any) -> dict[str, SubmitResult]:
        await site.world.sql("UPDATE track.attempt SET cancel_requested_at = now()")
        return await real(*given, **named)

    monkeypatch.setattr(driver.state.cluster, "send", cancelled_meanwhile)
    await site.until_states(driver, ["good-1"], "cancelled")


def test_the_lab_is_as_it_was(lab: SlurmLab) -> None:
    shown = lab.run("scontrol", "show", "config")
    assert "max_array_tasks" not in shown
