"""What strikes a system under fire: deaths, standstills, an archive that fails, people at work.

A strike that lasts is two of them, and its second half undoes the first. Names are what a
campaign prints; the same seed draws the same names at the same moments.
"""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from demo.lab import victims
from demo.lab.agents import LEASE_S, SITE
from refinery.addresses import of_running
from refinery.local.service import descendants
from refinery.settings import Settings
from schemas.agents import Order
from track.commands import agents, switches
from track.jobs.agents import present_agents
from track.schema.database import make_engine, transact

WINDOW_S = 45.0
"""Strikes begin within so many seconds after the sessions were dropped."""
MAX_STRIKES = 4
CALL_S = 10.0

HELD = "held by a campaign"
PIPELINE = "PIPEHERB0001"
ADDED = {"key": "second_look", "run": "module barcode", "needs": "assetLoader"}
"""The stage that an edit adds; it writes nothing, and what was finished has to do it too."""

ARCHIVE: dict[str, dict[str, Any]] = {
    "504 after the work": {"action": "effect_then_status", "status": 504, "count": 2},
    "cut off after the work": {"action": "effect_then_reset", "count": 2},
    "cut off before the work": {"action": "reset", "count": 2},
    "503 three times": {"action": "status", "status": 503, "count": 3},
    "401 in the middle": {"action": "unauthorised", "count": 2},
    "slow for a while": {"action": "latency", "seconds": 2.0, "count": 5},
    "upload cut off": {"action": "cut_upload", "bytes": 50_000, "count": 1},
    "upload damaged": {"action": "corrupt_upload", "count": 1},
    "transfer to ERDA fails": {"action": "erda_put_fails", "count": 1},
    "ERDA is away": {"action": "erda_unreachable", "count": 4},
    "share closes late": {"action": "slow_gap", "seconds": 5.0, "count": 2},
}
"""Faults of the archive, as its stand-in understands them."""

LASTING: dict[str, tuple[str, float]] = {
    "the sites' drivers stand still": ("the sites' drivers go on", 150.0),
    "a specimen is held": ("specimens are let go", 20.0),
    "a stage is switched off": ("the stage is switched on", 20.0),
    "a pipeline gets a stage": ("the pipeline is as before", 40.0),
    "a throttle is tightened": ("the throttle is as before", 30.0),
    "the agents stand still": ("the agents go on", 150.0),
    "the agents are drained": ("the agents take work again", 40.0),
}
"""What lasts, what ends it, and after how many seconds."""

LATE = "a late call of a script"
GONE = "an agent is declared gone"

NAMES = (
    *(f"kill {name}" for name in victims.KINDS),
    *(f"archive: {name}" for name in ARCHIVE),
    *LASTING,
    LATE,
    GONE,
)

ENDED = """
    SELECT j.asset_guid, s.key, t.started_by FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id JOIN track.stage s ON s.id = j.stage_id
    WHERE t.closed_at IS NOT NULL AND t.started_by IS NOT NULL
    ORDER BY t.id DESC LIMIT 50
"""
UNDER_WAY = text("""
    SELECT guid FROM track.asset
    WHERE finalised_at IS NULL AND quarantine IS NULL AND parent_guid IS NULL ORDER BY guid
""")
HOLDING = text("SELECT guid FROM track.asset WHERE attention = :note")


@dataclass(frozen=True, order=True)
class Strike:
    """What happens `at_s` seconds after the sessions were dropped. `undoes`: it has to happen."""

    at_s: float
    what: str
    undoes: bool = False


def schedule(chance: random.Random) -> list[Strike]:
    """What strikes one round, in order; whatever lasts is undone."""
    strikes: set[Strike] = set()
    for _ in range(chance.randint(1, MAX_STRIKES)):
        at_s, what = chance.uniform(1.0, WINDOW_S), chance.choice(NAMES)
        strikes.add(Strike(at_s, what))
        if what in LASTING:
            end, lasts_s = LASTING[what]
            strikes.add(Strike(at_s + lasts_s, end, undoes=True))
    return sorted(strikes)


