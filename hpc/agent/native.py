"""Submits batches to the machine's scheduler as arrays, and sees to their tasks.

A submission of which nobody knows whether it counted is looked for by its name before it is made
again. What a task leaves in `ended/` and `results/` is the truth; what the scheduler says tells
why. A task that it does not show any more, though it answered for all, and that left nothing,
is over after several looks.
"""

import importlib
import logging
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from hpc.agent.config import AgentConfig
from hpc.agent.files import write_whole
from hpc.agent.folders import SiteFolders, touched
from hpc.agent.held import HeldBatch, HeldMember
from hpc.agent.journal import Journal
from hpc.agent.launching import Launcher, time_limit_s
from hpc.agent.pauses import GrowingPause
from hpc.agent.spool import end_by_code, exit_codes, has_begun, has_result, started_by, unfinished
from hpc.agent.stopping import stop_unbegun
from hpc.scheduler.text import FULL, KNOWN, REFUSED, JobSpec, NativeTask, Status

COMMAND_S = 120
"""Seconds that a program of the scheduler may take."""
FIND_S = 120.0
"""Seconds after which a submission that cannot be found by its name was none."""
LOOKS_UNTIL_GONE = 3
FULL_S = 60.0
"""The least pause after the scheduler took no more."""
FIRST_INDEX = {"torque": 0, "lsf": 1}
"""The number that a scheduler gives the first task of an array."""
WHY = ("timeout", "out_of_memory", "node_fail", "preempted", "cancelled")
"""States by which a scheduler explains an end; the others say no more than the exit code."""
_CLEAN = ("PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH", "SLURM_CONF", "PBS_DEFAULT")
_CLEAN_PREFIXES = ("LSF_", "PBS_", "XLSF_")
_INDEX = re.compile(r"\[(\d+)\]")

log = logging.getLogger(__name__)


class ProgramAnswer(NamedTuple):
    """What a program gave; `code` is None for one that was killed, or too slow."""

    code: Optional[int]
    out: str
    err: str


