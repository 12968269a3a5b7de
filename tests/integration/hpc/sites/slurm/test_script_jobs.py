"""What scripts submitted for themselves, on a real Slurm: its end is seen, and it is stopped."""

import re
from pathlib import Path
from typing import Any

import pytest

from demo.lab.slurm_lab import SlurmLab
from hpc.sites.slurm.driver import SlurmDriver
from hpc.sites.slurm.script_ends import EXPECTED_S
from schemas.pipeline.load import Pipeline
from tests.support.slurm_site import SlurmSite
from track.commands import operations
from track.commands.pipelines import load_pipelines
from track.schema.database import transact

SUBMITS = 'sbatch --output=/dev/null --wrap "{}"\n'


@pytest.fixture
async def script(site: SlurmSite) -> Path:
    """The one script of a site whose pipeline has nothing else."""
    folder = site.root / "scripts"
    folder.mkdir()
    site.options = {"scripts": str(folder)}
    stages: list[dict[str, Any]] = [
        {"key": "clean", "run": "bash job.sh {guid}", "resources": {"time": "00:31"}},
        {"key": "other", "run": "module load"},
    ]
    pipeline = Pipeline.model_validate({"pipeline": "P", "stages": stages})
    await transact(site.engine, load_pipelines, [pipeline], actor="test")
    return folder / "job.sh"


async def submitted(site: SlurmSite, driver: SlurmDriver) -> str:
    """Drive until the script has said what it submitted; its job's id."""

    async def told() -> bool:
        return [batch["state"] for batch in await site.batches()] == ["submitted"]

    await site.drive(driver, told)
    (batch,) = await site.batches()
    assert re.fullmatch(r"\d+(,\d+)?", batch["external_id"]), batch
    return str(batch["external_id"])


async def reason(site: SlurmSite) -> str:
    ((found,),) = await site.world.sql(
        "SELECT coalesce(j.reason, '') FROM track.job j JOIN track.attempt t ON t.job_id = j.id"
    )
    return str(found)


async def test_a_scripts_job_that_dies_without_a_report_ends_its_attempt(
    site: SlurmSite, script: Path, lab: SlurmLab
) -> None:
    """It was never noticed: the job stood at its site for ever."""
    script.write_text(SUBMITS.format("sleep 600"))
    await site.queue("a-1")
    driver = site.driver()
    native = await submitted(site, driver)
    assert lab.run("squeue", "-h", "-j", native, "-o", "%l").strip() == "31:00"
    lab.run("scancel", native)

    async def proven() -> bool:
        return bool(driver.script_ends.proven)

    await site.drive(driver, proven)
    assert await site.states("a-1") == ["queued"]  # its last call may be on its way
    driver.script_ends.grace_s = 0.0
    await site.until_states(driver, ["a-1"], "ready")
    (attempt,) = await site.attempts("a-1")
    assert attempt["outcome"] == "cancelled"
    assert (
        f"somebody cancelled it at the site before it called back (job {native}"
        in (attempt["message"])
    )
    ((tries,),) = await site.world.sql("SELECT max(tries) FROM track.job")
    assert tries == 0


async def test_a_scripts_job_that_ends_well_and_never_calls_uses_its_tries(
    site: SlurmSite, script: Path
) -> None:
    script.write_text(SUBMITS.format("true") + "exit 3\n")
    await site.queue("a-1")
    driver = site.driver()
    driver.script_ends.grace_s = 0.0
    await site.until_states(driver, ["a-1"], "ready")
    (attempt,) = await site.attempts("a-1")
    assert attempt["outcome"] == "lost"
    assert "ended well before it called back" in attempt["message"]


