"""A campaign: the demonstration's session again and again while things are killed and fail.

What strikes, and when, is drawn from a seed, which is printed: the same seed strikes in the
same order. Each round is then held against what its session was made to contain.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.exc import SQLAlchemyError

from demo import victims
from demo.judgement import Row, end_of, judged
from demo.run import look
from demo.sessions import End, SampleSession, write_sample_session
from refinery import lifecycle, state
from refinery.addresses import of_running
from refinery.settings import Settings
from track.database import make_engine

Say = Callable[[str], None]

PATIENCE_S = 900.0
"""How long a session may take before its specimens count as stuck."""
WINDOW_S = 45.0
"""Strikes fall within so many seconds after the session was dropped."""
LOOK_S = 1.0
MOST_STRIKES = 4
PROJECT = {
    "REFINERY_PROJECT": "campaign",
    "REFINERY_ARS_CONTROL": "true",
    "REFINERY_SETTLE_SECONDS": "2",
}
KILLS = tuple(victims.KINDS)
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
    "share closes late": {"action": "slow_gap", "seconds": 5.0, "count": 2},
}
"""Faults of the archive, as its stand-in understands them."""

TWICE = {
    ("refinery", "granted twice"): """
        SELECT attempt_id FROM track.inbox WHERE kind = 'start' AND applied = 'applied'
        GROUP BY attempt_id HAVING count(*) > 1""",
    ("refinery", "done twice"): """
        SELECT job_id FROM track.history WHERE what = 'job.state' AND new = 'done'
        GROUP BY job_id HAVING count(*) > 1""",
    ("ars", "created twice"): """
        SELECT asset_guid FROM ars.event WHERE event = 'CREATE_ASSET_METADATA'
        GROUP BY asset_guid HAVING count(*) > 1""",
}
"""Queries that find nothing, by database and by what they find."""

NAMED = """
    SELECT a.asset_guid, s.barcode FROM ars.asset_specimen a
    JOIN ars.specimen s USING (specimen_id) WHERE NOT a.asset_detached"""
"""The codes that the archive has for each asset."""


@dataclass(frozen=True, order=True)
class Strike:
    """What happens `at_s` seconds after the session was dropped."""

    at_s: float
    what: str


@dataclass
class Score:
    """What a round, or all of them, came to."""

    strikes: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        """Count another one in."""
        for name in vars(self):
            getattr(self, name).extend(getattr(other, name))

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or left standing."""
        return not (self.duplicates or self.losses or self.stuck)

    def __str__(self) -> str:
        return ", ".join(f"{name} {len(found)}" for name, found in vars(self).items())


def schedule(chance: random.Random) -> list[Strike]:
    """What strikes one round, in order."""
    names = [f"kill {name}" for name in KILLS] + [f"archive: {name}" for name in ARCHIVE]
    count = chance.randint(1, MOST_STRIKES)
    return sorted(Strike(chance.uniform(1.0, WINDOW_S), chance.choice(names)) for _ in range(count))


def run(project_dir: Path, say: Say, *, rounds: int, seed: int | None) -> int:
    """Run a campaign in a system of its own; 0 when every round ended as it should."""
    environment = os.environ | PROJECT
    settings = Settings.load(project_dir, environment)
    first = int(time.time()) if seed is None else seed
    say(f"campaign of {rounds} rounds; --seed {first} strikes the same again")
    total = Score()
    campaign = Campaign(settings, environment, say)
    try:
        for number in range(rounds):
            say(f"round {number + 1}: seed {first + number}")
            score = campaign.round(first + number)
            say(f"round {number + 1}: {score}")
            total.add(score)
    finally:
        lifecycle.stop(settings)
    say(f"all rounds: {total}")
    return 0 if total.clean else 1


