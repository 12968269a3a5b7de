"""A driver that is really killed, by SIGKILL: its heir finds what it had begun."""

from pathlib import Path

import pytest

from tests.support.dying_driver import MOMENTS
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
