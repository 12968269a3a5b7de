"""Really killed, by SIGKILL: drivers, whose heirs find what they had begun, and runners."""

from pathlib import Path

import psutil
import pytest

from tests.support.dying_driver import MOMENTS
from tests.support.slow_runner import slow_runner
from tests.support.slurm_site import ODD_RUNNER, SlurmSite, let_die

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_driver_killed_by_sigkill_leaves_one_array_and_no_work_undone_or_done_twice(
    site: SlurmSite, tmp_path: Path, moment: str
) -> None:
    guids = ["good-1", "good-2", "mute-3"]
    await site.queue(*guids)
    await let_die(site, moment, tmp_path, callback=site.callback, runner=str(ODD_RUNNER))
    (batch,) = await site.batches()
    assert batch["state"] == ("submitted" if moment == "id" else "intended")
    heir = site.driver(ODD_RUNNER)
    await heir.adopt()
    await site.until_states(heir, guids, "returned")
    (batch,) = await site.batches()
    assert site.lab.job_ids(batch["key"]) == [batch["external_id"]]
    wanted = [(await site.attempts(guid))[0]["id"] for guid in guids]
    assert sorted(attempt for attempt, _ in site.work_done()) == sorted(wanted)


async def test_what_jobs_printed_that_were_killed_is_read_each_by_itself(
    site: SlurmSite, tmp_path: Path
) -> None:
    guids = ["slow-1", "slow-2", "mute-3"]
    await site.queue(*guids)
    driver = site.driver(slow_runner(tmp_path))
    await site.until_states(driver, guids, "running")
    (batch,) = await site.batches()

    async def printed() -> bool:
        logs = site.root / "batches" / batch["key"] / "log"
        return len([*logs.glob("*.output")]) == 3 and "slow-2" in site.logs()

    await site.drive(driver, printed)
    site.lab.run("scancel", "--signal=KILL", f"{batch['external_id']}_0")
    site.lab.run("scancel", f"{batch['external_id']}_1")
    kill_runner(batch["key"], "2")
    await site.until_states(driver, guids, "ready")
    ends = [(await site.attempts(guid))[0] for guid in guids]
    assert {end["outcome"] for end in ends} <= {"cancelled", "failed"}
    assert [end["result"] for end in ends] == [
        {"printed": "looks at slow-1"},
        {"printed": "looks at slow-2"},
        {"printed": ""},
    ]


async def test_a_killed_job_goes_on_where_what_it_printed_cannot_be_read(
    site: SlurmSite, tmp_path: Path
) -> None:
    await site.queue("slow-1")
    driver = site.driver(slow_runner(tmp_path))
    await site.until_states(driver, ["slow-1"], "running")
    (batch,) = await site.batches()
    site.lab.run("scancel", batch["external_id"])
    (site.root / "batches" / batch["key"] / "log" / "0.output").unlink(missing_ok=True)
    await site.until_states(driver, ["slow-1"], "ready")
    assert (await site.attempts("slow-1"))[0]["result"] is None


def kill_runner(key: str, line: str) -> None:
    """Kill the runner of a batch's line, by SIGKILL."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, folder = process.info["cmdline"] or [], process.info["cwd"] or ""
        if "--index" in words and words[words.index("--index") + 1] == line and key in folder:
            process.kill()
            return
    raise AssertionError(f"no runner is at line {line} of {key}")
