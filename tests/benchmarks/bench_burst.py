"""Thousands of specimens at once, two jobs each that do nothing, at the local site.

They are past their ingest and known to the archive, so that the waves of jobs alone are
measured: `chain` has the rest. The dispatcher, Prefect's server, the clusters' API and the
local driver are real, and so are the runners: each takes its share of a batch one after another.
"""

import asyncio
import time

from tests.benchmarks.by_hand import load, modules_in_a_row, open_with
from tests.benchmarks.carried import OURS, carry, cpu_rows, latency_rows, less, read_steps, span_s
from tests.benchmarks.rows import Row
from tests.benchmarks.system import FlowProcess, System

SPECIMENS = 2000
STAGES = 2
SITE = "local"
PIPELINE = "BURST"
CPU_S = 0.02
MAX_SECONDS = 3600.0


async def measure(system: System, *, quick: bool = False, size: int | None = None) -> list[Row]:
    """Carry `size` specimens to their end. Raises RuntimeError when not every job is done."""
    specimens = size or (8 if quick else SPECIMENS)
    jobs = specimens * STAGES
    await load(system.engine, modules_in_a_row(PIPELINE, SITE, STAGES, run="clean"))
    async with (
        FlowProcess.start(system.settings, system.addresses) as flows,
        asyncio.timeout(MAX_SECONDS),
    ):
        await flows.do("empties", count=1, at_once=1)  # fills caches
        session = await open_with(system.engine, PIPELINE, specimens)
        at_rest_mb = flows.peak_mb()
        before = system.cpu_s(("flows", flows.pid))
        began = time.perf_counter()
        runs = len(await carry(flows, session))
        whole_s = time.perf_counter() - began
        spent = less(system.cpu_s(("flows", flows.pid)), before)
        peak_mb = flows.peak_mb()
    steps = await read_steps(system.engine, session, jobs)
    title = f"burst of {specimens} specimens, {jobs} jobs at the local site"
    return [
        Row(title, jobs / whole_s, unit="jobs/s"),
        Row("  from the dispatcher's start to its end", whole_s),
        Row("  first queued → last finished", span_s(steps)),
        *latency_rows(steps, None, None),
        Row("  dispatchers, one after another", runs, unit=""),
        Row("  memory of the process that runs flows, at most", peak_mb, unit="MB"),
        Row("  the same before the burst", at_rest_mb, unit="MB"),
        *cpu_rows(spent, jobs, OURS, "ours, PostgreSQL included", CPU_S),
    ]
