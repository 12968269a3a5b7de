"""Decides how an attempt stands at a cluster, from what a poll showed; a pure function.

Absence is never an end: an attempt of which the queue shows nothing is unknown. It is over
only when there is evidence for every native job of its name, and its outcome is that of the
one that was granted the start.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from hpc.ends import SERVER_OUT_OF_REACH, SIGNALLED, Meaning, blames_site, by_code, of_job
from hpc.scheduler.slurm import Task
from hpc.scheduler.states import JobState
from hpc.sites.slurm.answers import PollResult
from track.jobs.batches import Member

RESULT_GRACE_S = 120.0
"""How long a job that ended well is waited for whose result does not show, in seconds.

Clients of a shared disk may show a folder as it was for a minute (nfs(5), acdirmax).
"""

CAUSE_GRACE_S = 60.0
"""How long the scheduler has to say why it stopped a job that left its exit code, in seconds."""


class SiteStatus(Enum):
    """How an attempt stands over there."""

    PENDING = "pending"
    RUNNING = "running"
    UNKNOWN = "unknown"  # not seen, and no evidence of an end
    OVER = "over"


@dataclass(frozen=True)
class JobVerdict:
    """How an attempt stands over there; `end` what its end means, when it is over.

    `why` says what is missing when it is unknown; `ending`: its job has ended, but what it left,
    or why it ended, may still show. `site_fault` is the site's own fault, if it was one; `node`
    the one to keep away from.
    """

    status: SiteStatus
    why: str = ""
    end: Meaning | None = None
    exit_code: int | None = None
    node: str = ""
    site_fault: str = ""
    ending: bool = False


@dataclass(frozen=True)
class WatchedAttempt:
    """A member of a batch and the array jobs that exist under the batch's name.

    `ended_since` is when its end was first seen, on the clock that `judge` is given; `alone`:
    they are jobs that are no arrays.
    """

    member: Member
    key: str
    arrays: tuple[str, ...]
    alone: bool = False
    ended_since: float | None = None

    @property
    def natives(self) -> list[str]:
        """Every native job that may be this attempt, the one that was started first."""
        mine = [each if self.alone else f"{each}_{self.member.line}" for each in self.arrays]
        started = self.member.started_by
        return [started, *(each for each in mine if each != started)] if started else mine


@dataclass(frozen=True)
class BatchSnapshot:
    """What one poll shows of one batch, by native id; `complete`: of the queue, all of it."""

    queue: Mapping[str, Task]
    complete: bool = True
    past: Mapping[str, Task] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)


def snapshots(keys: Iterable[str], seen: PollResult) -> dict[str, BatchSnapshot]:
    """What a poll shows of many batches, sorted by batch."""
    queue = _by_key(seen.queue.tasks if seen.queue else ())
    past = _by_key(seen.history.tasks if seen.history else ())
    return {
        key: BatchSnapshot(
            queue=queue.get(key, {}),
            complete=seen.queue is not None and seen.queue.complete,
            past=past.get(key, {}),
            left=seen.ended.get(key, {}),
        )
        for key in keys
    }


def _by_key(tasks: Iterable[Task]) -> dict[str, dict[str, Task]]:
    found: dict[str, dict[str, Task]] = {}
    for task in tasks:
        found.setdefault(task.name, {})[task.native_id] = task
    return found


def arrays_of(known: Iterable[str], snapshot: BatchSnapshot) -> tuple[str, ...]:
    """The array jobs of a batch: those known, and any other that shows under its name."""
    natives = [*known, *snapshot.queue, *snapshot.past, *snapshot.left]
    return tuple(dict.fromkeys(native.partition("_")[0] for native in natives))


def judge(watched: WatchedAttempt, snapshot: BatchSnapshot, now: float) -> JobVerdict:
    """How an attempt stands, after one poll."""
    shown = [snapshot.queue[each] for each in watched.natives if each in snapshot.queue]
    if status := status_of(shown):
        return JobVerdict(status)
    ends = [_end(native, snapshot) for native in watched.natives]
    if not ends or None in ends or not snapshot.complete:
        return JobVerdict(SiteStatus.UNKNOWN, why="no evidence of its end")
    end = next(end for end in ends if end is not None)
    since = now if watched.ended_since is None else watched.ended_since
    if (awaited := _awaited(watched, snapshot, end)) and now - since < awaited[0]:
        return JobVerdict(SiteStatus.UNKNOWN, why=awaited[1], ending=True)
    return _over(watched, end)


def _awaited(
    watched: WatchedAttempt, snapshot: BatchSnapshot, end: Task
) -> tuple[float, str] | None:
    """How long what an ended job left may still be on its way, and what that is.

    A job that ended well left a result: that none shows proves nothing yet.
    """
    if watched.member.cancelled:
        return None
    if end.state is JobState.COMPLETED:
        return RESULT_GRACE_S, "it ended well, and its result does not show yet"
    places = (snapshot.queue, snapshot.past)
    shown = any(end.native_id in place and place[end.native_id].state.ended for place in places)
    if end.exit_code in SIGNALLED and not shown:
        return CAUSE_GRACE_S, "it was told to stop, and the scheduler has not said why yet"
    return None


def status_of(shown: Iterable[Task]) -> SiteStatus | None:
    """How an attempt stands by those of its jobs that are alive; None when none is."""
    alive = {task.state for task in shown if task.state.alive}
    if not alive:
        return None
    return SiteStatus.RUNNING if JobState.RUNNING in alive else SiteStatus.PENDING


def _end(native: str, snapshot: BatchSnapshot) -> Task | None:
    """The evidence that a native job ended: shown by the queue, by accounting, or left by it."""
    code = snapshot.left.get(native)
    for shown in (snapshot.queue, snapshot.past):
        task = shown.get(native)
        if task is not None and task.state.ended:
            return replace(task, exit_code=task.exit_code if code is None else code)
    return None if code is None else by_code(code, native)


def _over(watched: WatchedAttempt, end: Task) -> JobVerdict:
    """What an end means for the job: whether it used a try, and whose fault it was."""
    member = watched.member
    found = of_job(end, started=member.started, cancelled=member.cancelled)
    silent = " before it reported" if found.outcome == "failed" else ""
    blamed = not member.cancelled and blames_site(end, started=member.started)
    return JobVerdict(
        SiteStatus.OVER,
        end=replace(found, why=f"{found.why}{silent} ({end.label})"),
        exit_code=end.exit_code,
        node=end.node if end.state is JobState.NODE_FAIL else "",
        site_fault=_fault(end) if blamed else "",
    )


def _fault(end: Task) -> str:
    if end.exit_code == SERVER_OUT_OF_REACH:
        return "its nodes cannot reach our callback address, or something else answers there"
    return (
        f"its runner ends with code {end.exit_code} before it starts: see the batch's log folder, "
        "and prepare the site again (operate/prepare-site)"
    )
