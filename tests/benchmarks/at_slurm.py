"""A system's own site on the lab's Slurm, the same Slurm by hand, and what it was asked."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from prefect.settings import PREFECT_HOME, temporary_settings
from sqlalchemy import text

from blocks.slurm_site import SlurmSite
from demo.lab.known_site import forget_site, prefect_at
from demo.lab.slurm import SITE, the_site
from demo.lab.slurm_lab import MISSING, SlurmLab, installed, running_lab
from hpc.transport.ssh import SshLink
from refinery import state
from refinery.processes import MARK
from tests.benchmarks.system import System
from track.jobs.sites import load_sites, read_sites
from track.schema.database import transact

SLEEP_S = 0.2
MAX_SECONDS = 300.0
POLL_S = 60
"""As a site has it that says nothing of it: jobs that call back are not looked for."""

RPC = re.compile(r"\s*(REQUEST_SUBMIT_BATCH_JOB|REQUEST_JOB_INFO\w*)\s.*count:(\d+)")
CONNECTED = re.compile(r"^Accepted publickey ", re.MULTILINE)
COMMAND = re.compile(r"^Starting session: command ", re.MULTILINE)
BATCHES = text("SELECT count(*) FROM track.batch WHERE site = :site AND submitted_at IS NOT NULL")
SEEN = text("SELECT 1 FROM track.site WHERE name = :site AND seen_at IS NOT NULL")


@contextmanager
def lab_of(system: System) -> Iterator[SlurmLab]:
    """A running Slurm with an sshd before it. Raises RuntimeError where it is not installed.

    Its processes bear the system's mark: whatever happens, they end with it.
    """
    if not installed():
        raise RuntimeError(MISSING)
    with running_lab(environment={MARK: state.mark(system.settings)}) as lab:
        yield lab


@asynccontextmanager
async def driven(system: System, lab: SlurmLab) -> AsyncIterator[str]:
    """The site's name, once the system's own driver has been let in; forgotten afterwards.

    Its interpreter sleeps before it starts: there is no module that only sleeps.
    """
    python = lab.folder / "sleeping-python"
    python.write_text(f'#!/bin/sh\nsleep {SLEEP_S}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    site = the_site(lab, system.addresses).model_copy(
        update={"python": str(python), "poll_s": POLL_S}
    )
    engine, before = system.engine, read_log(lab.sshd.log())
    try:
        with _prefect_of(system):
            await SlurmSite(**asdict(lab.sshd.hop)).save(SITE, overwrite=True)
        others = [each for each in await transact(engine, read_sites) if each.name != SITE]
        await transact(engine, load_sites, [*others, site], actor="benchmark")
        async with asyncio.timeout(MAX_SECONDS):
            while read_log(lab.sshd.log()) == before or not await _is_seen(system):
                await asyncio.sleep(0.1)
        yield SITE
    finally:
        with _prefect_of(system):
            await SlurmSite.adelete(SITE)
            await forget_site(system.settings, engine, site)


@contextmanager
def _prefect_of(system: System) -> Iterator[None]:
    """Prefect's client talks to this system, and keeps what it notes there too."""
    home = {PREFECT_HOME: system.settings.state / "prefect"}
    with temporary_settings(updates=home), prefect_at(system.addresses):
        yield


async def _is_seen(system: System) -> bool:
    async with system.engine.connect() as tx:
        return (await tx.execute(SEEN, {"site": SITE})).first() is not None


@dataclass(frozen=True)
class Asked:
    """What the lab has been asked so far.

    `connections` and `commands` by its sshd, `submissions` and `looks` at the queue by its
    controller, `arrays` by our own database.
    """

    connections: int
    commands: int
    submissions: int
    looks: int
    arrays: int

    def less(self, before: "Asked") -> "Asked":
        """What it was asked in between."""
        then = asdict(before)
        return Asked(**{name: number - then[name] for name, number in asdict(self).items()})


async def asked(system: System, lab: SlurmLab) -> Asked:
    """What the lab was asked until now."""
    connections, commands = read_log(lab.sshd.log())
    rpcs = read_rpcs(lab.run("sdiag"))
    async with system.engine.connect() as tx:
        arrays = (await tx.execute(BATCHES, {"site": SITE})).scalar_one()
    return Asked(connections, commands, rpcs["sbatch RPCs"], rpcs["queue RPCs"], int(arrays))


def read_log(log: str) -> tuple[int, int]:
    """(connections let in, commands begun) by sshd's log."""
    return len(CONNECTED.findall(log)), len(COMMAND.findall(log))


def read_rpcs(sdiag: str) -> dict[str, int]:
    """What the controller counted by itself, of submissions and of looks at its queue."""
    counted = dict.fromkeys(("sbatch RPCs", "queue RPCs"), 0)
    for line in sdiag.splitlines():
        found = RPC.match(line)
        if found:
            counted[f"{'sbatch' if 'SUBMIT' in found[1] else 'queue'} RPCs"] += int(found[2])
    return counted


async def submitted(link: SshLink, line: str) -> None:
    """Submit by hand. Raises RuntimeError when Slurm does not take it."""
    answer = await link.run(line)
    if answer.exit_code != 0:
        raise RuntimeError(answer.stderr.decode(errors="replace"))


async def raw_arrays(lab: SlurmLab, folder: Path, tasks: int, arrays: int) -> float:
    """Seconds that so many arrays take by plain sbatch, each sent when the one before is over.

    From the first submission to the last task's end, over a connection that is open already.
    """
    folder.mkdir()
    script = folder / "sleep.sh"
    script.write_text(f'#!/bin/sh\nsleep {SLEEP_S}\necho >>"$1"\n')
    link = SshLink(lab.sshd.address())
    try:
        await link.open()
        began = time.perf_counter()
        async with asyncio.timeout(MAX_SECONDS):
            for n in range(arrays):
                ends = folder / f"ends{n}"
                ends.touch()
                array = f"--array=0-{tasks - 1} --output=/dev/null"
                await submitted(link, f"sbatch --parsable {array} {script} {ends}")
                while ends.stat().st_size < tasks:  # a byte each
                    await asyncio.sleep(0.01)
        return time.perf_counter() - began
    finally:
        await link.close()
