"""Starts batches as processes of this machine, and sees to their ends.

The members of a batch run one after another in one runner. When one of them is stopped the
runner ends with it, and a new one goes on with those after it.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from hpc.agent.config import AgentConfig
from hpc.agent.folders import SiteFolders
from hpc.agent.held import HeldBatch, HeldMember
from hpc.agent.journal import Journal
from hpc.agent.launching import Launcher, time_limit_s
from hpc.agent.processes import end_leftovers, environment, is_alive, send_signal, spawn
from hpc.agent.spool import at_work, begun_at, end_by_code, has_begun, unfinished
from hpc.agent.stopping import stop_unbegun

GRACE_S = 30.0
"""What a runner is given to end by itself before it is killed."""
MORE_ROUNDS = 3
"""How often a batch is begun again whose runner nobody saw end, beside one for each member."""


class ProcessLauncher(Launcher):
    """Runs batches as children that outlive the agent.

    `children` are those of this very agent, `signalled` whom was sent a signal, and when,
    `began` when members began, in seconds of the monotonic clock.
    """

    name = "process"

    def __init__(self, config: AgentConfig, folders: SiteFolders, journal: Journal) -> None:
        super().__init__(config, folders, journal)
        self.children: Dict[str, subprocess.Popen[bytes]] = {}
        self.signalled: Dict[int, Tuple[float, bool]] = {}
        self.began: Dict[int, float] = {}

    def plan(self, batch: HeldBatch) -> str:
        """The command that `launch` would run."""
        return " ".join(self._command(batch, [member.line for member in batch.members]))

    def launch(self, batch: HeldBatch) -> None:
        """Start a runner for the members that have not begun. Raises OSError, JournalError."""
        folder = self.folders.of(batch.key)
        members = unfinished(batch, folder)
        lines = [each.line for each in members if not has_begun(folder, each.attempt)]
        if not lines:
            self._note_gone(batch, folder, None)
            return
        threads = int(batch.resources.get("cpus") or 1)
        self.journal.append("launching", key=batch.key, lines=lines, at=time.time())
        try:
            child = spawn(folder, self._command(batch, lines), environment(os.environ, threads))
        except OSError:
            self.journal.append("not_launched", key=batch.key)
            raise
        self.children[batch.key] = child
        self.journal.append("launched", key=batch.key, native_id=batch.key)

    def look(self, batches: List[HeldBatch]) -> None:
        """Note what ended, and stop what was cancelled or is out of time."""
        for batch in batches:
            folder = self.folders.of(batch.key)
            begun = stop_unbegun(self.journal, batch, folder)
            if batch.state == "claimed":
                if not unfinished(batch, folder):
                    self.journal.append("ended", key=batch.key, ends={}, state="over")
            elif batch.state != "over":
                self._look_at(batch, folder, begun)

    def _look_at(self, batch: HeldBatch, folder: Path, begun: List[HeldMember]) -> None:
        child = self.children.get(batch.key)
        if is_alive(folder) if child is None else child.poll() is None:
            self._stop(batch, folder, begun)
            return
        self.children.pop(batch.key, None)
        if child is not None and child.returncode < 0:
            end_leftovers(folder)
        self._note_gone(batch, folder, None if child is None else child.returncode)

    def _note_gone(self, batch: HeldBatch, folder: Path, code: Optional[int]) -> None:
        """Note what the end of a batch's runner means for its members.

        Those that had not begun go on in another when this one was stopped for the sake of
        one member, or when nobody saw how it ended: the machine may have gone down.
        """
        ends: Dict[str, Any] = {}
        waiting = []
        for member in unfinished(batch, folder):
            if not has_begun(folder, member.attempt):
                waiting.append(member)
            elif member.stop:
                ends[str(member.attempt)] = dict(end_by_code(code), state=member.stop)
            else:
                ends[str(member.attempt)] = end_by_code(code)
        was_stopped = any(member.stop or member.lost for member in batch.members)
        goes_on = (code is None or was_stopped) and batch.rounds < len(batch.members) + MORE_ROUNDS
        if not goes_on:
            ends.update({str(member.attempt): end_by_code(code) for member in waiting})
        state = "claimed" if waiting and goes_on else "over"
        self.journal.append("ended", key=batch.key, ends=ends, state=state)

    def _stop(self, batch: HeldBatch, folder: Path, begun: List[HeldMember]) -> None:
        """Stop the member that runs, if that is due: by a signal, in the end by force."""
        for member in at_work(batch, folder)[:1]:
            if not (member.stop or member.lost) and self._is_out_of_time(batch, folder, member):
                self.journal.append("stop", attempt=member.attempt, why="timeout")
            if member.stop or member.lost or member in begun:
                self._signal(batch, folder, member)

    def _is_out_of_time(self, batch: HeldBatch, folder: Path, member: HeldMember) -> bool:
        """Whether a member has had its time; a clock that is set while it runs changes nothing."""
        limit = time_limit_s(batch.resources)
        if limit is None:
            return False
        if member.attempt not in self.began:
            age_s = max(0.0, time.time() - begun_at(folder, member.attempt))
            self.began[member.attempt] = time.monotonic() - age_s
        return time.monotonic() - self.began[member.attempt] > limit

    def _signal(self, batch: HeldBatch, folder: Path, member: HeldMember) -> None:
        child = self.children.get(batch.key)
        pid = None if child is None else child.pid
        at, killed = self.signalled.get(member.attempt, (0.0, False))
        if not at:
            number = signal.SIGUSR1 if member.stop == "timeout" else signal.SIGTERM
            send_signal(folder, pid, number)
            self.signalled[member.attempt] = (time.monotonic(), False)
        elif not killed and time.monotonic() - at > GRACE_S:
            send_signal(folder, pid, signal.SIGKILL)
            self.signalled[member.attempt] = (at, True)

    def _command(self, batch: HeldBatch, lines: List[int]) -> List[str]:
        folder = self.folders.of(batch.key)
        index = ",".join(str(line) for line in lines)
        named = ["--batch", str(folder), "--index", index, "--native-id", batch.key]
        return [self.config.python, str(self.runner(batch)), *named]
