"""Results that a shared disk shows late: absence on a disk is no evidence."""

import time
from pathlib import Path

from hpc.sites.slurm.judge import RESULT_GRACE_S
from tests.support.slurm_site import ODD_RUNNER, SlurmSite


def show(site: SlurmSite, attempt: int) -> None:
    """Let what a job left be seen."""
    (hidden,) = site.root.glob(f"batches/*/results/.{attempt}.json")
    hidden.rename(hidden.with_name(hidden.name.removeprefix(".")))


async def reasons(site: SlurmSite, guid: str, column: str = "reason") -> str:
    ((found,),) = await site.world.sql(
        f"SELECT coalesce(j.{column}, '') FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
        " WHERE j.asset_guid = :g AND s.key = 'clean'",
        g=guid,
    )
    return str(found)


async def test_a_result_that_shows_late_is_taken_and_one_that_shows_too_late_is_told(
    site: SlurmSite, tmp_path: Path
) -> None:
    """All of them were lost, with their results there, and made again for ever."""
    later = 0.0
    first, second = await site.queue("late-1", "late-2")
    driver = site.driver(ODD_RUNNER, clock=lambda: later + time.monotonic())
    await site.until_results_are_awaited(driver, first, second)
    assert await site.states("late-1", "late-2") == ["running", "running"]
    assert "its result does not show yet" in await reasons(site, "late-1")
    show(site, first)
    await site.until_states(driver, ["late-1"], "returned")
    assert await site.states("late-2") == ["running"]

    later = RESULT_GRACE_S
    await site.until_states(driver, ["late-2"], "ready")
    assert [each["outcome"] for each in await site.attempts("late-2")] == ["lost"]
    show(site, second)

    async def told() -> bool:
        return "had a result after all" in await reasons(site, "late-2", "warning")

    await site.drive(driver, told)
    assert await site.states("late-2") == ["ready"]
    said = await site.world.sql("SELECT count(*) FROM track.history WHERE what = 'job.late'")
    assert said == [(1,)]
    assert driver.poller.ended == {}
