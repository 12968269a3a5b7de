"""A controller that does not answer although the login node does, with Slurm's own words."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.refusing_site import Played, degraded, reason, second_site, sites_of
from tests.support.slurm_site import SlurmSite

SAYS = {
    "scontrol": "slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)",
    "squeue": "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
    "sbatch": "sbatch: error: Batch job submission failed: Unable to contact slurm controller",
}


class Login:
    """A login node whose programs fail at once while they are `down`, and are Slurm's else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for program, words in SAYS.items():
            real, fake = shutil.which(program), folder / program
            down = f'[ -e "{folder}/{program}.down" ]'
            fake.write_text(
                f"#!/bin/sh\nif {down}; then echo '{words}' >&2; exit 1; fi\nexec {real} \"$@\"\n"
            )
            fake.chmod(0o755)

    @property
    def prelude(self) -> str:
        return f"PATH={self.folder}:$PATH"

    def down(self, *programs: str) -> None:
        for program in programs:
            (self.folder / f"{program}.down").touch()

    def up(self) -> None:
        for mark in self.folder.glob("*.down"):
            mark.unlink()


class Asking(Played):
    """It counts how often it asked the site anything."""

    def __init__(self, site: SlurmSite, login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(site, login.prelude)
        self.asked = 0
        real = self.driver.state.cluster._say

        async def say(script: str, *words: str, **more: Any) -> Sequence[tuple[str, str]]:
            self.asked += script in ("hello", "send")
            return await real(script, *words, **more)

        monkeypatch.setattr(self.driver.state.cluster, "_say", say)


@pytest.fixture
def login(tmp_path: Path) -> Login:
    return Login(tmp_path / "bin")


async def test_a_silent_controller_degrades_its_site_and_is_asked_ever_less(
    site: SlurmSite, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    login.down(*SAYS)
    played = Asking(site, login, monkeypatch)
    await site.queue("good-1")
    await played.driver.turn()
    assert await degraded(site) == ""  # once is no evidence
    await played.turns(2)
    assert "Unable to contact slurm controller" in await degraded(site)
    assert "waits for site cluster" in await reason(site, "good-1")
    await played.turns(18)
    assert played.asked < 40
    login.up()
    played.now += 300
    await site.until_states(played.driver, ["good-1"], "returned")
    assert await degraded(site) == ""


async def test_what_sbatch_did_not_take_goes_to_the_next_site_and_is_not_done_twice(
    site: SlurmSite, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    login.down("sbatch")
    played = Asking(site, login, monkeypatch)
    await site.queue("good-1")
    await played.driver.turn()
    await second_site(site)
    await played.turns(4)
    assert "sbatch has had no answer" in await degraded(site)
    assert await sites_of(site, "good-1") == ["cluster", "next"]
    login.up()
    await played.turns(12, step_s=60.0)
    assert await degraded(site) == ""
    (batch,) = await site.batches()
    assert batch["ended_at"] is not None
    assert site.lab.job_ids(batch["key"]) == []


async def test_a_passing_silence_degrades_nothing(
    site: SlurmSite, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = Asking(site, login, monkeypatch)
    await site.queue("good-1")
    login.down("sbatch", "squeue")
    await played.turns(0.25)
    login.up()
    await site.until_states(played.driver, ["good-1"], "returned")
    said = await site.world.sql("SELECT count(*) FROM track.history WHERE what = 'site.degraded'")
    assert said == [(0,)]


async def test_lines_that_say_nothing_of_the_answer_blind_no_site(
    site: SlurmSite, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stood on stderr made every look at the queue one that showed nothing."""
    for program in SAYS:
        fake = login.folder / program
        noise = f"echo '{program}: warning: cli_filter: deprecated' >&2"
        banner = "echo 'Maintenance on Monday!'" if program == "squeue" else ":"
        fake.write_text(f'#!/bin/sh\n{noise}\n{banner}\nexec {shutil.which(program)} "$@"\n')
    played = Asking(site, login, monkeypatch)
    await site.queue("fails-1")
    await site.until_states(played.driver, ["fails-1"], "ready")
    assert played.driver.state.hello is not None
    assert played.driver.state.hello.answers
    assert [each["outcome"] for each in await site.attempts("fails-1")] == ["failed"]


async def test_a_queue_that_cannot_be_asked_for_long_degrades_its_site_in_its_own_words(
    site: SlurmSite, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "squeue: fatal: nobody ever heard of this"
    played = Asking(site, login, monkeypatch)
    await site.queue("slow-1")
    await site.until_states(played.driver, ["slow-1"], "running")
    (login.folder / "squeue").write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    await played.turns(4)
    assert words in await degraded(site)
    assert await site.states("slow-1") == ["running"]
