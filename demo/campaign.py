"""A campaign: sample sessions again and again while things are killed, fail and are changed.

What strikes, and when, is drawn from a seed, which is printed: the same seed strikes in the
same order. Its system is a narrow one: fewer places for flow runs than sessions, and a throttle
below what a session holds. Each round is then held against what its sessions were made to
contain, and against what must never be true.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError

from demo import harm
from demo.judgement import Row, end_of, judged
from demo.lab import victims
from demo.lab.standing_agents import StandingAgents, standing_agents
from demo.run import look
from demo.specimens.sessions import SampleSession, SpecimenEnd, write_sample_session
from demo.strikes import PIPELINE, Strike, Striker, copy_pipelines, schedule, write_sites
from refinery import connections, state
from refinery.addresses import of_running
from refinery.local import lifecycle
from refinery.settings import Settings
from track.schema.database import make_engine

Say = Callable[[str], None]

SESSION_S = 1200.0
"""How long a session may take before its specimens count as stuck."""
CLOSING_S = 300.0
"""How long after its sessions' end a share may stay open: reconcile looks once a minute."""
ANSWER_S = 180.0
"""How long an operator waits for an answer, however many sessions are under way."""
POLL_SECONDS = 1.0
WAVES: tuple[int | str, ...] = (500, "auto")
"""How the jobs of a round are shown in Prefect, round by round: many by one subflow, or each by
one of its own, since so few are no burst."""
VERB = "switch"
SESSIONS = 3
THROTTLE = 2
PROJECT = {
    "REFINERY_PROJECT": "campaign",
    "REFINERY_ARS_CONTROL": "true",
    "REFINERY_SETTLE_SECONDS": "2",
    "REFINERY_FLOW_RUNS": "2",
    "REFINERY_LEGACY_CALLBACKS": "127.0.0.0/8",
    "REFINERY_PIPELINES": ".refinery/projects/campaign/pipelines",
    "REFINERY_SITES_FILE": ".refinery/projects/campaign/sites.yaml",
}

NAMED = """
    SELECT a.asset_guid, s.barcode FROM ars.asset_specimen a
    JOIN ars.specimen s USING (specimen_id) WHERE NOT a.asset_detached"""
"""The codes that the archive has for each asset."""


@dataclass
class Score:
    """What a round, or all of them, came to."""

    strikes: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        """Count another one in."""
        for name in vars(self):
            getattr(self, name).extend(getattr(other, name))

    @property
    def faults(self) -> list[str]:
        """What was lost, doubled or stuck, and what the database says and is not so."""
        return [*self.duplicates, *self.losses, *self.stuck, *self.untrue]

    def __str__(self) -> str:
        return ", ".join(f"{name} {len(found)}" for name, found in vars(self).items())


def run(project_dir: Path, say: Say, *, rounds: int, seed: int | None) -> int:
    """Run a campaign in a system of its own; 0 when every round ended as it should."""
    environment = os.environ | PROJECT
    settings = Settings.load(project_dir, environment)
    usual = project_dir / "deployments" / "pipelines"
    copy_pipelines(settings, usual, assets_in_flight=THROTTLE)
    write_sites(settings, None)
    first = int(time.time()) if seed is None else seed
    say(f"campaign of {rounds} rounds; --seed {first} strikes the same again")
    total = Score()
    try:
        with standing_agents(settings, say) as agents:
            campaign = Campaign(settings, Striker(settings, environment), agents, say)
            for number in range(rounds):
                say(f"round {number + 1}: seed {first + number}")
                score = campaign.round(first + number)
                say(f"round {number + 1}: {score}")
                total.add(score)
    finally:
        lifecycle.stop(settings, say)
    say(f"all rounds: {total}")
    return 1 if total.faults else 0