def copy_pipelines(settings: Settings, source: Path, **throttle: int) -> None:
    """The project's pipelines, as a campaign's own, each with this throttle."""

    def narrow(pipeline: dict[str, Any]) -> None:
        if "throttle" in pipeline:
            pipeline["throttle"] |= throttle

    settings.pipelines.mkdir(parents=True, exist_ok=True)
    _rewrite(source, settings.pipelines, narrow)


def write_sites(settings: Settings, callback: str | None) -> None:
    """The campaign's sites: this machine, and agents whose jobs call back there, or by them."""
    sites: list[dict[str, Any]] = [
        {"site": "local", "kind": "local", "root": str(settings.state / "sites" / "local")},
        {"site": SITE, "kind": "pull", "lease_s": LEASE_S, "callback": callback},
    ]
    settings.sites_file.parent.mkdir(parents=True, exist_ok=True)
    settings.sites_file.write_text(
        yaml.safe_dump({"sites": sites}, sort_keys=False), encoding="utf-8"
    )


def _rewrite(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write each file of pipelines in `source` to `target`, every pipeline of it changed."""
    for path in sorted(source.glob("*.yaml")):
        found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        for pipeline in found:
            change(pipeline)
        changed = yaml.safe_dump_all(found, sort_keys=False)
        (target / path.name).write_text(changed, encoding="utf-8")


class Striker:
    """Strikes one system. `environment` is what its commands are started with."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self.acts: dict[str, Callable[[random.Random], bool]] = {
            "the sites' drivers stand still": lambda _: self._signal_drivers(signal.SIGSTOP),
            "the sites' drivers go on": lambda _: self._signal_drivers(signal.SIGCONT),
            "the agents stand still": lambda _: self._signal_agents(signal.SIGSTOP),
            "the agents go on": lambda _: self._signal_agents(signal.SIGCONT),
            "the agents are drained": lambda _: self._write(_order, "drain"),
            "the agents take work again": lambda _: self._write(_order, "run"),
            "a specimen is held": lambda chance: self._write(_hold, chance),
            "specimens are let go": lambda _: self._write(_release),
            "a stage is switched off": lambda _: self._write(_switch, False),
            "the stage is switched on": lambda _: self._write(_switch, True),
            "a pipeline gets a stage": lambda _: self._edit(_with_stage),
            "the pipeline is as before": lambda _: self._edit(_without_stage),
            "a throttle is tightened": lambda _: self._edit(_throttle, 1),
            "the throttle is as before": lambda _: self._edit(_throttle, 2),
            LATE: self._call_late,
            GONE: lambda chance: self._write(_declare_gone, chance),
        }

    def refinery(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call `refinery` as a person would, and wait for its end; what it wrote to stderr."""
        return subprocess.run(
            (sys.executable, "-m", "refinery.cli", *arguments),
            cwd=self._settings.project_dir,
            env=dict(self._environment),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            check=False,
        )

    def strike(self, what: str, chance: random.Random) -> bool:
        """Let it happen; False when there was nobody to strike, or nobody answered."""
        if what in self.acts:
            return self.acts[what](chance)
        kind, _, name = what.partition(" ")
        if kind == "kill":
            pids = victims.KINDS[name](self._settings)
            victims.kill(pids)
            return bool(pids)
        return self._post(f"{of_running(self._settings).ars}/__sim/faults", ARCHIVE[name])

    def _signal_drivers(self, number: signal.Signals) -> bool:
        found = victims.service(self._settings, "sites")
        return self._signal(
            [*found, *(each.pid for pid in found for each in descendants(pid))], number
        )

    def _signal_agents(self, number: signal.Signals) -> bool:
        return self._signal(victims.agents(self._settings), number)

    def _signal(self, pids: list[int], number: signal.Signals) -> bool:
        victims.kill(pids, number)
        return bool(pids)

    def _post(self, url: str, body: dict[str, Any]) -> bool:
        try:
            return httpx.post(url, json=body, timeout=CALL_S, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _call_late(self, chance: random.Random) -> bool:
        """Say once more that an attempt started that has ended, as a script does that hung."""
        rows = victims.ask(self._settings, ENDED)
        if not rows:
            return False
        guid, stage, native = chance.choice(rows)
        body = {
            "guid": guid, "job_name": stage, "job_id": native,
            "timestamp": "2026-01-01T00:00:00+00:00",
        }  # fmt: skip
        return self._post(f"{of_running(self._settings).clusters}/dev/api/v1/start_job", body)

    def arrange(self, wave: int | str, chance: random.Random) -> bool:
        """Have all pipelines show their jobs in Prefect so from now on, and each module run where
        chance has it. False while it cannot.

        An upload runs where its file was made, so it is left to choose.
        """
        write_sites(self._settings, chance.choice([None, of_running(self._settings).clusters]))

        def change(pipeline: dict[str, Any]) -> None:
            pipeline["wave"] = wave
            for stage in pipeline["stages"]:
                if stage["run"].startswith("module ") and stage["run"] != "module upload":
                    stage["on"] = [chance.choice(["local", SITE])]

        _rewrite(self._settings.pipelines, self._settings.pipelines, change)
        return self.refinery("migrate").returncode == 0

    def _edit(self, change: Callable[..., None], *values: int) -> bool:
        """Change a pipeline's file and load it, as its owner does. False when it is not loaded."""

        def edit(pipeline: dict[str, Any]) -> None:
            if pipeline["pipeline"] == PIPELINE:
                change(pipeline, *values)

        _rewrite(self._settings.pipelines, self._settings.pipelines, edit)
        return self.refinery("migrate").returncode == 0

    def _write(self, work: Callable[..., Awaitable[bool]], *values: object) -> bool:
        """Do what an operator does, in one transaction. False while the database is away."""

        async def once() -> bool:
            engine = make_engine(of_running(self._settings).database)
            try:
                return await transact(engine, work, *values)
            except (SQLAlchemyError, OSError):
                return False
            finally:
                await engine.dispose()

        return asyncio.run(once())


async def _hold(tx: AsyncConnection, chance: random.Random) -> bool:
    guids = list((await tx.execute(UNDER_WAY)).scalars())
    if guids:
        await switches.set_attention(tx, chance.choice(guids), HELD, actor="campaign")
    return bool(guids)


async def _release(tx: AsyncConnection) -> bool:
    for guid in (await tx.execute(HOLDING, {"note": HELD})).scalars().all():
        await switches.set_attention(tx, guid, None, actor="campaign")
    return True


async def _order(tx: AsyncConnection, order: Order) -> bool:
    for row in await present_agents(tx, SITE):
        await agents.set_order(tx, row.id, order, actor="campaign")
    return True


async def _declare_gone(tx: AsyncConnection, chance: random.Random) -> bool:
    numbers = [row.id for row in await present_agents(tx, SITE)]
    if numbers:
        evidence = "a campaign says so"
        await agents.gone(tx, chance.choice(numbers), evidence=evidence, actor="campaign")
    return bool(numbers)


async def _switch(tx: AsyncConnection, on: bool) -> bool:
    await switches.switch_stage(tx, "barcode", PIPELINE, on, actor="campaign")
    return True


def _with_stage(pipeline: dict[str, Any]) -> None:
    if ADDED["key"] not in {stage["key"] for stage in pipeline["stages"]}:
        pipeline["stages"].insert(-1, dict(ADDED))


def _without_stage(pipeline: dict[str, Any]) -> None:
    pipeline["stages"] = [each for each in pipeline["stages"] if each["key"] != ADDED["key"]]


def _throttle(pipeline: dict[str, Any], in_flight: int) -> None:
    pipeline["throttle"]["assets_in_flight"] = in_flight
