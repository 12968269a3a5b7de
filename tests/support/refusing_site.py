"""Clusters that do not take what they are sent: settings of the lab's Slurm, and an sbatch that
answers as it was set and asks nobody."""

import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.lab.slurm_lab import SlurmLab
from hpc.sites.slurm.driver import SlurmDriver
from tests.support.slurm_site import ODD_RUNNER, SlurmSite

FAILED = "sbatch: error: Batch job submission failed: "
POLICY = FAILED + "Job violates accounting/QOS policy (job submit limit, user's size and/or time "


@contextmanager
def set_up(lab: SlurmLab, *settings: str) -> Iterator[None]:
    """Slurm with these lines in its slurm.conf in place of those of the same names."""
    before = lab.conf.read_text()
    names = tuple(f"{line.partition('=')[0]}=" for line in settings)
    kept = [line for line in before.splitlines() if not line.startswith(names)]
    lab.conf.write_text("\n".join([*kept, *settings, ""]))
    lab.run("scontrol", "reconfigure")
    try:
        yield
    finally:
        lab.conf.write_text(before)
        lab.run("scontrol", "reconfigure")


class Sbatch:
    """An sbatch that says something where a shell condition holds, and is Slurm's else.

    The condition may use `$size`, the tasks of the array in job.sh. `calls` counts them all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.real = shutil.which("sbatch") or "sbatch"
        self.accepts()

    @property
    def prelude(self) -> str:
        return f"PATH={self.folder}:$PATH"

    @property
    def calls(self) -> int:
        count = self.folder / "calls"
        return len(count.read_text()) if count.exists() else 0

    def says(self, words: str, when: str = "true", code: int = 1) -> None:
        last = "sed -n 's/.*--array=0-\\([0-9]*\\).*/\\1/p' job.sh"
        self._write(
            f"last=$({last}); size=$(( ${{last:-0}} + 1 ))\n"
            f"if {when}; then echo {shlex.quote(words)} >&2; exit {code}; fi\n"
        )

    def accepts(self) -> None:
        self._write("")

    def _write(self, first: str) -> None:
        fake = self.folder / "sbatch"
        fake.write_text(
            f'#!/bin/sh\nprintf x >>{self.folder}/calls\n{first}exec {self.real} "$@"\n'
        )
        fake.chmod(0o755)


class Played:
    """A driver whose clock can be put on."""

    def __init__(self, site: SlurmSite, prelude: str = "") -> None:
        self.now = 0.0
        self.driver: SlurmDriver = site.driver(
            ODD_RUNNER, prelude=prelude, clock=lambda: self.now + time.monotonic()
        )

    async def turns(self, minutes: float, step_s: float = 15.0) -> None:
        for _ in range(int(minutes * 60 / step_s)):
            await self.driver.turn()
            self.now += step_s


async def degraded(site: SlurmSite) -> str:
    """Why the site is degraded, or nothing."""
    ((why,),) = await site.world.sql("SELECT degraded FROM track.site WHERE name = 'cluster'")
    return str(why or "")


async def reason(site: SlurmSite, guid: str) -> str:
    """The reason of an asset's queued job."""
    rows = await site.world.sql(
        "SELECT reason FROM track.job WHERE asset_guid = :g AND state = 'queued'", g=guid
    )
    return str(rows[0][0] or "") if rows else ""


async def second_site(site: SlurmSite) -> None:
    """Another site that takes what this one does not."""
    await site.world.sql(
        "INSERT INTO track.site (name, kind, rank, definition, seen_at)"
        " VALUES ('next', 'local', 5, '{}', now() + interval '1 day')"
    )


async def sites_of(site: SlurmSite, guid: str) -> list[object]:
    """Where an asset's attempts were, in order."""
    rows = await site.world.sql(
        "SELECT t.site FROM track.attempt t JOIN track.job j ON j.id = t.job_id"
        " WHERE j.asset_guid = :g ORDER BY t.id",
        g=guid,
    )
    return [name for (name,) in rows]


async def tries(site: SlurmSite) -> set[object]:
    """The tries that any job used."""
    return {used for (used,) in await site.world.sql("SELECT DISTINCT tries FROM track.job")}
