"""One asset's road against the same number of empty Prefect subflows.

Both sides run in one process in turn: the real dispatcher over a session of small sheets,
then one flow that runs as many empty subflows. Their number is counted from Prefect's API
after each road, so both sides have created the same number of runs; of many assets, whose jobs
share runs, there are as many as if each had its own. The modules are the real ones and share the
processor; what they took is shown with the ratio.
"""

import asyncio
import statistics
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import func, select

from refinery import connections
from tasks.intake.opening import register_folder
from tests.benchmarks.carried import carry
from tests.benchmarks.rows import Row
from tests.benchmarks.sheets import write_small_session
from tests.benchmarks.system import FlowProcess, System
from track.schema.tables import asset

ASSETS = 6
DERIVATIVES = 2  # of each, as PIPEHERB0001 makes them
EACH = 17
"""Subflows of an asset and its derivatives, where those stages of the archive share one that come
one after another and nothing else does."""

ROUNDS = 3
WARM_UP = 5  # empty subflows that open connections and fill caches for both sides
EMPTY_AT_ONCE = 8
"""The width at which empty subflows are quickest here: with 64 at once Prefect's HTTP client
searches its pool of connections ever longer, and a slow other side would flatter ours."""
MAX_SECONDS = 1800.0
TARGET = 1.3
OF_MANY = 0.6
"""The target from `MANY` assets on."""

MANY = 60


@dataclass(frozen=True)
class Round:
    """Seconds of both sides, processor seconds of both by service, and the runs of each."""

    ours: float
    theirs: float
    our_cpu: dict[str, float]
    their_cpu: dict[str, float]
    subflows: int
    assets: int


async def measure(system: System, *, quick: bool = False, size: int | None = None) -> list[Row]:
    """The ratio of wall clocks, then what it is made of; `size` assets once; `quick`: one, once."""
    rounds, assets = (1, size or 1) if quick or size else (ROUNDS, ASSETS)
    async with (
        FlowProcess.start(system.settings, system.addresses) as flows,
        asyncio.timeout(MAX_SECONDS),
    ):
        await flows.do("empties", count=WARM_UP, at_once=WARM_UP)
        done = [await _round(system, flows, n, assets) for n in range(rounds)]
    return rows_of(done)


async def _round(system: System, flows: FlowProcess, n: int, assets: int) -> Round:
    session = await _drop(system, assets, seed=n + 1)
    before = _cpu(system, flows)
    runs = await carry(flows, session)
    between = _cpu(system, flows)
    await _check(system, session, assets)
    made = await _subflows(system, [each["run"] for each in runs])
    subflows = max(made, EACH * assets)
    at_rest = _cpu(system, flows)
    empty = await flows.do("empties", count=subflows, at_once=EMPTY_AT_ONCE)
    after = _cpu(system, flows)
    return Round(
        sum(each["seconds"] for each in runs),
        empty["seconds"],
        _less(between, before),
        _less(after, at_rest),
        subflows,
        assets,
    )


async def _drop(system: System, assets: int, seed: int) -> UUID:
    """A session on the N-Drive, opened as the watcher opens it; there is no worker to start it."""
    drive = connections.n_drive(system.settings)
    sources = system.settings.project_dir / "photographs"
    made = write_small_session(drive.root, sources, assets, seed)
    opened = await register_folder(system.engine, drive, Path(made.path), actor="benchmark")
    if opened is None:
        raise RuntimeError(f"{made.path} was opened before")
    return opened


async def _check(system: System, session: UUID, assets: int) -> None:
    """Raises RuntimeError unless every asset and all its derivatives came to their end."""
    wanted = assets * (1 + DERIVATIVES)
    finalised = select(func.count()).where(
        asset.c.session_id == session, asset.c.finalised_at.is_not(None)
    )
    async with system.engine.connect() as connection:
        found = (await connection.execute(finalised)).scalar_one()
    if found != wanted:
        raise RuntimeError(f"{found} of {wanted} assets are finalised")


async def _subflows(system: System, runs: list[str]) -> int:
    """How many runs Prefect knows below these."""
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": runs}}}
    api, headers = system.addresses.prefect_api, system.addresses.prefect_headers
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=30) as client:
        answer = await client.post("/flow_runs/count", json=wanted)
    answer.raise_for_status()
    return int(answer.json())


def _cpu(system: System, flows: FlowProcess) -> dict[str, float]:
    return system.cpu_s(("flows", flows.pid))


def _less(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def rows_of(done: list[Round]) -> list[Row]:
    """The judged row, then where the processor time of both sides went."""
    one = done[0]
    ours = statistics.median(each.ours for each in done)
    theirs = statistics.median(each.theirs for each in done)
    ratio = statistics.median(each.ours / each.theirs for each in done)
    share = statistics.median(each.our_cpu["runners"] / _all(each.our_cpu) for each in done)
    title = f"road of {one.assets} assets ÷ {one.subflows} empty subflows"
    parts = sorted(one.our_cpu, key=lambda name: -one.our_cpu[name])
    return [
        Row(title, ours, theirs, OF_MANY if one.assets >= MANY else TARGET, ratio=ratio),
        _part(done, "all but the modules' runners", [name for name in parts if name != "runners"]),
        *(_part(done, name, [name]) for name in parts),
        Row("  the runners' share of our processor time", share * 100, unit="%"),
    ]


def _part(done: list[Round], what: str, names: list[str]) -> Row:
    """Processor seconds of some services on both sides."""
    ours = statistics.median(sum(each.our_cpu[name] for name in names) for each in done)
    theirs = statistics.median(sum(each.their_cpu[name] for name in names) for each in done)
    return Row(f"  processor time: {what}", ours, theirs, unit="cpu s")


def _all(cpu: dict[str, float]) -> float:
    return sum(cpu.values())
