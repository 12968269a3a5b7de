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


SILENCES = 3
SILENT_AFTER_S = 30.0
FIRST_SILENCE_S = 1.0
LONGEST_SILENCE_S = 300.0
LONGEST_WORD = 300


@dataclass
class Silence:
    """A program of the scheduler's that gives no answer: how often, since when, its last words.

    It is asked again after a growing pause. Often and long enough, and the site cannot work.
    """

    program: str
    times: int = 0
    since: float = 0.0
    noted_at: float = 0.0
    again_at: float = 0.0
    why: str = ""
    lapsed: bool = False

    def note(self, why: str, now: float) -> None:
        """It gave none."""
        if self.times and not self.lapsed and now < self.again_at:
            return  # another of the same command's
        self.since = self.since if self.times else now
        self.times += 1
        self.lapsed, self.noted_at = False, now
        pause = min(LONGEST_SILENCE_S, FIRST_SILENCE_S * 2.0 ** (self.times - 1))
        self.again_at, self.why = now + pause, " ".join(why.split())[-LONGEST_WORD:]

    def clear(self) -> None:
        """It answered."""
        self.times, self.lapsed = 0, False

    def lapse(self, now: float) -> None:
        """Nothing is left to ask it: after a while the next work finds out."""
        held = FAULT_S if self.times >= SILENCES else 0.0
        if self.times and now >= max(self.again_at, self.noted_at + held):
            self.lapsed = True

    @property
    def open(self) -> bool:
        """Whether it is silent, or was when it was last asked."""
        return self.times > 0 and not self.lapsed

    def proven(self, now: float) -> bool:
        """Whether that is no passing trouble."""
        return self.open and self.times >= SILENCES and now - self.since >= SILENT_AFTER_S


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
    scontrol: Silence = field(default_factory=lambda: Silence("scontrol"))
    squeue: Silence = field(default_factory=lambda: Silence("squeue"))
    sbatch: Silence = field(default_factory=lambda: Silence("sbatch"))

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

    @property
    def silences(self) -> tuple[Silence, ...]:
        """The scheduler's programs, as far as they answer."""
        return self.scontrol, self.squeue, self.sbatch

    @property
    def unsure(self) -> bool:
        """Whether any of the scheduler's programs gave no answer when it was last asked."""
        return any(each.open for each in self.silences)

    @property
    def quiet(self) -> bool:
        """Whether nothing new should be submitted, for it would come to be in doubt."""
        return self.scontrol.open or self.sbatch.open or self.squeue.proven(self.clock())

    def unanswered(self) -> str:
        """Why the site cannot work though its login node answers, or nothing."""
        now = self.clock()
        for each in self.silences:
            if each.proven(now):
                minutes = max(1, round((now - each.since) / 60))
                return f"{each.program} has had no answer for {minutes} min there: {each.why}"
        return ""
