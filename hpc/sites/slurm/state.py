"""What one Slurm driver keeps between its turns; what must outlive it is in the database too."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.scheduler.bounds import Allowed
from hpc.scheduler.slurm import Limits
from hpc.sites.faults import FAULT_S, ProgramFailures, SiteFaults
from hpc.sites.slurm.answers import Hello
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.relay import OfflineRelay
from hpc.tokens import Keys
from schemas.backoff import Backoff
from schemas.sites import Site
from track.jobs.sites import failed_nodes, last_fault

NODE_AVOIDED_S = 4 * 3600.0
DENIED_PAUSES = Backoff(15.0, 300.0)
"""After the site itself refused a job."""

FULL_S = 1800.0
"""How long a site may take nothing, though none of ours is there, until work goes elsewhere."""

DENIES = ("has refused every job", DENIED_PAUSES)
FILLED = ("has had no place for any job, and none of ours is there,", DENIED_PAUSES, FULL_S)


@dataclass
class SiteState:
    """A site, how it is reached, and what is known of it. `clock` is monotonic, in seconds.

    There is a `relay` where nodes have no network, and only there.
    """

    site: Site
    engine: AsyncEngine
    keys: Keys
    callback: str
    runner: Path
    cluster: Cluster
    relay: OfflineRelay | None = None
    clock: Callable[[], float] = time.monotonic
    hello: Hello | None = None
    runner_there: bool = False
    allowed: Allowed = field(default_factory=Allowed)
    bad_nodes: dict[str, float] = field(default_factory=dict)
    faults: SiteFaults = field(default_factory=SiteFaults)
    scontrol: ProgramFailures = field(default_factory=partial(ProgramFailures, "scontrol"))
    squeue: ProgramFailures = field(default_factory=partial(ProgramFailures, "squeue"))
    sbatch: ProgramFailures = field(default_factory=partial(ProgramFailures, "sbatch"))
    denied: ProgramFailures = field(default_factory=partial(ProgramFailures, "sbatch", *DENIES))
    full: ProgramFailures = field(default_factory=partial(ProgramFailures, "sbatch", *FILLED))

    @property
    def actor(self) -> str:
        """Who did it, for the history."""
        return f"driver:{self.site.name}"

    @property
    def limits(self) -> Limits:
        """What the controller allows, as far as it is known."""
        return self.hello.limits if self.hello else Limits()

    @property
    def accounting(self) -> bool:
        """Whether sacct knows what the queue has forgotten."""
        return self.hello is not None and self.hello.accounting

    def avoid(self, node: str) -> None:
        """Send no new work to a node that failed, for a while."""
        if node:
            self.bad_nodes[node] = self.clock() + NODE_AVOIDED_S

    def avoided(self) -> tuple[str, ...]:
        """The nodes to keep away from now."""
        now = self.clock()
        self.bad_nodes = {node: until for node, until in self.bad_nodes.items() if until > now}
        return tuple(sorted(self.bad_nodes))

    async def recall(self) -> None:
        """Read what earlier drivers found out: nodes that failed, and why the site was held."""
        async with self.engine.connect() as tx:
            nodes = await failed_nodes(tx, self.site.name, NODE_AVOIDED_S)
            held = await last_fault(tx, self.site.name, FAULT_S)
        now = self.clock()
        self.bad_nodes = {node: now + NODE_AVOIDED_S - age for node, age in nodes.items()}
        if held is not None:
            self.faults.recall(*held, now)

    def faulty(self) -> str:
        """Why the site is taken for broken now, or nothing."""
        return self.faults.held(self.clock())

    @property
    def unsure(self) -> bool:
        """Whether a program of the scheduler gave no answer when it was last asked, or sbatch
        refused."""
        return any(each.open for each in (self.scontrol, self.squeue, self.sbatch, self.denied))

    @property
    def quiet(self) -> bool:
        """Whether nothing new should be submitted, for it would stay unconfirmed, or be
        refused as everything was."""
        now = self.clock()
        refusing = self.denied.proven(now) and now < self.denied.again_at
        return refusing or self.scontrol.open or self.sbatch.open or self.squeue.proven(now)

    def unanswered(self) -> str:
        """Why the site cannot work though its login node answers, or nothing."""
        now = self.clock()
        for each in (self.scontrol, self.squeue, self.sbatch, self.denied, self.full):
            if each.proven(now):
                return each.describe(now)
        return ""