class Campaign:
    """One system under fire. `environment` is what its processes are started with."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], say: Say) -> None:
        self._settings = settings
        self._environment = environment
        self._say = say

    def round(self, seed: int) -> Score:
        """Drop one session, strike, wait for its end, and judge it."""
        self._bring_up()
        chance = random.Random(seed)
        score, before = Score(), self._twice()
        drawn = self._drop(seed)
        began = time.monotonic()
        for strike in schedule(chance):
            time.sleep(max(0.0, began + strike.at_s - time.monotonic()))
            if self._strike(strike.what):
                score.strikes.append(strike.what)
                self._say(f"  {time.monotonic() - began:5.1f} s  {strike.what}")
            self._bring_up()
        rows = self._follow(drawn.path)
        self._say(f"  {time.monotonic() - began:5.1f} s  over")
        self._judge(drawn, rows, score)
        score.duplicates += sorted(self._twice() - before)
        for fault in (*score.stuck, *score.losses, *score.duplicates):
            self._say(f"  not as it should be: {fault}")
        return score

    def _bring_up(self) -> None:
        """Start the system when it does not run, as a person would. Raises RuntimeError."""
        if state.read(self._settings).running():
            return
        words = (sys.executable, "-m", "refinery.cli", "up", "--detach")
        started = subprocess.run(
            words,
            cwd=self._settings.project_dir,
            env=dict(self._environment),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if started.returncode != 0:
            raise RuntimeError(f"the system under fire does not come up: {started.stderr}")

    def _drop(self, seed: int) -> SampleSession:
        drive, workstation = self._settings.n_drive, self._settings.workstations[0]
        now = datetime.now().astimezone()
        return write_sample_session(drive, workstation=workstation, now=now, seed=seed)

    def _strike(self, what: str) -> bool:
        """Let it happen; False when there was nobody to strike."""
        kind, _, name = what.partition(" ")
        if kind == "kill":
            pids = victims.KINDS[name](self._settings)
            victims.kill(pids)
            return bool(pids)
        url = f"{of_running(self._settings).ars}/__sim/faults"
        try:
            return httpx.post(url, json=ARCHIVE[name], timeout=10, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _follow(self, path: Path) -> list[Row]:
        """The session's rows when it has ended, or when patience has."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            rows, finished = asyncio.run(self._look(path))
            if finished or time.monotonic() > deadline:
                return rows
            time.sleep(LOOK_S)

    async def _look(self, path: Path) -> tuple[list[Row], bool]:
        self._bring_up()
        engine = make_engine(of_running(self._settings).database)
        try:
            return await look(engine, path)
        except (SQLAlchemyError, OSError):
            return [], False
        finally:
            await engine.dispose()

    def _judge(self, drawn: SampleSession, rows: list[Row], score: Score) -> None:
        ended = {row["guid"]: end_of(row) for row in rows}
        score.stuck += [guid for guid, end in ended.items() if end is None]
        score.losses += judged(rows, drawn.expectations)
        score.losses += [f"{guid}: not in the archive" for guid in self._missing(drawn)]
        score.losses += [f"{guid}: not its codes in the archive" for guid in self._misnamed(drawn)]

    def _misnamed(self, drawn: SampleSession) -> Iterator[str]:
        """Specimens of which the archive names other codes than the sheets of the object show."""
        named = victims.ask(self._settings, NAMED, "ars")
        for guid, wanted in drawn.expectations.items():
            codes = {code for asset, code in named if asset == guid}
            if wanted.end is End.FINALISED and codes != set(wanted.barcodes):
                yield guid

    def _twice(self) -> set[str]:
        """What happened more than once, in any round so far."""
        return {
            f"{what}: {row[0]}"
            for (database, what), statement in TWICE.items()
            for row in victims.ask(self._settings, statement, database)
        }

    def _missing(self, drawn: SampleSession) -> Iterator[str]:
        """Specimens whose very bytes are not where the archive keeps them for good."""
        for guid, wanted in drawn.expectations.items():
            if wanted.end is not End.FINALISED:
                continue
            name = wanted.file_name
            originals = drawn.path.parent.glob(f"*{drawn.path.name}/{name}")
            kept = (self._settings.state / "erda").glob(f"*/*/{guid}/{name}")
            contents = {path.read_bytes() for path in (*originals, *kept)}
            there = any((self._settings.state / "erda").glob(f"*/*/{guid}/{name}"))
            if not there or len(contents) != 1:
                yield guid
