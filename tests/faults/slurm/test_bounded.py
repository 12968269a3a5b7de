"""Jobs that need more than their partition gives, and jobs that Slurm never starts."""

from collections.abc import Iterator
from contextlib import contextmanager

from demo.lab.slurm_lab import SlurmLab
from hpc.ends import Meaning
from hpc.sites.slurm.judge import JobVerdict, SiteStatus
from tests.support.refusing_site import reason
from tests.support.slurm_site import ODD_RUNNER, SlurmSite
from track.jobs.batches import read_batches
from track.reports.overdue import announce_overdue
from track.reports.waiting import of_asset
from track.schema.database import transact


@contextmanager
def partition(lab: SlurmLab, *settings: str) -> Iterator[None]:
    """The partition `main` with these settings."""
    lab.run("scontrol", "update", "PartitionName=main", *settings)
    try:
        yield
    finally:
        lab.run("scontrol", "reconfigure")  # as slurm.conf has it


async def ran_out(site: SlurmSite, guid: str, outcome: str, times: int) -> None:
    """As if earlier attempts of a queued job had ended so."""
    await site.world.sql(
        "UPDATE track.attempt SET n = n + :k WHERE job_id ="
        " (SELECT id FROM track.job WHERE asset_guid = :g AND state = 'queued')",
        k=times,
        g=guid,
    )
    await site.world.sql(
        "INSERT INTO track.attempt (job_id, n, site, fence, outcome, closed_at)"
        " SELECT j.id, k, 'cluster', 0, :o, now() FROM track.job j, generate_series(1, :k) k"
        " WHERE j.asset_guid = :g AND j.state = 'queued'",
        o=outcome,
        k=times,
        g=guid,
    )


async def test_a_repeated_attempt_stays_within_its_partition_and_says_in_the_end_what_it_lacked(
    site: SlurmSite,
) -> None:
    await site.world.sql("""UPDATE track.stage SET resources = '{"time": "00:40", "mem": 700}'""")
    (attempt,) = await site.queue("slow-1")
    await ran_out(site, "slow-1", "out_of_memory", 2)
    await site.world.sql("UPDATE track.job SET tries = 2 WHERE attempt_id = :a", a=attempt)
    driver = site.driver(ODD_RUNNER)
    with partition(site.lab, "MaxTime=60", "MaxMemPerNode=1000"):
        await site.until_states(driver, ["slow-1"], "running")
    (batch,) = await site.batches()
    assert batch["resources"]["mem"] == 1000
    shown = site.lab.run("scontrol", "show", "job", batch["external_id"])
    assert "MinMemoryNode=1000M" in shown
    # The lab's Slurm watches no memory; what it would say is told as the driver would.
    (sent,) = await transact(site.engine, read_batches, [batch["id"]])
    end = Meaning("out_of_memory", True, "its memory ran out")
    verdict = JobVerdict(SiteStatus.OVER, end=end)
    await driver.poller._report_end(sent.members[0], verdict)
    ((state, why),) = await site.world.sql(
        "SELECT state, reason FROM track.job WHERE asset_guid = 'slow-1' AND tries > 2"
    )
    assert state == "failed"
    assert "partition main allows 1000 MB of memory" in str(why)


async def test_a_job_that_never_starts_says_why_and_is_overdue_within_minutes(
    site: SlurmSite,
) -> None:
    await site.world.sql("""UPDATE track.stage SET resources = '{"time": "03:00"}'""")
    (attempt,) = await site.queue("good-1")
    driver = site.driver(ODD_RUNNER)
    with partition(site.lab, "MaxTime=60"):

        async def told() -> bool:
            return "PartitionTimeLimit" in await reason(site, "good-1")

        await site.drive(driver, told)
    assert await transact(site.engine, announce_overdue) == []
    await site.world.sql(
        "UPDATE track.attempt SET queued_at = now() - interval '11 minutes' WHERE id = :a",
        a=attempt,
    )
    (line,) = await transact(site.engine, announce_overdue)
    assert "PartitionTimeLimit" in line
    waits = await transact(site.engine, of_asset, "good-1")
    assert any(each.kind == "overdue" and "PartitionTimeLimit" in each.reason for each in waits)
