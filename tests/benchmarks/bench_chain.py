"""A burst of small specimens, three jobs of 0.2 s each at a real Slurm, against raw arrays.

All of it is real: the session on the N-Drive, ingest, the archive's stand-in, the dispatcher,
Prefect's server, the clusters' API, the driver, one SSH connection, sbatch. The other side is
what the same Slurm needs for three arrays of as many jobs, one after another, by plain sbatch
over a connection of its own; it is measured before and after, since a machine changes.
"""

import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from demo.lab.slurm_lab import SlurmLab
from refinery import connections
from tasks.intake.opening import register_folder
from tests.benchmarks.at_slurm import Asked, asked, driven, lab_of, raw_arrays
from tests.benchmarks.by_hand import load, modules_in_a_row
from tests.benchmarks.carried import (
    ALL,
    Step,
    carry,
    cpu_rows,
    latency_rows,
    less,
    read_steps,
    span_s,
)
from tests.benchmarks.rows import Row
from tests.benchmarks.sheets import write_small_session
from tests.benchmarks.system import FlowProcess, System

CHAINS = 50
STAGES = 3
BEFORE = ("refinery.ingest", "refinery.create")
PIPELINE = "PIPECONTROL"
"""A name that the archive knows, and no pipeline of the project bears."""

RATIO, P50_S, P95_S, CPU_S = 5.0, 0.5, 2.0, 0.15
MAX_SECONDS = 3600.0


@dataclass(frozen=True)
class Chains:
    """One measured burst: seconds of the whole and of each raw side, and what it took."""

    chains: int
    whole_s: float
    raw_s: list[float]
    steps: list[Step]
    cpu: dict[str, float]
    asked: Asked
    runs: int


async def measure(system: System, *, quick: bool = False, size: int | None = None) -> list[Row]:
    """Drop `size` specimens at once and follow them to their end. Raises RuntimeError where
    Slurm is not installed, or when not every job is done."""
    chains = size or (3 if quick else CHAINS)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, lab_of(system) as lab:
        async with asyncio.timeout(MAX_SECONDS):
            return rows_of(await _measure(system, lab, Path(name), chains))


async def _measure(system: System, lab: SlurmLab, folder: Path, chains: int) -> Chains:
    raw_s = [await raw_arrays(lab, folder / "before", chains, STAGES)]
    at_first = await asked(system, lab)
    async with (
        driven(system, lab) as site,
        FlowProcess.start(system.settings, system.addresses) as flows,
    ):
        await load(system.engine, modules_in_a_row(PIPELINE, site, STAGES, BEFORE, "clean"))
        await flows.do("empties", count=1, at_once=1)  # fills caches
        path = _drop(system, chains)
        before = system.cpu_s(("flows", flows.pid))
        began = time.perf_counter()
        session = await _open(system, path)
        runs = len(await carry(flows, session))
        whole_s = time.perf_counter() - began
        cpu = less(system.cpu_s(("flows", flows.pid)), before)
        told = (await asked(system, lab)).less(at_first)
    steps = await read_steps(system.engine, session, chains * (STAGES + len(BEFORE)))
    raw_s.append(await raw_arrays(lab, folder / "after", chains, STAGES))
    return Chains(chains, whole_s, raw_s, steps, cpu, told, runs)


def _drop(system: System, chains: int) -> Path:
    """The session on the N-Drive, of which nothing knows yet."""
    drive = connections.n_drive(system.settings)
    sources = system.settings.project_dir / "chained"
    return Path(write_small_session(drive.root, sources, chains, 77, pipeline=PIPELINE).path)


async def _open(system: System, path: Path) -> UUID:
    """Open it as the watcher does; there is no worker to start its dispatcher."""
    drive = connections.n_drive(system.settings)
    opened = await register_folder(system.engine, drive, path, actor="benchmark")
    assert opened is not None
    return opened


def rows_of(found: Chains) -> list[Row]:
    """Both sides, then how promptly and at what cost."""
    raw_s, jobs = statistics.mean(found.raw_s), found.chains * (STAGES + len(BEFORE))
    title = f"{found.chains} chains of {STAGES} jobs at Slurm"
    asked_of = {
        "SSH connections": found.asked.connections,
        "commands over them, greeting included": found.asked.commands,
        f"arrays submitted, for {STAGES * found.chains} jobs": found.asked.arrays,
        "sbatch RPCs": found.asked.submissions,
        "squeue RPCs": found.asked.looks,
        "dispatchers, one after another": found.runs,
    }
    return [
        Row(
            f"{title}: first queued → last finished ÷ raw arrays", span_s(found.steps), raw_s, RATIO
        ),
        Row("  from the drop to the session's end ÷ raw arrays", found.whole_s, raw_s),
        *latency_rows(found.steps, P50_S, P95_S),
        *(Row(f"  {what}", number, unit="") for what, number in asked_of.items()),
        *cpu_rows(found.cpu, jobs, ALL, f"all services, {jobs} jobs", CPU_S),
    ]
