"""Reconciling: what a dead process left behind is cleaned up, and dispatchers are asked for.

The database decides who is alive. In Prefect the runs of dispatchers that ended are marked as
crashed, and so are the subflows that died with them.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect.artifacts import Artifact
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Crashed
from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.archive.leftover_shares import close_leftovers
from tasks.archive.metadata import push_pending_metadata
from tasks.intake.readmission import readmit
from tasks.intake.unclosed import closable
from tasks.log_lines import write_our_lines
from tasks.upkeep.database import open_database
from track.commands import healing
from track.commands.agents import reap
from track.commands.back_fill import back_fill
from track.commands.site_health import note_silence, wake_for_probes
from track.jobs import verbs
from track.jobs.parking import parked_longest, wake_due, wake_or_park
from track.records.search import fill_search
from track.reports.figures import fold_totals
from track.schema.database import transact
from track.schema.lasting import hold_alone

DISPATCHERS = FlowFilter(name=FlowFilterName(any_=["dispatch"]))
COMING = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
LIVE = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
CHUNK = 200
"""What Prefect's API gives at once."""

MAX_PAGES = 10

PARKED_AT_ONCE = 100
"""Parked sessions that one run looks at again."""

BACK_FILL_S = 20.0
"""How long one look goes on with what an edit of a pipeline has left to do."""

STARTING_PATIENCE = 2
"""So many times the patience may pass before a run that began has its lease."""

UNUSED_PATIENCE = 15
"""So many times the patience a share stays open that nobody uses: a person may be at it."""

ENDED_WITHIN = timedelta(days=1)
"""How far back runs of ended dispatchers are looked for."""


