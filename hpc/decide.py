"""What is known of an attempt at a cluster, decided from what was seen. Pure.

Absence is never an end: an attempt of which the queue shows nothing is unknown since
then. It is over only when there is evidence for every native job of its name, and what
became of it is told by the one that was granted the start.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from hpc.cluster import Sight
from hpc.scheduler.slurm import Task
from hpc.scheduler.states import JobState
from track.batches import Member

SERVER_OUT_OF_REACH = 75
"""The runner's exit code when it could not reach us for a start; it touched nothing."""

NOT_ITS_FAULT = (0, SERVER_OUT_OF_REACH)
"""Codes that use no try, even after a start: a granted start whose answer was lost ends so."""

NEAR_LIMIT = 128 + 10
"""The exit code of a runner that SIGUSR1 ended: the scheduler's warning of the time limit."""


class Standing(Enum):
    """How an attempt stands over there."""

    PENDING = "pending"
    RUNNING = "running"
    UNKNOWN = "unknown"  # not seen, and no evidence of an end
    OVER = "over"


@dataclass(frozen=True)
class Verdict:
    """How an attempt stands, and if it is over, how it ended.

    `site_fault` is what the site should be told of; `node` the one to keep away from.
    """

    standing: Standing
    outcome: str = ""
    why: str = ""
    uses_try: bool = False
    exit_code: int | None = None
    node: str = ""
    site_fault: str = ""
    unknown_since: float | None = None


@dataclass(frozen=True)
class Watched:
    """A member of a batch and the array jobs that exist under the batch's name.

    `unknown_since` is when it was first not seen, on the clock that `decide` is given.
    """

    member: Member
    key: str
    arrays: tuple[str, ...]
    unknown_since: float | None = None

    @property
    def natives(self) -> list[str]:
        """Every native job that may be this attempt, the one that was started first."""
        mine = [f"{array}_{self.member.line}" for array in self.arrays]
        started = self.member.started_by
        return [started, *(each for each in mine if each != started)] if started else mine


@dataclass(frozen=True)
class Scene:
    """What one look shows of one batch, by native id. `queue` None: it could not be asked."""

    queue: Mapping[str, Task] | None
    complete: bool = True
    past: Mapping[str, Task] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)


def scenes(keys: Iterable[str], sight: Sight) -> dict[str, Scene]:
    """A look at many batches, sorted by batch."""
    queue = _by_key(sight.queue.tasks if sight.queue else ())
    past = _by_key(sight.history.tasks if sight.history else ())
    return {
        key: Scene(
            queue=None if sight.queue is None else queue.get(key, {}),
            complete=sight.queue is not None and sight.queue.complete,
            past=past.get(key, {}),
            left=sight.ended.get(key, {}),
        )
        for key in keys
    }


def _by_key(tasks: Iterable[Task]) -> dict[str, dict[str, Task]]:
    found: dict[str, dict[str, Task]] = {}
    for task in tasks:
        found.setdefault(task.name, {})[task.native_id] = task
    return found


def arrays_of(known: Iterable[str], scene: Scene) -> tuple[str, ...]:
    """The array jobs of a batch: those known, and any other that shows under its name."""
    natives = [*known, *(scene.queue or ()), *scene.past, *scene.left]
    return tuple(dict.fromkeys(native.partition("_")[0] for native in natives))


def decide(watched: Watched, scene: Scene, now: float) -> Verdict:
    """How an attempt stands, after one look."""
    if scene.queue is None:
        return _unknown(watched.unknown_since, "the queue could not be asked")
    shown = [scene.queue[each] for each in watched.natives if each in scene.queue]
    alive = {task.state for task in shown if _lives(task)}
    if alive:
        running = JobState.RUNNING in alive
        return Verdict(Standing.RUNNING if running else Standing.PENDING)
    ends = [_end(native, scene) for native in watched.natives]
    if not ends or None in ends or not scene.complete:
        since = now if watched.unknown_since is None else watched.unknown_since
        return _unknown(since, "no evidence of its end")
    return _over(watched.member, next(end for end in ends if end is not None))


def _lives(task: Task) -> bool:
    return task.state in (JobState.PENDING, JobState.RUNNING)


def _unknown(since: float | None, why: str) -> Verdict:
    return Verdict(Standing.UNKNOWN, why=why, unknown_since=since)


def _end(native: str, scene: Scene) -> Task | None:
    """The evidence that a native job ended: shown by the queue, by accounting, or left by it."""
    code = scene.left.get(native)
    for shown in (scene.queue or {}, scene.past):
        task = shown.get(native)
        if task is not None and task.state.ended:
            return replace(task, exit_code=task.exit_code if code is None else code)
    if code is None:
        return None
    state = {0: JobState.COMPLETED, NEAR_LIMIT: JobState.TIMEOUT}.get(code, JobState.FAILED)
    return Task(native, "", state, "left its exit code", exit_code=code)


def _over(member: Member, end: Task) -> Verdict:
    """What an end means for the job: whether it used a try, and whose fault it was."""
    outcome, uses_try, why = _meaning(member, end)
    told = f"{why} (job {end.native_id}{f' on {end.node}' if end.node else ''})"
    fault = ""
    unserved = not member.started or end.exit_code == SERVER_OUT_OF_REACH
    if end.state is JobState.FAILED and unserved and not member.cancelled:
        fault = _fault(end)
    return Verdict(
        Standing.OVER,
        outcome=outcome,
        why=told,
        uses_try=uses_try,
        exit_code=end.exit_code,
        node=end.node if end.state is JobState.NODE_FAIL else "",
        site_fault=fault,
    )


def _meaning(member: Member, end: Task) -> tuple[str, bool, str]:
    if member.cancelled:
        return "cancelled", False, "it was cancelled as asked"
    match end.state:
        case JobState.TIMEOUT:
            return "timeout", member.started, "its time ran out"
        case JobState.OUT_OF_MEMORY:
            return "out_of_memory", True, "its memory ran out"
        case JobState.NODE_FAIL:
            return "node_fail", False, "its node failed"
        case JobState.PREEMPTED:
            return "preempted", False, "it had to make room for another job"
        case JobState.CANCELLED:
            return "cancelled", True, "somebody cancelled it at the site"
        case JobState.FAILED if member.started and end.exit_code in NOT_ITS_FAULT:
            return "lost", False, f"its runner ended with code {end.exit_code} without a word"
        case JobState.FAILED if member.started:
            return "failed", True, f"its runner ended with code {end.exit_code} before it reported"
        case JobState.FAILED:
            return "lost", False, f"its runner ended with code {end.exit_code} before it started"
    return "lost", False, "its runner is gone without a word"


def _fault(end: Task) -> str:
    if end.exit_code == SERVER_OUT_OF_REACH:
        return "its nodes cannot reach our callback address"
    return (
        f"its runner ends with code {end.exit_code} before it starts: see the batch's log folder, "
        "and prepare the site again (operate/prepare-site)"
    )
