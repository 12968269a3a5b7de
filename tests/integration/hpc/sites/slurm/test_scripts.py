"""Scripts that are already on a cluster: quoted, run once, their exit code read."""

from pathlib import Path

import pytest

from demo.lab.slurm_lab import SlurmLab
from schemas.pipeline.load import Pipeline
from tests.support.slurm_site import SlurmSite
from track.commands.pipelines import load_pipelines
from track.schema.database import transact

ODD_GUID = "asset $(touch pwned) 'x'"


@pytest.fixture
async def scripts(site: SlurmSite) -> Path:
    """The site with a pipeline of one script, and the folder it is in."""
    folder = site.root / "scripts"
    folder.mkdir()
    site.options = {"scripts": str(folder)}
    pipeline = {
        "pipeline": "P",
        "stages": [
            {"key": "clean", "run": "bash loader.sh {guid} {batch} {link}"},
            {"key": "other", "run": "module load"},
        ],
    }
    await transact(
        site.engine,
        load_pipelines,
        [Pipeline.model_validate(pipeline)],
        actor="test",
    )
    return folder


async def test_a_script_gets_its_arguments_unchanged_and_is_run_once(
    site: SlurmSite, scripts: Path
) -> None:
    (scripts / "loader.sh").write_text('printf "%s|" "$@" >>said; echo >>said\n')
    await site.queue(ODD_GUID)
    driver = site.driver(file_proxy="https://ars.test/proxy")
    for _ in range(3):
        await driver.turn()
    assert (scripts / "said").read_text() == f"{ODD_GUID}|||\n"
    assert not (scripts / "pwned").exists()
    assert await site.states(ODD_GUID) == ["queued"]
    (batch,) = await site.batches()
    assert (batch["state"], batch["size"]) == ("submitted", 1)


async def test_a_script_that_fails_fails_its_attempt_with_its_output(
    site: SlurmSite, scripts: Path
) -> None:
    (scripts / "loader.sh").write_text("echo 'no such asset' >&2\nexit 9\n")
    await site.queue("a-1")
    await site.until_states(site.driver(), ["a-1"], "ready")
    (attempt,) = await site.attempts("a-1")
    assert (attempt["outcome"], attempt["exit_code"]) == ("failed", 9)
    assert "no such asset" in attempt["message"]


async def test_a_script_begun_by_a_driver_that_died_is_not_run_again(
    site: SlurmSite, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scripts / "loader.sh").write_text("echo ran >>said\n")
    await site.queue("a-1")
    dying = site.driver()
    real = dying.state.cluster.script

    async def killed(*given: str) -> None:
        await real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(dying.state.cluster, "script", killed)
    with pytest.raises(KeyboardInterrupt):
        await dying.turn()
    heir = site.driver()
    await heir.adopt()
    await heir.turn()
    assert (scripts / "said").read_text() == "ran\n"
    (batch,) = await site.batches()
    assert batch["state"] == "submitted"


async def test_a_script_whose_end_is_not_known_waits_for_a_person(
    site: SlurmSite, scripts: Path, lab: SlurmLab
) -> None:
    (scripts / "loader.sh").write_text("echo ran >>said\n")
    await site.queue("a-1")
    driver = site.driver()
    await driver.greet()
    await driver.submitter.send()
    (batch,) = await site.batches()
    (site.root / "scripts-run" / batch["key"] / "try").mkdir(parents=True)
    await driver.turn()
    assert not (scripts / "said").exists()
    assert await site.states("a-1") == ["queued"]


@pytest.mark.parametrize("call", ["queue_job", "start_job"])
async def test_a_script_that_fails_after_it_reported_its_job_is_not_run_again(
    site: SlurmSite, scripts: Path, call: str
) -> None:
    """Its `sbatch` worked, and its last `curl` did not: the job that is there may be at work."""
    (scripts / "loader.sh").write_text("echo ran >>said\nexit 7\n")
    (attempt_id,) = await site.queue("a-1")
    column = {"queue_job": "external_id", "start_job": "started_by"}[call]
    await site.world.sql(f"UPDATE track.attempt SET {column} = '77' WHERE id = :a", a=attempt_id)
    driver = site.driver()
    for _ in range(3):
        await driver.turn()
    assert (scripts / "said").read_text() == "ran\n"
    (attempt,) = await site.attempts("a-1")
    assert attempt["outcome"] is None
    ((warning,),) = await site.world.sql("SELECT warning FROM track.job WHERE warning IS NOT NULL")
    assert warning.startswith("its job 77 may still run, though ")
    assert "ended with code 7" in warning
    (batch,) = await site.batches()
    assert (batch["state"], batch["ended_at"]) == ("submitted", None)
