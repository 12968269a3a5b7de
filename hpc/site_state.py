"""What one Slurm driver remembers between its turns; what must outlive it is noted as well."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.carrier import Carrier
from hpc.cluster import Cluster, Hello
from hpc.scheduler.slurm import Limits
from hpc.tokens import Keys
from schemas.sites import Site
from track.site_notes import failed_nodes, last_fault

NODE_AVOIDED_S = 4 * 3600.0
FAULT_S = 600.0
FAULTS = 3
"""Jobs that end before they start, without their fault, until the site is taken for broken."""


@dataclass
class SiteState:
    """A site, the way to it, and what was learnt of it. `clock` is monotonic, in seconds.

    `carrier` is there where nodes have no network, and only there.
    """

    site: Site
    engine: AsyncEngine
    keys: Keys
    callback: str
    runner: Path
    cluster: Cluster
    carrier: Carrier | None = None
    clock: Callable[[], float] = time.monotonic
    hello: Hello | None = None
    runner_there: bool = False
    bad_nodes: dict[str, float] = field(default_factory=dict)
    faults: int = 0
    fault: str = ""
    fault_until: float = 0.0

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
        """Keep new work away from a node that failed."""
        if node:
            self.bad_nodes[node] = self.clock() + NODE_AVOIDED_S

    def avoided(self) -> tuple[str, ...]:
        """The nodes to keep away from now."""
        now = self.clock()
        self.bad_nodes = {node: until for node, until in self.bad_nodes.items() if until > now}
        return tuple(sorted(self.bad_nodes))

    def blame(self, fault: str) -> bool:
        """Note a job that the site, and not the job, made end; enough of them and it is held.

        Whether it is held since now.
        """
        self.faults += 1
        if self.faults < FAULTS:
            return False
        news = not self.fault
        self.fault, self.fault_until = fault, self.clock() + FAULT_S
        return news

    async def recall(self) -> None:
        """Take up what earlier drivers learnt: nodes that failed, and why the site was held."""
        async with self.engine.connect() as tx:
            nodes = await failed_nodes(tx, self.site.name, NODE_AVOIDED_S)
            held = await last_fault(tx, self.site.name, FAULT_S)
        now = self.clock()
        self.bad_nodes = {node: now + NODE_AVOIDED_S - age for node, age in nodes.items()}
        if held is not None:
            self.faults, self.fault = FAULTS, held[0]
            self.fault_until = now + FAULT_S - held[1]

    def works(self) -> None:
        """A job got as far as its start: the site is in order."""
        self.faults, self.fault = 0, ""

    def faulty(self) -> str:
        """Why the site is taken for broken now, or nothing."""
        if self.fault and self.clock() > self.fault_until:
            self.faults, self.fault = FAULTS - 1, ""
        return self.fault