@dataclass
class ReconcileCounts:
    """What one look found and set right; all 0 in a quiet system."""

    sessions_woken: int = 0
    sessions_without_registration: int = 0
    sessions_with_open_folder: int = 0
    specimens_readmitted: int = 0
    documents_pushed: int = 0
    shares_closed: int = 0
    jobs_forgotten: int = 0
    sites_silent: int = 0
    attempts_lost: int = 0
    dispatchers_silent: int = 0
    runs_orphaned: int = 0
    alarms: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers, by name."""
        return {name: value for name, value in asdict(self).items() if name != "notes"}

    @property
    def nothing(self) -> bool:
        """Whether all was well."""
        return not any(self.counts.values()) and not self.notes


@asynccontextmanager
async def reconciling() -> AsyncIterator[AsyncEngine]:
    """The database, for one look; another that is under way is waited for."""
    write_our_lines()
    async with open_database() as engine, engine.connect() as mine:
        await hold_alone(mine, "reconcile")
        yield engine


async def set_right(
    engine: AsyncEngine, patience: timedelta, registration: timedelta
) -> ReconcileCounts:
    """Look for everything that can have been left behind, and set it right."""
    found = ReconcileCounts()
    if not await back_fill(engine, within_s=BACK_FILL_S):
        found.notes.append("specimens are still being brought in line with an edited pipeline")
    if not await fill_search(engine, within_s=BACK_FILL_S):
        found.notes.append("Find does not know all older specimens yet: they are being brought in")
    await _forgotten_jobs(engine, patience, found)
    silent = await transact(engine, note_silence, actor=healing.ACTOR)
    found.sites_silent = len(silent)
    found.notes += silent
    lost = await transact(engine, reap)
    found.attempts_lost = len(lost)
    found.notes += lost
    await transact(engine, wake_for_probes)
    await transact(engine, fold_totals)
    await transact(engine, verbs.release_if_over)
    readmitted = await readmit(engine)
    found.specimens_readmitted = len(readmitted)
    found.notes += [f"the files of {guid} may be read now: it is taken in" for guid in readmitted]
    found.dispatchers_silent = len(await transact(engine, healing.close_silent, patience))
    try:
        async with get_client() as client:
            found.runs_orphaned = await end_orphans(client, engine, patience)
            coming = await on_their_way(client, engine)
    except (httpx.HTTPError, PrefectException) as error:
        found.notes.append(f"Prefect's runs could not be looked at: {error}")
        return found

    async def take_up(sessions: Sequence[UUID], what: str, *, idle: bool = False) -> int:
        """Ask for a dispatcher for each session that has none on its way; how many were."""
        taken = 0
        for each in [each for each in sessions if each not in coming]:
            if await transact(engine, healing.request_dispatcher, each, idle=idle):
                taken += 1
                found.notes.append(f"session {each} had {what}: a dispatcher is asked for")
        return taken

    neglected = await transact(engine, healing.neglected, patience)
    found.sessions_woken = await take_up(neglected, "work and no dispatcher")
    found.sessions_woken += await _look_at_parked(engine)
    missing = await transact(engine, healing.unregistered, registration)
    what = "specimens that nobody registered"
    found.sessions_without_registration = await take_up(missing, what)
    open_ = await transact(engine, healing.unclosed, patience)
    open_ = await closable(engine, open_, actor=healing.ACTOR)
    what = "a folder that was not closed"
    found.sessions_with_open_folder = await take_up(open_, what, idle=True)
    pushed = await push_pending_metadata(engine, patience)  # last, since an archive may be slow
    found.documents_pushed = len(pushed.done)
    found.notes += [f"the archive has the metadata of {guid} now" for guid in pushed.done]
    found.notes += pushed.refused
    closed = await close_leftovers(engine, patience * UNUSED_PATIENCE)
    found.shares_closed = len(closed.done)
    found.notes += [f"nobody uses the share of {guid}: it is closed" for guid in closed.done]
    found.notes += closed.refused
    return found


async def _forgotten_jobs(engine: AsyncEngine, patience: timedelta, found: ReconcileCounts) -> None:
    suspects = await transact(engine, healing.forgotten, patience)
    if not suspects:
        return
    wrong = await transact(engine, healing.re_evaluate, suspects)
    found.jobs_forgotten = len(wrong)
    if wrong:
        found.notes.append(f"a bug of ours: jobs {wrong[:20]} were never resolved; they are now")


async def _look_at_parked(engine: AsyncEngine) -> int:
    """Look again at those that were looked at longest ago, and at the clock; how many go on.

    The announcer's clock asks for these within a second or two, if it runs.
    """
    before = await transact(engine, parked_longest, PARKED_AT_ONCE)
    for session_id in before:
        await transact(engine, wake_or_park, session_id)
    return len(await transact(engine, wake_due))


async def on_their_way(client: PrefectClient, engine: AsyncEngine) -> set[UUID]:
    """Sessions whose next dispatcher has its run already: asking again is no help.

    It waits for a place at the worker, or is just starting and has not taken its lease yet.
    """
    runs: list[FlowRun] = []
    for page in range(MAX_PAGES):
        found = await client.read_flow_runs(
            flow_filter=DISPATCHERS,
            flow_run_filter=FlowRunFilter(state=_in(COMING)),
            limit=CHUNK,
            offset=page * CHUNK,
        )
        runs += found
        if len(found) < CHUNK:
            break
    known = await transact(engine, healing.known_runs, [run.id for run in runs])
    return {UUID(str(run.parameters["session"])) for run in runs if run.id not in known}


async def end_orphans(client: PrefectClient, engine: AsyncEngine, patience: timedelta) -> int:
    """Crash the live runs of dead dispatchers, and their subflows; how many there were.

    A dispatch run that never had a dispatcher, and began long ago, died before its lease.
    """
    why = await transact(engine, healing.dead_runs, patience, within=ENDED_WITHIN)
    ended = 0
    for chunk in _chunks(list(why)):
        for which in (_children_of(chunk), _these(chunk)):
            ended += await _crash(client, which, why)
    lost = await _without_dispatcher(client, engine, patience * STARTING_PATIENCE)
    return ended + await _crash(client, _these(lost), why) if lost else ended


async def _without_dispatcher(
    client: PrefectClient, engine: AsyncEngine, patience: timedelta
) -> list[UUID]:
    before = datetime.now(UTC) - patience
    runs = await client.read_flow_runs(
        flow_filter=DISPATCHERS,
        flow_run_filter=FlowRunFilter(
            state=_in(LIVE), expected_start_time=FlowRunFilterExpectedStartTime(before_=before)
        ),
        limit=CHUNK,
    )
    ids = [run.id for run in runs if run.state is not None and run.state.timestamp < before]
    known = await transact(engine, healing.known_runs, ids)
    return [each for each in ids if each not in known]


async def _crash(client: PrefectClient, which: FlowRunFilter, why: dict[UUID, str]) -> int:
    runs: list[FlowRun] = await client.read_flow_runs(flow_run_filter=which, limit=CHUNK)
    for run in runs:
        reason = why.get(run.id, "with its run")
        message = f"Its dispatcher ended ({reason}); its jobs go on under the next one."
        asked = run.state is not None and run.state.is_cancelling()
        end = Cancelled if asked else Crashed
        await client.set_flow_run_state(run.id, end(message=message), force=True)
    return len(runs)


def _these(ids: Sequence[UUID]) -> FlowRunFilter:
    return FlowRunFilter(id=FlowRunFilterId(any_=list(ids)), state=_in(LIVE))


def _children_of(ids: Sequence[UUID]) -> FlowRunFilter:
    return FlowRunFilter(
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=list(ids)), state=_in(LIVE)
    )


def _in(types: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=types))


def _chunks(ids: Sequence[UUID]) -> Iterable[Sequence[UUID]]:
    return (ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK))


async def report(found: ReconcileCounts) -> State:
    """Report what was found; a table in the UI only when there is something in it."""
    run_log = get_run_logger()
    summary = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in found.counts.items())
    if found.nothing:
        return Completed(message=f"all quiet: {summary}")
    for note in found.notes:
        run_log.warning("%s", note)
    rows = [{"what": name.replace("_", " "), "count": n} for name, n in found.counts.items()]
    description = "\n".join([summary, *found.notes[:50]])
    await Artifact(type="table", key="reconcile", description=description, data=rows).acreate()
    return Completed(name="Repaired", message=summary)