class Campaign:
    """One system under fire."""

    def __init__(
        self, settings: Settings, striker: Striker, agents: StandingAgents, say: Say
    ) -> None:
        self._settings = settings
        self._striker = striker
        self._agents = agents
        self._say = say

    def round(self, seed: int) -> Score:
        """Drop sessions, strike, ask something of an operator, wait for the end, and judge it."""
        self._bring_up()
        wave, shared = WAVES[seed % len(WAVES)], self._shared_subflows()
        if not self._striker.arrange(wave, random.Random(f"where {seed}")):
            raise RuntimeError("the system under fire does not take its pipelines")
        self._say(f"  wave: {wave}")
        chance = random.Random(seed)
        score, before = Score(), harm.found(self._settings, harm.TWICE)
        strikes = schedule(chance)
        drawn = [self._drop(seed, number) for number in range(SESSIONS)]
        began = time.monotonic()
        for strike in strikes:
            time.sleep(max(0.0, began + strike.at_s - time.monotonic()))
            self._strike(strike, chance, score, began)
        score.stuck += self._operator_waits()
        followed = [self._follow(session.path) for session in drawn]
        self._say(f"  {time.monotonic() - began:5.1f} s  over")
        self._say(f"  {self._shared_subflows() - shared} subflows showed several jobs")
        for session, rows in zip(drawn, followed, strict=True):
            self._judge(session, rows, score)
        score.duplicates += sorted(harm.found(self._settings, harm.TWICE) - before)
        score.untrue += sorted(harm.found(self._settings, harm.UNTRUE))
        score.untrue += [f"{guid}: its share is open" for guid in self._shares_left()]
        for fault in score.faults:
            self._say(f"  not as it should be: {fault}")
        return score

    def _bring_up(self) -> None:
        """Start the system when it does not run, as a person would, and agents that ended.

        Raises RuntimeError.
        """
        if not state.read(self._settings).running():
            started = self._striker.refinery("up", "--detach")
            if started.returncode != 0:
                raise RuntimeError(f"the system under fire does not come up: {started.stderr}")
        self._agents.bring_up()

    def _drop(self, seed: int, number: int) -> SampleSession:
        drive, workstation = self._settings.n_drive, self._settings.workstations[number]
        now = datetime.now().astimezone()
        drawing = seed * SESSIONS + number
        return write_sample_session(drive, workstation=workstation, now=now, seed=drawing)

    def _strike(self, strike: Strike, chance: random.Random, score: Score, began: float) -> None:
        """Let one strike happen; what undoes another is tried until it has."""
        deadline = time.monotonic() + ANSWER_S
        while not (struck := self._striker.strike(strike.what, chance)):
            if not strike.undoes or time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
            self._bring_up()
        if struck and not strike.undoes:
            score.strikes.append(strike.what)
        if struck:
            self._say(f"  {time.monotonic() - began:5.1f} s  {strike.what}")
        self._bring_up()

    def _operator_waits(self) -> Iterator[str]:
        """Ask for a verb as an operator does; a word on it when no answer comes in time."""
        deadline, run_id = time.monotonic() + ANSWER_S, None
        while time.monotonic() < deadline:
            self._bring_up()
            try:
                run_id = run_id or self._ask_verb()
                with connections.prefect(of_running(self._settings)) as prefect:
                    found = prefect.get(f"/flow_runs/{run_id}").raise_for_status().json()
                if found["state_type"] == "COMPLETED":
                    return
                if found["state_type"] in ("CRASHED", "FAILED"):
                    run_id = None
            except httpx.HTTPError:
                pass
            time.sleep(POLL_SECONDS)
        yield f"{VERB}: no answer within {ANSWER_S:.0f} s"

    def _ask_verb(self) -> str:
        """Start the verb's deployment; its run. Raises httpx.HTTPError."""
        body = {"parameters": {"by": "campaign", "pipeline": PIPELINE, "on": True}}
        with connections.prefect(of_running(self._settings)) as prefect:
            found = prefect.get(f"/deployments/name/operate/{VERB}").raise_for_status()
            url = f"/deployments/{found.json()['id']}/create_flow_run"
            return str(prefect.post(url, json=body).raise_for_status().json()["id"])

    def _shared_subflows(self) -> int:
        """How many subflows with several jobs Prefect knows; what it answers, once it does.

        Raises httpx.HTTPError when it does not for long.
        """
        body = {"flow_runs": {"name": {"like_": " × "}}}
        deadline = time.monotonic() + CLOSING_S
        while True:
            self._bring_up()
            try:
                with connections.prefect(of_running(self._settings)) as prefect:
                    found = prefect.post("/flow_runs/count", json=body)
                    return int(found.raise_for_status().text)
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def _shares_left(self) -> set[str]:
        """Assets whose share stays open though nothing of them is in hand."""
        deadline = time.monotonic() + CLOSING_S
        while (left := harm.open_shares(self._settings)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return left

    def _follow(self, path: Path) -> list[Row]:
        """The session's rows when it has ended or its time is over."""
        deadline = time.monotonic() + SESSION_S
        while True:
            rows, finished = asyncio.run(self._look(path))
            if finished or time.monotonic() > deadline:
                return rows
            time.sleep(POLL_SECONDS)

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
            if wanted.end is SpecimenEnd.FINALISED and codes != set(wanted.barcodes):
                yield guid

    def _missing(self, drawn: SampleSession) -> Iterator[str]:
        """Specimens whose very bytes are not where the archive keeps them for good."""
        for guid, wanted in drawn.expectations.items():
            name = wanted.file_name
            originals = drawn.path.parent.glob(f"*{drawn.path.name}/{name}")
            kept = list((self._settings.state / "erda").glob(f"*/*/{guid}/{name}"))
            contents = {path.read_bytes() for path in (*originals, *kept)}
            if wanted.end is SpecimenEnd.FINALISED and not (kept and len(contents) == 1):
                yield guid
