"""A driver that is really killed, by SIGKILL: its heir finds what it had begun."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.support.dying_driver import MOMENTS
from tests.support.slurm_site import ODD_RUNNER, SlurmSite

ROOT = Path(__file__).parents[3]


async def killed(site: SlurmSite, moment: str, folder: Path) -> None:
    """Let a driver live until that moment."""
    spec = folder / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "sshd": str(site.lab.sshd.folder),
                "port": site.lab.sshd.port,
                "database": site.url,
                "site": site.site.definition(),
                "callback": site.callback,
                "runner": str(ODD_RUNNER),
                "moment": moment,
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.dying_driver", str(spec)), cwd=ROOT
    )
    async with asyncio.timeout(120):
        assert await process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_driver_killed_by_sigkill_leaves_one_array_and_no_work_undone_or_done_twice(
    site: SlurmSite, tmp_path: Path, moment: str
) -> None:
    guids = ["good-1", "good-2", "mute-3"]
    await site.queue(*guids)
    await killed(site, moment, tmp_path)
    (batch,) = await site.batches()
    assert batch["state"] == ("submitted" if moment == "id" else "intended")
    heir = site.driver(ODD_RUNNER)
    await heir.adopt()
    await site.until_states(heir, guids, "returned")
    (batch,) = await site.batches()
    assert site.lab.job_ids(batch["key"]) == [batch["external_id"]]
    wanted = [(await site.attempts(guid))[0]["id"] for guid in guids]
    assert sorted(attempt for attempt, _ in site.work_done()) == sorted(wanted)
