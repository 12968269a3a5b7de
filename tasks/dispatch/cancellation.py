"""Prefect's cancel of a subflow: it ends the jobs that the subflow shows.

A subflow runs in its dispatcher's process, and Prefect does not notify it. So the dispatcher
asks, in one call for all of them, and sees each cancelled run to its end.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectException
from prefect.states import Cancelled
from sqlalchemy.exc import SQLAlchemyError

from tasks.background import begin, keep

log = logging.getLogger(__name__)

CANCELLED = FlowRunFilterState(
    type=FlowRunFilterStateType(any_=[StateType.CANCELLING, StateType.CANCELLED])
)
ENDED = {StateType.CANCELLED, StateType.COMPLETED, StateType.FAILED}
"""What a cancelled run may end as by itself: a finish that came first wins."""

EndJob = Callable[[int, str], Awaitable[str]]
"""Ends a job, the actor being named; returns what became of it once its work is over."""


class Cancellations:
    """Watches the subflows of `parent`; `busy` says whether there are any at all."""

    def __init__(
        self, parent: UUID | None, every_s: float, busy: Callable[[], bool], end_job: EndJob
    ) -> None:
        self._parent = parent
        self._every_s = every_s
        self._busy = busy
        self._end_job = end_job
        self._seen: dict[UUID, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        if self._parent is not None:
            self._watching = keep(partial(self._watch, self._parent), "the look for cancelled runs")

    async def stop(self) -> None:
        """Ask no more. A dispatcher that is cancelled itself gives its jobs back instead."""
        tasks = [*self._seen.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, parent: UUID) -> None:
        mine = FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]), state=CANCELLED
        )
        async with get_client() as client:
            while True:
                await asyncio.sleep(self._every_s)
                if self._busy():
                    await self._look(client, mine)

    async def _look(self, client: PrefectClient, mine: FlowRunFilter) -> None:
        try:
            runs = await client.read_flow_runs(flow_run_filter=mine)
        except (httpx.HTTPError, PrefectException) as error:
            log.info("whether a subflow was cancelled cannot be asked: %s", error)
            return
        for run in runs:
            if run.id not in self._seen:
                self._seen[run.id] = begin(self._end(client, run), f"the end of {run.name}")

    async def _end(self, client: PrefectClient, run: FlowRun) -> None:
        """End a cancelled run's jobs, then the run."""
        try:
            jobs: list[int] = run.parameters["jobs"]
            ends = [self._end_job(job_id, f"run:{run.id}") for job_id in jobs]
            notes = Counter(await asyncio.gather(*ends))
            note = ", ".join(
                f"{n} × {text}" if len(jobs) > 1 else text for text, n in notes.items()
            )
            now = (await client.read_flow_run(run.id)).state
            if now is None or now.type not in ENDED:
                await client.set_flow_run_state(run.id, Cancelled(message=note), force=True)
        except (httpx.HTTPError, PrefectException, SQLAlchemyError) as error:
            log.warning("%s was cancelled, which is tried again: %s", run.name, error)
            del self._seen[run.id]
