"""An agent of the demonstration's own before a scheduler: TORQUE's programs on a real Slurm.

The server can reach neither of them: the agent asks for work, submits it and reports. Afterwards
the scheduler's records are held against our attempts.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from demo.lab import slurm_lab
from demo.lab.agent_process import AgentProcess
from demo.lab.agents import LEASE_S, AgentPlay, Say
from demo.lab.known_site import NoSiteHere, known_site
from demo.lab.machine import LabMachine
from demo.lab.slurm_lab import SlurmLab, running_lab
from hpc.archives import build_agent
from refinery import state
from refinery.addresses import Addresses
from refinery.processes import MARK
from refinery.settings import Settings
from schemas.sites import Site

SITE = "pull"
"""The name that asks for this, unless the sites file has a site called so."""

PROGRAMS = ("qsub", "qstat", "qdel")
MISSING = (
    "qsub, qstat and qdel before a Slurm are not installed: run `bash tests/debian-packages.sh` "
    "(slurm-wlm-torque, munge, slurmctld, slurmd, slurm-client, openssh-server)"
)
SLOTS = 8
POLL_S = 2
"""How often the agent asks the scheduler, in seconds; a minute is usual."""


def installed() -> bool:
    """Whether all that is needed is here."""
    return slurm_lab.installed() and all(map(shutil.which, PROGRAMS))


@asynccontextmanager
async def own_pull(
    settings: Settings, addresses: Addresses, engine: AsyncEngine, say: Say
) -> AsyncIterator[tuple[AgentPlay, SlurmLab]]:
    """A site `pull`, a Slurm, and the agent that submits to it by TORQUE's programs.

    Raises NoSiteHere and NotJoined. Whatever ends the block, all of it is taken down.
    """
    if not installed():
        raise NoSiteHere(MISSING)
    mark = {MARK: state.mark(settings)}
    with running_lab(cpus=os.cpu_count() or 2, environment=mark) as lab:
        given = {"site": SITE, "kind": "pull", "callback": addresses.clusters, "lease_s": LEASE_S}
        play = AgentPlay(engine, addresses, lab.root(SITE), say, SITE)
        play.machine = LabMachine(play.folder, build_agent(play.folder), Path(sys.executable))
        agent = AgentProcess(play.machine, "submitter", {**mark, **lab.environment}, units=SLOTS)
        async with known_site(settings, addresses, engine, Site.model_validate(given)):
            try:
                slots = ("--scheduler", "torque", "--slots", str(SLOTS))
                await play.let_join(agent, *slots)
                await asyncio.to_thread(_ask_often, agent.home / "agent.json")
                agent.start()
                yield play, lab
            finally:
                await play.close()


def _ask_often(path: Path) -> None:
    """Change how often the agent asks its scheduler, as an operator may."""
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"poll_s": POLL_S}))
