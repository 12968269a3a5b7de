"""The agent's turn: heed, look, report, ask for work, start it. Nothing in it waits for long."""

import logging
import time
from pathlib import Path
from typing import Any, Dict, List, Set

from hpc.agent import machine
from hpc.agent.background import BackgroundCalls
from hpc.agent.claims import Claimer, fetch_runner
from hpc.agent.config import AgentConfig
from hpc.agent.contact import Contact
from hpc.agent.folders import SiteFolders
from hpc.agent.heartbeats import Heartbeats
from hpc.agent.held import HeldBatch
from hpc.agent.journal import Journal
from hpc.agent.launching import Launcher
from hpc.agent.orders import Orders
from hpc.agent.outputs import OutputSender
from hpc.agent.pauses import GrowingPause
from hpc.agent.process_launcher import ProcessLauncher
from hpc.agent.reports import Reporter
from hpc.agent.server import VERSION, NotTaken, ServerLink, TryLater
from hpc.agent.shares import ShareCarrier
from hpc.agent.spool import unfinished
from hpc.agent.start_faults import StartFaults
from hpc.agent.waking import Waker

TICK_S = 1.0
SWEEP_S = 3600.0
SAY_AGAIN_S = 60.0

log = logging.getLogger(__name__)


def make_launchers(
    config: AgentConfig, folders: SiteFolders, journal: Journal
) -> Dict[str, Launcher]:
    """The ways to start work that this agent is configured for."""
    found: Dict[str, Launcher] = {}
    if "process" in config.launchers:
        found["process"] = ProcessLauncher(config, folders, journal)
    if config.scheduler and "scheduler" in config.launchers:
        from hpc.agent.native import SchedulerLauncher

        found["scheduler"] = SchedulerLauncher(config, folders, journal)
    return found


