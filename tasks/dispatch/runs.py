"""Runs: what Prefect shows of a dispatcher's works, made beside them and never in their way.

Bare Prefect makes a few runs a second, and fewer the more are asked for at once. So a handful of
requests are under way at a time (`pace.runs_at_once`); a work that is over before its run is made
costs one of them, and where there are more than Prefect can show soon, many share one run
(`tasks.dispatch.waves`). While Prefect is away the works go on, and their runs come later.
"""

import asyncio
import html
import logging
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, FlowRunCreate, LogCreate
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Running, to_state_create
from sqlalchemy.exc import SQLAlchemyError

from schemas.backoff import Backoff
from schemas.pace import Pace
from tasks.background import keep
from tasks.dispatch.crowding import Crowding
from tasks.dispatch.waves import Unshown, Wave, Work
from track.jobs.claims import Claim
from track.reports.printed import PrintedEnd

CLOSE_S = 30.0
"""How long what is not shown yet may take once a dispatcher's work is over."""

AWAY = Backoff(1.0, 30.0)
"""Pauses between requests to a Prefect that does not answer."""

MAX_LINES = 200
"""Failures that a wave's artifact names; it says how many more there are."""

MAX_LOGS = 20
MAX_TRIES = 10
"""Answers of a Prefect that breaks on a request, until it is spared that one."""

PASSING = frozenset(
    {
        httpx.codes.REQUEST_TIMEOUT,
        httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.BAD_GATEWAY,
        httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.GATEWAY_TIMEOUT,
    }
)
"""Answers of a Prefect that is busy, or of what stands before one that is away: it passes."""

ReadPrinted = Callable[[Mapping[int, datetime]], Awaitable[Mapping[int, PrintedEnd]]]
"""Asked for what was printed last for some jobs, until each was followed no more."""

log = logging.getLogger(__name__)