class SchedulerLauncher(Launcher):
    """Runs batches as arrays of one scheduler. `looked_at` is when it was last asked."""

    name = "scheduler"

    def __init__(self, config: AgentConfig, folders: SiteFolders, journal: Journal) -> None:
        super().__init__(config, folders, journal)
        self.words: Any = importlib.import_module(f"hpc.scheduler.{config.scheduler}")
        self.pause = GrowingPause()
        self.looked_at = 0.0

    def plan(self, batch: HeldBatch) -> str:
        """The command that `launch` would run."""
        return " ".join(self.words.submit_command(self._spec(batch)))

    def launch(self, batch: HeldBatch) -> None:
        """Submit a batch, unless the scheduler took no more just now."""
        if not self.pause.is_due:
            return
        folder = self.folders.of(batch.key)
        try:
            spec = self._spec(batch)
            script, command = self.words.job_script(spec), self.words.submit_command(spec)
        except ValueError as error:
            self._refuse(batch, str(error))
            return
        write_whole(folder / "job.sh", script)
        lines = [member.line for member in batch.members]
        self.journal.append("launching", key=batch.key, lines=lines, at=time.time())
        answer = run(command, folder)
        self._take_in(batch, self.words.read_submission(*answer))

    def _take_in(self, batch: HeldBatch, submission: Any) -> None:
        if submission.outcome == KNOWN:
            self.pause.succeed()
            self.journal.append("launched", key=batch.key, native_id=submission.job_id)
            return
        log.warning("batch %s is not submitted: %s", batch.key, submission.why)
        if submission.outcome == REFUSED:
            self._refuse(batch, submission.why)
        elif submission.outcome == FULL:
            self.journal.append("not_launched", key=batch.key)
            self.pause.fail(FULL_S)

    def _refuse(self, batch: HeldBatch, why: str) -> None:
        """The same again would be refused again: its members end."""
        log.error("batch %s is refused: %s", batch.key, why)
        end = {"state": "failed", "exit_code": None, "why": why}
        ends = {str(member.attempt): end for member in batch.open}
        self.journal.append("ended", key=batch.key, ends=ends, state="over")

    def look(self, batches: List[HeldBatch]) -> None:
        """Find what was in doubt, and ask once for all that runs."""
        for batch in batches:
            if batch.state == "claimed":
                stop_unbegun(self.journal, batch, self.folders.of(batch.key))
                if not batch.open:
                    self.journal.append("ended", key=batch.key, ends={}, state="over")
        if time.monotonic() - self.looked_at < self.config.poll_s and self.looked_at:
            return
        self.looked_at = time.monotonic()
        for batch in batches:
            if batch.state == "launching":
                self._find(batch)
        running = [batch for batch in batches if batch.state == "running"]
        if not running:
            return
        ids = [batch.native_id for batch in running if batch.native_id]
        status = Status([], False)
        if ids:
            status = self.words.read_status(*run(self.words.status_command(ids), self.folders.root))
        for batch in running:
            tasks = [task for task in status.tasks if task.key == batch.key]
            self._look_at(batch, tasks, status.complete or not batch.native_id)

    def _find(self, batch: HeldBatch) -> None:
        """Look for a submission whose answer is not known, by its name."""
        folder = self.folders.of(batch.key)
        answer = run(self.words.find_command(batch.key), folder)
        found = self.words.read_found(*answer, key=batch.key)
        if found:
            for double in found[1:]:
                log.warning("batch %s was submitted twice: %s is cancelled", batch.key, double)
                run(self.words.cancel_command([double]), folder)
            self.journal.append("launched", key=batch.key, native_id=found[0])
        elif found is None:
            return  # an answer that proves nothing
        elif self._left_traces(batch, folder):
            self.journal.append("launched", key=batch.key, native_id="")
        elif time.time() - batch.at > FIND_S:
            self.journal.append("not_launched", key=batch.key)

    def _left_traces(self, batch: HeldBatch, folder: Path) -> bool:
        """Whether a job of the batch was at work, though the scheduler does not know it."""
        for name in ("ended", "started", "results"):
            touched(folder / name)
        return bool(exit_codes(folder)) or any(
            has_begun(folder, member.attempt) or has_result(folder, member.attempt)
            for member in batch.members
        )

    def _look_at(self, batch: HeldBatch, tasks: List[NativeTask], complete: bool) -> None:
        folder = self.folders.of(batch.key)
        for name in ("ended", "results", "started"):
            touched(folder / name)
        codes = self._codes(batch, folder, tasks)  # before the results, which are left earlier
        shown = _by_line(batch, tasks)
        # An array that waits is one row, and some rows have no number: any task may be meant.
        complete = complete and not any(_is_alive(task) for task in tasks if task.index is None)
        begun = stop_unbegun(self.journal, batch, folder)
        ends: Dict[str, Any] = {}
        absent = []
        for member in unfinished(batch, folder):
            task = shown.get(member.line)
            end = _end(member, task, codes.get(member.line))
            if end is None and task is None and complete:
                absent.append(member.attempt)
                if member.absent + 1 >= LOOKS_UNTIL_GONE:
                    end = {"state": member.stop or "unknown", "exit_code": None}
            if end is not None:
                ends[str(member.attempt)] = end
        if absent:
            self.journal.append("absent", attempts=absent)
        if ends:
            self.journal.append("ended", key=batch.key, ends=ends)
        self._stop(batch, begun, tasks, shown)
        if not unfinished(batch, folder) and not any(map(_is_alive, tasks)):
            self.journal.append("ended", key=batch.key, ends={}, state="over")

    def _codes(self, batch: HeldBatch, folder: Path, tasks: List[NativeTask]) -> Dict[int, int]:
        """The exit codes that tasks left, by their lines."""
        lines = {task.native_id: task.index for task in tasks if task.index is not None}
        for member in batch.members:
            by = started_by(folder, member.attempt) or {}
            lines[str(by.get("native_id"))] = member.line
        first = FIRST_INDEX[str(self.config.scheduler)]
        found = {}
        for native_id, code in exit_codes(folder).items():
            index = _INDEX.search(native_id)
            line = lines.get(native_id)
            if line is None and index:
                line = int(index.group(1)) - first
            if line is None and len(batch.members) == 1:
                line = 0
            if line is not None:
                found[line] = code
        return found

    def _stop(
        self,
        batch: HeldBatch,
        begun: List[HeldMember],
        tasks: List[NativeTask],
        shown: Dict[int, NativeTask],
    ) -> None:
        """Cancel the tasks of members that are to be stopped.

        Where those cannot be told apart, the array, once nobody wants any of it.
        """
        mine = [shown[member.line] for member in begun if member.line in shown]
        ids = [task.native_id for task in mine if _is_alive(task)]
        left = unfinished(batch, self.folders.of(batch.key))
        unwanted = any(each.stop for each in batch.members) and all(each.stop for each in left)
        if not ids and unwanted and any(map(_is_alive, tasks)):
            ids = [batch.native_id]
        if ids:
            run(self.words.cancel_command(ids), self.folders.root)

    def _spec(self, batch: HeldBatch) -> JobSpec:
        folder = self.folders.of(batch.key)
        asked = batch.resources
        return JobSpec(
            key=batch.key,
            size=len(batch.members),
            python=self.config.python,
            runner=os.path.relpath(str(self.runner(batch)), str(folder)),
            folder=str(folder),
            time_s=time_limit_s(asked),
            mem_mb=asked.get("mem"),
            cpus=asked.get("cpus"),
            gpus=asked.get("gpus"),
            queue=asked.get("partition") or self.config.queue,
            account=asked.get("account") or self.config.account,
            throttle=self.config.throttle,
            alone=len(batch.members) == 1,
            prelude=self.config.prelude,
        )


def run(command: List[str], folder: Path) -> ProgramAnswer:
    """Run a program of the scheduler; one that is not there answers with code 127, as in a shell.

    It sees nothing of our environment that it might take for an option.
    """
    given = {
        name: value
        for name, value in os.environ.items()
        if name in _CLEAN or name.startswith(_CLEAN_PREFIXES)
    }
    try:
        done = subprocess.run(
            command,
            cwd=str(folder),
            env=dict(given, LANG="C", LC_ALL="C"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=COMMAND_S,
        )
    except subprocess.TimeoutExpired:
        return ProgramAnswer(None, "", f"{command[0]} gave no answer")
    except OSError as error:
        return ProgramAnswer(127, "", f"{command[0]}: not found ({error})")
    out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return ProgramAnswer(done.returncode if done.returncode >= 0 else None, out, err)


def _is_alive(task: NativeTask) -> bool:
    return task.state in ("pending", "running")


def _by_line(batch: HeldBatch, tasks: List[NativeTask]) -> Dict[int, NativeTask]:
    """The tasks of a batch by the lines that they run, as far as that is known."""
    if len(batch.members) == 1:
        return {0: tasks[-1]} if tasks else {}
    return {task.index: task for task in tasks if task.index is not None}


def _end(
    member: HeldMember, task: Optional[NativeTask], code: Optional[int]
) -> Optional[Dict[str, Any]]:
    """How a member ended without a result; None as long as nothing says that it did."""
    shown = task is not None and task.state not in ("pending", "running", "unknown")
    if code is None and not shown:
        return None
    end = end_by_code(code if code is not None or task is None else task.exit_code)
    if shown and task is not None and (task.state in WHY or code is None):
        end["state"] = task.state
    return dict(end, state=member.stop or end["state"])
