"""When the demonstration starts a Slurm of its own, and what Slurm's records say against us."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo.lab import slurm
from demo.lab.slurm_lab import Record
from refinery.settings import Settings

FAR = """
sites:
  - {site: slurm, kind: slurm, root: /r, python: /p, block: b, callback: "http://h:1"}
"""


def test_a_site_of_that_name_in_the_sites_file_is_used_instead(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {})
    assert slurm.is_wanted(settings, "slurm")
    assert not slurm.is_wanted(settings, "")
    assert not slurm.is_wanted(settings, "local")
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments" / "sites.yaml").write_text(FAR)
    assert not slurm.is_wanted(settings, "slurm")


async def test_without_the_packages_it_says_which_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "installed", lambda: False)
    nothing: Any = None
    with pytest.raises(slurm.NoSlurm, match=r"tests/debian-packages\.sh.*slurmctld"):
        async with slurm.own_slurm(Settings.load(tmp_path, {}), nothing, nothing):
            pass


def test_a_second_job_of_an_attempt_and_one_slurm_knows_nothing_of_are_told() -> None:
    wanted = {"b1 0": 7, "b1 1": 8, "b2 0": 9}
    recorded = Counter({"b1 0": 1, "b1 1": 2, "doctor ": 3})
    assert list(slurm._faults(wanted, recorded)) == [
        "attempt 8: Slurm ran 2 jobs for it",
        "attempt 9: Slurm ran 0 jobs for it",
    ]
    assert list(slurm._faults({}, recorded)) == ["no attempt ran at Slurm"]


def test_jobs_and_submissions_are_counted() -> None:
    records = [Record("b1", "5", "0", "COMPLETED"), Record("b1", "5", "1", "COMPLETED")]
    assert slurm.counted(records) == "2 jobs in 1 submissions"