class Runs:
    """Makes the subflow runs of one dispatch run, `parent`; without one, none.

    `made` is how many there are, those that Prefect has yet to hear of among them.
    """

    def __init__(self, parent: UUID | None, pace: Pace, printed: ReadPrinted | None = None) -> None:
        self._parent = parent
        self._pace = pace
        self._printed = printed
        self.made = 0
        self._begun: list[Work] = []
        self._unshown = Unshown()
        self._again: deque[Wave] = deque()
        self._at: set[Wave] = set()
        self._wanted = asyncio.Event()
        self._closing = asyncio.Event()
        self._crowding = Crowding(pace.runs_at_once, pace.burst_s)
        self._flows: dict[str, UUID] = {}
        self._parents: dict[tuple[str, str], UUID] = {}
        self._making: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to make runs."""
        if self._parent is not None:
            self._making = keep(self._make, "the making of runs")

    def add(self, claim: Claim, flow: Flow[..., Any], task: asyncio.Task[Any]) -> None:
        """Have a work shown that has just begun."""
        if self._parent is not None:
            if not self._begun:
                later_s = self._crowding.gather_s
                asyncio.get_running_loop().call_later(later_s, self._queue_begun)
            self._begun.append(Work(claim, flow, task))

    async def close(self) -> None:
        """Show what is left, for a while; all works are over."""
        self._closing.set()
        self._queue_begun()
        if self._making is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._making
        except TimeoutError:
            log.warning("Prefect is too slow or away: %s", self._left())

    def _left(self) -> str:
        """What Prefect has yet to hear of."""
        waves = [*self._at, *self._again]
        shown = sum(len(wave.works) for wave in waves if wave.run is not None)
        unshown = len(self._unshown) + sum(len(wave.works) for wave in waves) - shown
        return f"of {unshown} jobs no run is shown, of {shown} not how they ended"

    def _queue_begun(self) -> None:
        self._crowding.began(len(self._begun))
        for work in self._begun:
            self._unshown.add(work)
        self._begun = []
        self._wanted.set()

    def _queue_again(self, wave: Wave) -> None:
        self._again.append(wave)
        self._wanted.set()

    def _next(self) -> Wave | None:
        """What comes next: ends of what is shown already, then what is not."""
        if self._again:
            return self._again.popleft()
        wave = self._unshown.take(crowded=self._crowding.too_many(len(self._unshown)))
        self.made += wave is not None
        return wave

    async def _make(self) -> None:
        # The client's own patience would outlast ours, and does not know when we close. Settings
        # and a client take a tenth of a second of computing: they are made once, for all.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with get_client() as client, asyncio.TaskGroup() as group:
                for _ in range(self._pace.runs_at_once):
                    group.create_task(self._make_with(client))

    async def _make_with(self, client: PrefectClient) -> None:
        while True:
            wave = self._next()
            if wave is not None:
                self._at.add(wave)
                await self._show_in_the_end(client, wave)
                self._at.discard(wave)
            elif self._closing.is_set():
                return
            else:
                self._wanted.clear()
                await self._wanted.wait()

    async def _show_in_the_end(self, client: PrefectClient, wave: Wave) -> None:
        """Show it, however long Prefect is away; what it refuses is not asked for again."""
        times = 0
        while True:
            try:
                await self._show(client, wave)
                return
            except (httpx.HTTPError, PrefectException) as error:
                times += 1
                if _refused(error) or (_answered(error) and times >= MAX_TRIES):
                    log.warning("%s is not shown, Prefect refuses it: %s", wave.name, error)
                    return
                log.info("%s cannot be shown yet: %s", wave.name, error)
            except Exception:  # no other wave has to stay unshown for it
                log.exception("%s is not shown", wave.name)
                return
            await self._pause(AWAY.pause_s(times))

    async def _pause(self, longest_s: float) -> None:
        """Wait before Prefect is asked again; no longer than at first, once all work is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._closing.wait()
                await asyncio.sleep(AWAY.first_s)

    async def _show(self, client: PrefectClient, wave: Wave) -> None:
        """Make a wave's run, as it stands now, or end the one that it has."""
        ended, late = False, wave.run is None
        if wave.run is None:
            began = time.monotonic()
            state = wave.state(late=True) if wave.over else Running()
            wave.run, ended = await self._create(client, wave, state)
            self._crowding.answered(time.monotonic() - began)
        if not wave.over:
            wave.on_end(self._queue_again)
            return
        if not ended:
            # Not by force: one that was cancelled meanwhile is ended by whoever does that.
            await client.set_flow_run_state(wave.run, wave.state(late=late))
        await _explain(client, wave, await self._printed_of(wave))

    async def _printed_of(self, wave: Wave) -> list[LogCreate]:
        """What its modules printed last, for its log; of several only what did not go well."""
        jobs = {
            work.claim.job_id: work.at
            for work in wave.works
            if work.at is not None and work.may_have_printed
        }
        if self._printed is None or not jobs:
            return []
        try:
            found = await self._printed(jobs)
        except SQLAlchemyError as error:
            log.info("what %s printed cannot be read: %s", wave.name, error)
            return []
        return printed_lines(wave, found)

    async def _create(
        self, client: PrefectClient, wave: Wave, state: State[Any]
    ) -> tuple[UUID, bool]:
        """Its run's id, and whether that is at its end: an earlier request may have made it."""
        body = FlowRunCreate(
            flow_id=await self._flow_id(client, wave.flow.name),
            name=wave.name,
            parameters=wave.parameters,
            tags=[wave.pipeline, wave.stage],
            parent_task_run_id=await self._parent_of(client, wave),
            idempotency_key=str(wave.key),
            state=to_state_create(state),
        )
        fields = body.model_dump(mode="json", exclude_unset=True)
        answer = await client.request("POST", "/flow_runs/", json=fields)
        run = answer.json()
        return UUID(run["id"]), run["state_type"] == state.type.value and state.is_final()

    async def _flow_id(self, client: PrefectClient, name: str) -> UUID:
        if name not in self._flows:
            answer = await client.request("POST", "/flows/", json={"name": name})
            self._flows[name] = UUID(answer.json()["id"])
        return self._flows[name]

    async def _parent_of(self, client: PrefectClient, wave: Wave) -> UUID:
        """The task run by which Prefect knows whose subflows those of a stage are.

        One for all of a stage: each flow run is a node of its own in the parent's graph.
        """
        key = (wave.pipeline, wave.stage)
        if key not in self._parents:
            body = {
                "flow_run_id": str(self._parent),
                "task_key": wave.pipeline,
                "dynamic_key": wave.stage,
                "name": f"{wave.pipeline} {wave.stage}",
                "state": {"type": "COMPLETED", "message": "its subflows are shown each"},
            }
            answer = await client.request("POST", "/task_runs/", json=body)
            self._parents[key] = UUID(answer.json()["id"])
        return self._parents[key]


