"""The ends of jobs that scripts submitted for themselves: seen by id, for we did not name them.

Such a job reports its end itself. One that died cannot: when the scheduler proves that every
job reported for an attempt is over, and no call comes within a while, the attempt has ended.
Absence proves nothing; then the job's reason says that a person has to decide.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hpc.ends import Meaning, of_script_job
from hpc.scheduler import by_id
from hpc.scheduler.states import JobState
from hpc.sites.collect import report
from hpc.sites.slurm.answers import failure
from hpc.sites.slurm.judge import JobVerdict, SiteStatus, status_of
from hpc.sites.slurm.state import SiteState
from track.jobs.attempts import note_reason
from track.jobs.scripts import ScriptRun, open_runs
from track.schema.database import transact

GRACE_S = 60.0
"""How long after the end of its job a script's last call may be on its way."""

SOON_S = 1.0
"""Until what is cancelled is polled once more."""

EXPECTED_S = 3600
"""How long a job may be silent whose stage asks for no time, or that has not reported its start."""

CLOCKS_APART_S = 60.0
"""How far clocks may be apart, in seconds, beyond what was measured when the site was greeted."""

IDS_AT_ONCE = 400

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProvenEnd:
    """An end that the scheduler showed, when, and of which jobs."""

    at: float
    native_ids: tuple[str, ...]
    end: Meaning
    exit_code: int | None


@dataclass
class ScriptEnds:
    """Polls when it is time to, at once for what is newly cancelled, and reports proven ends."""

    state: SiteState
    grace_s: float = GRACE_S
    due_at: float = 0.0
    proven: dict[int, ProvenEnd] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    silent: set[int] = field(default_factory=set)

    async def poll(self) -> bool:
        """Poll if it is due; whether it was. Raises WireError, TruncatedAnswer."""
        name = self.state.site.name
        runs = await transact(self.state.engine, open_runs, name)
        self._forget(runs)
        runs = [run for run in runs if not await self._reported(run)]
        now = self.state.clock()
        news = {run.attempt for run in runs if run.cancelled} - self.cancelled
        if not runs or (now < self.due_at and not news):
            return False
        self.due_at = now + (SOON_S if news else self.state.site.poll_s)
        self.cancelled |= news
        for first in range(0, len(runs), IDS_AT_ONCE):
            await self._poll_some(runs[first : first + IDS_AT_ONCE])
        return True

    def _forget(self, runs: Sequence[ScriptRun]) -> None:
        open_now = {run.attempt: run.native_ids for run in runs}
        self.proven = {
            each: proof
            for each, proof in self.proven.items()
            if open_now.get(each) == proof.native_ids  # a job reported since then may be alive
        }
        self.cancelled &= open_now.keys()
        self.silent &= open_now.keys()

    async def _poll_some(self, runs: Sequence[ScriptRun]) -> None:
        ids: dict[str, float] = {}
        for run in runs:
            ids |= {each: max(run.reported_at, ids.get(each, 0.0)) for each in _native_ids(run)}
        shown = await poll_ids(self.state, ids) if ids else {}
        if shown is None:
            log.warning("site %s: its queue cannot be asked", self.state.site.name)
            return
        for run in runs:
            verdict = judge(run, shown)
            if verdict.end is not None:
                self.proven[run.attempt] = ProvenEnd(
                    self.state.clock(), run.native_ids, verdict.end, verdict.exit_code
                )
                await self._reported(run)
            else:
                await self._explain(run, verdict)

    async def _reported(self, run: ScriptRun) -> bool:
        """Report a proven end once its time is up; whether it was."""
        proof = self.proven.get(run.attempt)
        if proof is None:
            return False
        left_s = 0.0 if run.cancelled else proof.at + self.grace_s - self.state.clock()
        if left_s > 0:
            self.due_at = min(self.due_at, self.state.clock() + left_s)
            return False
        await transact(
            self.state.engine,
            report,
            run.attempt,
            proof.end,
            actor=self.state.actor,
            exit_code=proof.exit_code,
        )
        return True

    async def _explain(self, run: ScriptRun, verdict: JobVerdict) -> None:
        """Note on a job that is silent for too long why nothing here can end it."""
        unknown = verdict.status is SiteStatus.UNKNOWN
        if unknown and (run.cancelled or run.age_s > patience_s(run)):
            what = "its cancel waits for proof of its end" if run.cancelled else "it is overdue"
            why = f"{what}: {verdict.why}; once you know that it is over, operate/lost"
            self.silent.add(run.attempt)
        elif not unknown and run.attempt in self.silent:
            self.silent.discard(run.attempt)
            why = f"its job is {verdict.status.value} at {self.state.site.name}"
        else:
            return
        await transact(self.state.engine, note_reason, run.attempt, why)


async def poll_ids(state: SiteState, reported_at: Mapping[str, float]) -> by_id.Shown | None:
    """What the queue shows of ids, and accounting of what the queue does not; None: no answer.

    `reported_at`: by when each id was reported to us, in seconds since 1970. Of a job that has an
    id now and was submitted later nothing is shown: it is somebody else's. Raises WireError,
    TruncatedAnswer.
    """
    cluster, skew = state.cluster, state.hello.clock_skew_s if state.hello else 0.0
    reported = {each: at + skew + CLOCKS_APART_S for each, at in reported_at.items()}
    ids = sorted(reported)
    answer = await cluster.ask(by_id.squeue_command(ids))
    shown = by_id.read_queue(*answer, ids)
    if shown is None:
        state.squeue.note(failure(answer) or "a line cannot be read", state.clock())
        return None
    if others := by_id.submitted_later(shown, reported):
        _, lines, _ = await cluster.ask(by_id.restart_command(sorted(others)))
        shown = by_id.without(shown, others - by_id.read_restarted(lines))
    gone = [each for each in ids if not shown[each]]
    if not gone or not state.accounting:
        return shown
    past = by_id.read_accounting(*await cluster.ask(by_id.sacct_command(gone)), gone, reported)
    return {**shown, **(past or {})}


def patience_s(run: ScriptRun) -> float:
    """How long a run may be silent: what its stage asks for, once it has started."""
    expected = run.expected_s or EXPECTED_S
    return expected if run.started else max(expected, EXPECTED_S)


def judge(run: ScriptRun, shown: by_id.Shown) -> JobVerdict:
    """How an attempt stands by what is shown of its jobs; over only if every one of them is."""
    ids = _native_ids(run)
    if not ids:
        why = "no job id was reported, so its end cannot be seen"
        return JobVerdict(SiteStatus.UNKNOWN, why=why)
    tasks = [task for each in ids for task in shown[each]]
    if status := status_of(tasks):
        return JobVerdict(status)
    missing = [each for each in ids if not shown[each]]
    missing += [task.native_id for task in tasks if not task.state.ended]
    if missing:
        return JobVerdict(SiteStatus.UNKNOWN, why=f"nothing shows how its job {missing[0]} ended")
    end = min(tasks, key=lambda task: task.state is JobState.COMPLETED)
    found = of_script_job(end, cancelled=run.cancelled)
    found = replace(found, why=f"{found.why} ({end.label})")
    return JobVerdict(SiteStatus.OVER, end=found, exit_code=end.exit_code)


def _native_ids(run: ScriptRun) -> list[str]:
    return [each for each in run.native_ids if by_id.NATIVE.fullmatch(each)]