class AgentLoop:
    """One agent at work. `once`: it is to make one whole turn and end."""

    def __init__(
        self, home: Path, config: AgentConfig, link: ServerLink, journal: Journal, once: bool
    ) -> None:
        self.config, self.link, self.journal, self.once = config, link, journal, once
        self.folders = SiteFolders(Path(config.root))
        self.folders.make()
        self.waker = Waker()
        self.contact = Contact(home, config)
        self.launchers = make_launchers(config, self.folders, journal)
        self.launching = {name: GrowingPause() for name in self.launchers}
        calls = BackgroundCalls(self.waker.wake, inline=once)
        self.orders = Orders(home, link, self.folders, journal, self.contact)
        self.heartbeats = Heartbeats(link, lambda: self.snapshot, self.waker.wake)
        self.faults = StartFaults(home)
        self.reporter = Reporter(link, self.folders, journal, self.faults)
        self.outputs = OutputSender(link, self.folders, journal, calls)
        self.carrier = ShareCarrier(link, self.folders, journal, calls)
        asking = BackgroundCalls(self.waker.wake, inline=once, at_once=1)
        self.claimer = Claimer(link, self.folders, journal, asking, self.contact, **_waiting(once))
        self.told: Set[str] = set()
        self.said: Dict[str, float] = {}
        self.swept_at = 0.0
        self.silent_since = 0.0
        self.facts = machine.facts()
        self.snapshot: Dict[str, Any] = self._snapshot()

    def run(self) -> None:
        """Make turns until told to end, by a signal or by the server.

        Raises ShutOut, JournalError.
        """
        self.waker.install()
        self.heartbeats.start()
        try:
            while not self.waker.is_told_to_end:
                self.turn()
                if self.contact.order == "stop" and self._holds_nothing():
                    log.info("told to stop, and nothing is held: this is the end")
                    return
                self.waker.wait(TICK_S)
        finally:
            self.heartbeats.close()
        log.info("told to end: what runs goes on, and the next run takes it over")

    def run_once(self) -> bool:
        """Make one whole turn; whether the server answered. Raises ShutOut, JournalError."""
        self.heartbeats.beat()
        self.turn()
        return not self.heartbeats.trouble

    def turn(self) -> None:
        """Do all that is to be done now, each step for itself: the disk's trouble with one of them
        passes, keeps no other from its turn, and loses nothing.

        Raises ShutOut, JournalError.
        """
        steps = (
            *(self._heed, self._note_silence, self._look, self._carry),
            *(self.reporter.turn, self.outputs.turn, self._claim, self._launch),
            *(self._tell_submitted, self.orders.remove, self._sweep, self._take_snapshot),
        )
        for step in steps:
            try:
                step()
            except OSError as trouble:
                self._say(f"the disk: {trouble}")

    def _say(self, trouble: str) -> None:
        """Log a trouble, the same again after a minute only."""
        if time.monotonic() - self.said.get(trouble, -SAY_AGAIN_S) >= SAY_AGAIN_S:
            self.said[trouble] = time.monotonic()
            log.error("%s", trouble)

    def _heed(self) -> None:
        news = self.heartbeats.take_news()
        if news is not None:
            self.orders.heed(news)

    def _look(self) -> None:
        for name, launcher in self.launchers.items():
            launcher.look([each for each in self._batches() if each.launcher == name])

    def _carry(self) -> None:
        self.carrier.carry(self.reporter.carried)

    def _claim(self) -> None:
        self.claimer.turn(self._free)

    def _take_snapshot(self) -> None:
        self.snapshot = self._snapshot()

    def _batches(self) -> List[HeldBatch]:
        return list(self.journal.held.batches.values())

    def _holds_nothing(self) -> bool:
        return not self.journal.held.batches and self.journal.held.claim is None

    def _free(self) -> Dict[str, int]:
        """The units that are free of each launcher; none as long as no more is to be taken."""
        if self.contact.order != "run" or self.heartbeats.trouble or not self.contact.at:
            return {}
        if self.faults.trouble:
            return {}
        return {
            name: max(0, self.contact.capacity.get(name, 0) - self.journal.held.units(name))
            for name in self.launchers
        }

    def _launch(self) -> None:
        """Start what may be started. Not what may be another's by now, since nobody answers."""
        if not self.contact.is_within_lease:
            return
        if self.faults.trouble:
            self._give_back(self.faults.trouble)
        for batch in self._batches():
            pause = self.launching.get(batch.launcher)
            if batch.state != "claimed" or pause is None or not pause.is_due:
                continue
            if not unfinished(batch, self.folders.of(batch.key)):
                continue
            try:
                fetch_runner(self.link, self.folders, batch.runner)
                if self.carrier.is_ready(batch):
                    self.launchers[batch.launcher].launch(batch)
                    pause.succeed()
            except (OSError, TryLater, NotTaken) as trouble:
                self._say(f"batch {batch.key} cannot be started: {trouble}")
                pause.fail()

    def _give_back(self, why: str) -> None:
        """Let others have what was claimed and can begin nothing here."""
        self._say(f"{why}: nothing is taken for a while")
        for batch in self._batches():
            if batch.state == "claimed":
                end = {"state": "node_fail", "exit_code": None, "why": why}
                members = unfinished(batch, self.folders.of(batch.key))
                ends = {str(member.attempt): end for member in members}
                self.journal.append("ended", key=batch.key, ends=ends, state="over")

    def _tell_submitted(self) -> None:
        """Tell the scheduler's ids of what was submitted; after a restart all of them again."""
        ids = {
            batch.key: batch.native_id
            for batch in self._batches()
            if batch.launcher == "scheduler" and batch.native_id and batch.key not in self.told
        }
        if not ids or not self.reporter.pause.is_due:
            return
        body = [{"key": key, "native_id": native_id} for key, native_id in ids.items()]
        try:
            self.link.post("submitted", {"batches": body}, "batches")
        except (TryLater, NotTaken) as trouble:
            log.warning("ids of the scheduler are not told yet: %s", trouble)
            self.reporter.pause.fail()
        else:
            self.told |= set(ids)

    def _note_silence(self) -> None:
        """Say once that the server does not answer, and once that it does again."""
        trouble = self.heartbeats.trouble
        if trouble and not self.silent_since:
            self.silent_since = time.time()
            log.warning(
                "no answer from %s (%s): what runs goes on, its results are kept, and no more "
                "is taken",
                self.link.server,
                trouble,
            )
        elif not trouble and self.silent_since:
            log.info("the server answers again, after %d s", time.time() - self.silent_since)
            self.silent_since = 0.0

    def _sweep(self) -> None:
        if self.journal.held.claim is not None or time.monotonic() - self.swept_at < SWEEP_S:
            return  # a claim whose answer is not in the journal yet may have a folder
        self.swept_at = time.monotonic()
        self.folders.sweep([batch.key for batch in self._batches()])

    def _snapshot(self) -> Dict[str, Any]:
        """What a heartbeat tells."""
        held = self.journal.held
        load = dict(machine.load(), **{name: held.units(name) for name in self.launchers})
        if self.faults.trouble:
            load["trouble"] = self.faults.trouble
        return {
            "version": VERSION,
            "load": load,
            "attempts": [
                {"attempt": member.attempt, "fence": member.fence}
                for member in held.members()
                if member.open
            ],
            "batches": sorted(held.batches),
            "facts": self.facts,
        }


def _waiting(once: bool) -> Dict[str, int]:
    return {"wait_s": 0} if once else {}