def _answered(error: Exception) -> bool:
    """Whether Prefect itself answered."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code not in PASSING
    return isinstance(error, ObjectNotFound)


def _refused(error: Exception) -> bool:
    """Whether it answered that it never will: the run was deleted, or is none that it knows."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_client_error and _answered(error)
    return isinstance(error, ObjectNotFound)


async def _explain(client: PrefectClient, wave: Wave, printed: list[LogCreate]) -> None:
    """What was printed, and what broke, goes to the run's log, and of several works what became of
    them to an artifact."""
    broken = [work for work in wave.works if work.error is not None]
    logs = [*printed, *(_traceback(work, wave) for work in broken[:MAX_LOGS])]
    if logs:
        await client.create_logs(logs)
    if len(wave.works) > 1:
        fields = ArtifactCreate(
            type="markdown",
            description=f"{wave.name}: what became of them",
            data=summary(wave),
            flow_run_id=wave.run,
        ).model_dump(mode="json", exclude_unset=True)
        await client.request("POST", "/artifacts/", json=fields)


def printed_lines(wave: Wave, found: Mapping[int, PrintedEnd]) -> list[LogCreate]:
    """What was printed as lines of a run's log, with who printed it: an error's if it failed."""
    lines = []
    for work in wave.works:
        end = found.get(work.claim.job_id)
        if end is None or (len(wave.works) > 1 and end.outcome == "done"):
            continue
        lines.append(
            LogCreate(
                name="refinery.module",
                level=logging.INFO if end.outcome == "done" else logging.ERROR,
                message=f"{work.claim.stage} of {work.claim.guid}, {end.words}",
                timestamp=work.at or datetime.now(UTC),
                flow_run_id=wave.run,
            )
        )
    return lines[:MAX_LOGS]


def _traceback(work: Work, wave: Wave) -> LogCreate:
    error = work.error
    text = "".join(traceback.format_exception(error)) if error is not None else ""
    return LogCreate(
        name="refinery.dispatch",
        level=logging.ERROR,
        message=f"{work.claim.stage} of {work.claim.guid}: {text}",
        timestamp=work.at or datetime.now(UTC),
        flow_run_id=wave.run,
    )


def summary(wave: Wave) -> str:
    """Markdown: how many ended in which way, then what did not go well, specimen by specimen.

    A list: Prefect cuts the lines of a table where its page ends.
    """
    lines = [f"**{wave.stage}** of {len(wave.works)} specimens: {wave.counts}."]
    bad = list(wave.troubles())
    if bad:
        lines.append("")
    for guid, state in bad[:MAX_LINES]:
        why = html.escape(" ".join((state.message or "").split()), quote=False)
        lines.append(f"- `{guid}` {state.name}: {why}")
    if len(bad) > MAX_LINES:
        lines.append(f"- and {len(bad) - MAX_LINES} more")
    return "\n".join(lines)