@pytest.mark.parametrize("told", ["by its script", "by its calls"])
async def test_a_running_scripts_job_is_cancelled_to_its_end(
    site: SlurmSite, script: Path, lab: SlurmLab, told: str
) -> None:
    script.write_text(SUBMITS.format("sleep 600"))
    (attempt_id,) = await site.queue("a-1")
    driver = site.driver()
    native = await submitted(site, driver)
    if told == "by its calls":
        await site.world.sql("UPDATE track.batch SET external_id = 'script'")
        await site.world.sql(
            "UPDATE track.attempt SET external_id = :n, started_by = :n, started_at = now()"
            " WHERE id = :a",
            n=native,
            a=attempt_id,
        )
        await site.world.sql(
            "UPDATE track.job SET state = 'running' WHERE attempt_id = :a", a=attempt_id
        )
    job_id = await site.world.job_id("a-1", "clean")
    await transact(site.engine, operations.cancel, job_id, actor="test", why="a test")
    await site.until_states(driver, ["a-1"], "cancelled")
    assert lab.run("squeue", "-h", "-t", "running,pending", "-o", "%A").split() == []
    (attempt,) = await site.attempts("a-1")
    assert (attempt["outcome"], attempt["message"].partition(" (")[0]) == (
        "cancelled",
        "it was cancelled as asked",
    )


async def test_what_is_left_of_a_script_declared_lost_is_stopped(
    site: SlurmSite, script: Path, lab: SlurmLab
) -> None:
    script.write_text(2 * SUBMITS.format("sleep 600"))
    await site.queue("a-1")
    driver = site.driver()
    await submitted(site, driver)
    job_id = await site.world.job_id("a-1", "clean")
    await transact(site.engine, operations.declare_lost, job_id, actor="test", why="")

    async def stopped() -> bool:
        return lab.run("squeue", "-h", "-t", "running,pending", "-o", "%A").split() == []

    assert not await stopped()
    await site.drive(driver, stopped)


async def test_a_silent_job_of_which_nothing_is_known_says_so_when_it_is_overdue(
    site: SlurmSite, script: Path
) -> None:
    script.write_text("exit 0\n")
    (attempt_id,) = await site.queue("a-1")
    driver = site.driver()
    for _ in range(3):
        await driver.turn()
    assert await reason(site) == ""
    await site.world.sql(
        "UPDATE track.attempt SET queued_at = now() - make_interval(secs => :s) WHERE id = :a",
        s=EXPECTED_S + 1,
        a=attempt_id,
    )

    async def said() -> bool:
        return await reason(site) != ""

    await site.drive(driver, said)
    assert "it is overdue: no job id was reported" in await reason(site)
    assert await site.states("a-1") == ["queued"]


async def test_a_script_cancelled_before_it_was_begun_is_never_begun(
    site: SlurmSite, script: Path
) -> None:
    script.write_text(f"touch {script.parent}/begun\n")
    (attempt_id,) = await site.queue("a-1")
    driver = site.driver()
    await driver.greet()
    await driver.submitter.send()
    await site.world.sql(
        "UPDATE track.attempt SET cancel_requested_at = now() WHERE id = :a", a=attempt_id
    )
    await site.until_states(driver, ["a-1"], "cancelled")
    assert not (script.parent / "begun").exists()


async def test_a_job_that_got_a_reported_id_later_is_not_stopped_and_proves_no_end(
    site: SlurmSite, script: Path, lab: SlurmLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller that lost its state had given another job the id."""
    monkeypatch.setattr("hpc.sites.slurm.script_ends.CLOCKS_APART_S", -3600.0)
    await site.queue("a-1")
    driver = site.driver()
    native = lab.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 600").strip()
    script.write_text(f"echo Submitted batch job {native}\n")
    assert await submitted(site, driver) == native
    job_id = await site.world.job_id("a-1", "clean")
    await transact(site.engine, operations.cancel, job_id, actor="test", why="a test")

    async def said() -> bool:
        return "nothing shows how its job" in await reason(site)

    async def runs() -> bool:
        return lab.run("squeue", "-h", "-j", native, "-o", "%T").strip() == "RUNNING"

    await site.drive(driver, said)
    await site.drive(driver, runs)

    # Begun anew by Slurm it counts as submitted later, too; but it is the same job.
    driver.canceller.again_at.clear()
    lab.run("scontrol", "requeue", native)
    await site.until_states(driver, ["a-1"], "cancelled")
    assert lab.run("squeue", "-h", "-t", "running,pending", "-o", "%A").split() == []
