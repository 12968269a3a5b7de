"""The dispatcher against a real Prefect and a site that does what the test says."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from flows.dispatch import dispatch
from flows.module import run_module
from hpc import protocol
from hpc.callers import RunnerCaller
from schemas.attempts import Complete, Fail, Result, Start
from schemas.backoff import Backoff
from schemas.pace import Pace
from tasks.dispatch.held_job import HeldJob
from tasks.dispatch.outcome import outcome
from tasks.dispatch.runs import Runs
from tasks.dispatch.waves import Wave
from tests.support.at_site import kill
from tests.support.callbacks import until
from tests.support.flow_world import undispatched
from tests.support.world import World, edit, new
from track.commands.switches import switch_site
from track.jobs.claims import Claim
from track.jobs.leases import Lease
from track.jobs.sites import choose_sites
from track.reports.progress import session_progress
from track.schema.database import transact
from track.schema.states import State as JobState

CREATE = {"key": "create", "run": "refinery.create"}
PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load", "retries": 1},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
HASTY = Pace(tick_s=0.1, recheck_s=0.1, linger_s=0.3)
QUEUED = """
    SELECT t.id, t.fence, j.asset_guid FROM track.attempt t
    JOIN track.job j ON j.attempt_id = t.id WHERE j.state = 'queued' ORDER BY t.id
"""
LOSE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'refinery dispatcher lease' AND datname = current_database()
"""
PATIENCE_S = 120


@dataclass
class FakeSite:
    """A site that starts whatever is queued; what it is told to do to a guid decides the end.

    `killed` is what work printed whose next attempt is killed, by guid.
    """

    world: World
    fails: dict[str, str] = field(default_factory=dict)
    killed: dict[str, str] = field(default_factory=dict)
    keeps: bool = False
    closed: bool = False
    started: list[tuple[int, int]] = field(default_factory=list)

    async def work(self) -> None:
        """Take what is queued, again and again, until the site is closed."""
        while not self.closed:
            for attempt_id, fence, guid in await self.world.sql(QUEUED):
                assert isinstance(attempt_id, int) and isinstance(fence, int)
                await self._say(protocol.start, attempt_id, fence, Start(**_native(attempt_id)))
                self.started.append((attempt_id, fence))
                if not self.keeps:
                    await self.end(attempt_id, fence, str(guid))
            await asyncio.sleep(0.02)

    async def has_started_both(self) -> bool:
        return len(self.started) == 2

    async def end(self, attempt_id: int, fence: int, guid: str = "") -> None:
        """Report an attempt's end."""
        if (printed := self.killed.pop(guid, None)) is not None:
            await kill(self.world, attempt_id, printed)
        elif status := self.fails.get(guid):
            body = Fail(
                **_native(attempt_id),
                fail_status=status,
                message="a blurred label",
                printed=f"{guid}: no text found",
            )
            await self._say(protocol.fail, attempt_id, fence, body)
        else:
            result = Result(printed=f"{guid}: looked at it")
            done = Complete(**_native(attempt_id), result=result)
            await self._say(protocol.complete, attempt_id, fence, done)

    async def _say(
        self, word: Callable[..., Awaitable[Any]], attempt_id: int, fence: int, body: Any
    ) -> None:
        caller = RunnerCaller(attempt_id, fence)
        await transact(self.world.engine, word, caller, body)


def _native(attempt_id: int) -> dict[str, str]:
    return {"native_id": f"native-{attempt_id}", "nonce": "n"}


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    """A registered session of two assets that no dispatcher has been at yet."""
    return await undispatched(engine, PIPELINE, new("g"), new("h"))


@pytest.fixture
async def site(world: World) -> AsyncIterator[FakeSite]:
    made = FakeSite(world)
    working = asyncio.create_task(made.work())
    yield made
    made.closed = True
    await working


async def run(world: World, pace: Pace = PACE) -> State[Any]:
    async with asyncio.timeout(PATIENCE_S):
        state: State[Any] = await dispatch(world.session_id, pace, return_state=True)
    return state


async def subflows(state: State[Any]) -> Sequence[FlowRun]:
    parent = state.state_details.flow_run_id
    assert parent is not None
    mine = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]))
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=mine)


def _end(message: str) -> str:
    return message.rpartition("printed last:\n")[2]


async def one(world: World, statement: str) -> Any:
    ((found,),) = await world.sql(statement)
    return found


async def waking(world: World) -> Any:
    return await one(world, "SELECT wake_requested_at FROM track.session")


async def test_a_session_is_carried_to_its_end_with_a_subflow_for_each_job(
    world: World, site: FakeSite
) -> None:
    state = await run(world)
    assert state.name == "Finished"
    assert await world.states("g") == {"load": JobState.DONE, "ocr": JobState.DONE}
    runs = {run.name: sorted(run.tags) for run in await subflows(state)}
    assert runs == {f"{guid} {key}": ["P", key] for guid in "gh" for key in ("load", "ocr")}
    assert await one(world, "SELECT finished_at IS NOT NULL FROM track.session")
    assert await one(world, "SELECT ended_why FROM track.dispatcher") == "finished"
    await check_name(world, state)


async def check_name(world: World, state: State[Any]) -> None:
    """See that a dispatch run is named by workstation and folder, and tagged by its session."""
    assert state.state_details.flow_run_id is not None
    async with get_client() as client:
        found = await client.read_flow_run(state.state_details.flow_run_id)
    folder = Path(await one(world, "SELECT opened_as FROM track.session")).name
    assert found.name == f"dispatch W {folder}"
    assert set(found.tags) == {"W", f"session-{world.session_id}"}


async def test_a_second_dispatcher_ends_elsewhere_and_touches_nothing(
    world: World, database: str
) -> None:
    lease = Lease(database, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    try:
        state = await run(world)
    finally:
        await asyncio.to_thread(lease.release, "the test is over")
    assert (state.is_completed(), state.name) == (True, "Elsewhere")
    await check_name(world, state)
    assert await world.states("g") == {"load": JobState.READY, "ocr": JobState.WAITING}


async def test_a_job_that_keeps_failing_uses_its_tries_and_stops_nobody_else(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("track.jobs.setbacks.BACKOFF_S", 0.1)
    site.fails["g"] = "RETRY"
    state = await run(world)
    assert state.name == "Finished"
    assert await world.states("g") == {"load": JobState.FAILED, "ocr": JobState.WAITING}
    assert await world.states("h") == {"load": JobState.DONE, "ocr": JobState.DONE}
    tries = {run.id: run for run in await subflows(state)}
    filter_ = LogFilter(flow_run_id=LogFilterFlowRunId(any_=list(tries)))
    async with get_client() as client:
        logs = await client.read_logs(log_filter=filter_)
    told = Counter((tries[each.flow_run_id].name, each.level, _end(each.message)) for each in logs)
    assert told == {
        ("g load", logging.ERROR, "g: no text found"): 2,
        ("h load", logging.INFO, "h: looked at it"): 1,
        ("h ocr", logging.INFO, "h: looked at it"): 1,
    }
    kept = "SELECT count(*) FROM track.inbox WHERE CAST(payload AS text) LIKE '%no text found%'"
    assert await one(world, kept) == 0
    job = await world.job_id("g", "load")
    tried = await world.sql("SELECT n, outcome FROM track.attempt WHERE job_id = :j", j=job)
    assert sorted(tried) == [(1, "failed"), (2, "failed")]
    ends = sorted(str(run.state_name) for run in await subflows(state) if run.name == "g load")
    assert ends == ["Failed", "Retrying"]


async def test_the_log_of_a_run_has_what_work_printed_that_was_killed(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("track.jobs.setbacks.BACKOFF_S", 0.1)
    site.killed = {"g": "the label is blurred", "h": ""}
    state = await run(world)
    runs = {run.id: run.name for run in await subflows(state) if run.state_name == "Retrying"}
    filter_ = LogFilter(flow_run_id=LogFilterFlowRunId(any_=list(runs)))
    async with get_client() as client:
        logs = await client.read_logs(log_filter=filter_)
    told = {runs[each.flow_run_id]: (each.level, _end(each.message)) for each in logs}
    assert told["g load"] == (logging.ERROR, "the label is blurred")
    assert told["h load"][1].endswith("failed, it printed nothing before it ended")


async def test_a_job_is_tried_again_only_when_the_subflow_of_its_first_try_has_ended(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("track.jobs.setbacks.BACKOFF_S", 0)
    site.fails["g"] = "RETRY"
    open_at_once: list[int] = []
    following: list[int] = []

    async def slow(job: HeldJob) -> object:
        following.append(job.claim.job_id)
        open_at_once.append(following.count(job.claim.job_id))
        await asyncio.sleep(0.5)  # the job is ready again before its first try's end is noticed
        try:
            return await outcome(job)
        finally:
            following.remove(job.claim.job_id)

    monkeypatch.setattr("flows.module.outcome", slow)
    state = await run(world)
    assert state.name == "Finished"
    assert set(open_at_once) == {1}
    ends = sorted(str(run.state_name) for run in await subflows(state) if run.name == "g load")
    assert ends == ["Failed", "Retrying"]


async def test_a_final_error_fails_the_job_at_once_with_its_reason(
    world: World, site: FakeSite
) -> None:
    site.fails["g"] = "ERROR"
    state = await run(world)
    assert await world.states("g") == {"load": JobState.FAILED, "ocr": JobState.WAITING}
    (failed,) = [run for run in await subflows(state) if run.name == "g load"]
    assert failed.state is not None and "a blurred label" in str(failed.state.message)


async def test_a_job_whose_subflow_breaks_is_put_back_and_uses_no_try(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.dispatch.dispatcher.RELEASE_AFTER_S", 0.2)
    breaks = {"g": 1, "h": 2}

    @flow(name="module")
    async def fragile(claim: Claim) -> object:
        if breaks[claim.guid]:
            breaks[claim.guid] -= 1
            raise RuntimeError("the disk is full")
        return await run_module.fn(claim)

    monkeypatch.setattr("flows.dispatch.run_module", fragile)
    assert (await run(world)).name == "Finished"
    assert await world.states("h") == {"load": JobState.DONE, "ocr": JobState.DONE}
    told = await world.sql(
        "SELECT count(*) FROM track.history WHERE why LIKE '%the disk is full;%'"
    )
    assert told == [(3,)]
    assert await one(world, "SELECT max(tries) FROM track.job") == 0


async def test_a_session_is_carried_to_its_end_while_prefect_shows_nothing_of_it(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = asyncio.Event()
    create = Runs._create

    async def away(runs: Runs, *wave: Any) -> Any:
        await back.wait()
        return await create(runs, *wave)

    monkeypatch.setattr(Runs, "_create", away)
    running = asyncio.create_task(run(world))

    async def finished() -> bool:
        return bool(await world.sql("SELECT 1 FROM track.session WHERE finished_at IS NOT NULL"))

    await until(finished)
    assert await world.states("g") == {"load": JobState.DONE, "ocr": JobState.DONE}
    back.set()
    shown = await subflows(await running)
    assert sorted(each.name for each in shown) == ["g load", "g ocr", "h load", "h ocr"]
    for each in shown:
        assert each.state is not None and each.state.is_completed()
        assert str(each.state.message).startswith("done at ")


async def test_a_run_that_prefect_does_not_make_at_first_is_made_once_in_the_end(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.dispatch.runs.AWAY", Backoff(0.05, 0.1))
    create = Runs._create
    answered: list[str] = []

    async def unlucky(runs: Runs, client: PrefectClient, wave: Wave, state: State[Any]) -> Any:
        """The first answer for each is lost, after the run was made."""
        found = await create(runs, client, wave, state)
        answered.append(wave.name)
        if answered.count(wave.name) == 1:
            raise httpx.ReadTimeout("no answer")
        return found

    monkeypatch.setattr(Runs, "_create", unlucky)
    state = await run(world)
    assert state.name == "Finished"
    shown = await subflows(state)
    assert sorted(each.name for each in shown) == ["g load", "g ocr", "h load", "h ocr"]
    assert all(each.state is not None and each.state.is_completed() for each in shown)
    assert await one(world, "SELECT count(*) FROM track.attempt") == 4


async def test_what_prefect_refuses_to_show_keeps_nothing_else_from_being_shown(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Runs._create
    refused = httpx.Response(422, request=httpx.Request("POST", "http://prefect/api/flow_runs"))

    async def choosy(runs: Runs, client: PrefectClient, wave: Wave, state: State[Any]) -> Any:
        if wave.name.startswith("g"):
            raise httpx.HTTPStatusError("no", request=refused.request, response=refused)
        return await create(runs, client, wave, state)

    monkeypatch.setattr(Runs, "_create", choosy)
    state = await run(world)
    assert state.name == "Finished"
    assert await world.states("g") == {"load": JobState.DONE, "ocr": JobState.DONE}
    assert sorted(each.name for each in await subflows(state)) == ["h load", "h ocr"]


async def test_a_job_that_came_back_is_not_done_again_when_its_subflow_breaks(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.dispatch.dispatcher.RELEASE_AFTER_S", 0.2)
    broke: list[str] = []

    async def fragile(job: HeldJob) -> None:
        if job.claim.guid not in broke:
            broke.append(job.claim.guid)
            raise RuntimeError("the disk is full")

    monkeypatch.setattr("flows.module.push_changed", fragile)
    # There is something to push, for the archive is to know them; it has no share of theirs.
    await edit(world.engine, PIPELINE | {"stages": [CREATE, *PIPELINE["stages"]]})
    await world.sql(
        "UPDATE track.job SET state = 'excluded' WHERE state = 'ready' AND stage_id = "
        "(SELECT id FROM track.stage WHERE key = 'create')"
    )
    await world.sql(
        "INSERT INTO metadata.document (asset_guid, body, arrived, arrived_version)"
        " SELECT guid, '{}', '{}', '3' FROM track.asset"
    )
    assert (await run(world)).name == "Finished"
    assert sorted(broke) == ["g", "h"]
    assert await one(world, "SELECT count(*) FROM track.attempt") == 4


async def test_without_an_open_site_it_starts_nothing_and_goes_on_when_one_opens(
    world: World, site: FakeSite
) -> None:
    await transact(world.engine, switch_site, "here", False, actor="test")
    parked = await run(world, HASTY)
    assert (parked.name, await subflows(parked)) == ("Parked", [])
    assert await waking(world) is None
    async with world.engine.connect() as connection:
        rows = await session_progress(connection, world.session_id)
    said = "no open site may take it: here is switched off"
    assert rows[0]["stages"][0]["reason"] == said
    await transact(world.engine, switch_site, "here", True, actor="test")
    assert await waking(world) is not None
    assert (await run(world)).name == "Finished"
    assert await one(world, "SELECT max(tries) FROM track.job") == 0


async def test_a_live_dispatcher_sees_that_a_site_opens(world: World, site: FakeSite) -> None:
    await transact(world.engine, switch_site, "here", False, actor="test")
    running = asyncio.create_task(run(world))

    async def has_looked() -> bool:
        return bool(await world.sql("SELECT 1 FROM track.dispatcher"))

    await until(has_looked)
    await transact(world.engine, switch_site, "here", True, actor="test")
    assert (await running).name == "Finished"


async def test_a_site_closed_between_claim_and_queue_costs_no_try(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("track.jobs.at_site.NO_SITE_S", 0.2)
    chosen: list[int] = []

    async def closed_once(tx: AsyncConnection, job_ids: Sequence[int]) -> dict[int, str]:
        chosen.extend(job_ids)
        return {} if len(chosen) == len(job_ids) else await choose_sites(tx, job_ids)

    monkeypatch.setattr("track.jobs.at_site.choose_sites", closed_once)
    assert (await run(world)).name == "Finished"
    assert await one(world, "SELECT max(tries) FROM track.job") == 0


async def test_it_parks_while_sites_work_and_a_callback_wakes_a_successor_once(
    world: World, site: FakeSite
) -> None:
    site.keeps = True
    parked = await run(world, HASTY)
    assert (parked.is_completed(), parked.name) == (True, "Parked")
    assert [run.state_name for run in await subflows(parked)] == ["Parked", "Parked"]
    assert await waking(world) is None
    await until(site.has_started_both)
    first, second = site.started
    await site.end(*first)
    asked = await waking(world)
    assert asked is not None
    await site.end(*second)
    assert await waking(world) == asked
    site.keeps = False
    assert (await run(world)).name == "Finished"
    assert await waking(world) is None
    assert await world.states("h") == {"load": JobState.DONE, "ocr": JobState.DONE}


async def test_after_its_share_of_subflows_it_asks_for_a_successor(
    world: World, site: FakeSite
) -> None:
    site.keeps = True  # or else all might be done before the first look that finds nothing
    state = await run(world, PACE.model_copy(update={"subflows": 1}))
    assert state.name == "Handed Over"
    assert await waking(world) is not None
    await until(site.has_started_both)
    site.keeps = False
    for attempt_id, fence in site.started:
        await site.end(attempt_id, fence)
    assert (await run(world)).name == "Finished"


async def test_what_ends_while_a_dispatcher_hands_over_is_told_by_its_successor(
    world: World, site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    winding_down = asyncio.Event()
    park = "tasks.dispatch.waiting.EventWaiter.park"
    monkeypatch.setattr(park, lambda self: winding_down.set())  # and nobody is let go
    site.keeps = True
    await world.sql("UPDATE track.job SET state = 'excluded' WHERE state = 'waiting'")
    running = asyncio.create_task(run(world, PACE.model_copy(update={"subflows": 1})))
    await winding_down.wait()
    await until(site.has_started_both)
    for attempt_id, fence in site.started:
        await site.end(attempt_id, fence)
    state = await running
    assert state.name == "Handed Over"
    assert await world.states("g") == {"load": JobState.DONE, "ocr": JobState.EXCLUDED}
    assert await one(world, "SELECT finished_at IS NULL FROM track.session")
    assert await waking(world) is not None
    assert (await run(world)).name == "Finished"
    assert await one(world, "SELECT finished_at IS NOT NULL FROM track.session")


async def test_a_dispatcher_that_loses_its_lease_stops_and_a_successor_goes_on(
    world: World, site: FakeSite
) -> None:
    site.keeps = True
    running = asyncio.create_task(run(world))
    await until(site.has_started_both)
    await world.sql(LOSE)
    with pytest.raises(asyncio.CancelledError):
        await running
    # Its last writes may still be under way; not for as long, or the test waits for nothing.
    await world.sql("UPDATE track.dispatcher SET alive_until = now() + interval '1 s'")
    site.keeps = False
    for attempt_id, fence in site.started:
        await site.end(attempt_id, fence)
    assert await world.states("g") == {"load": JobState.RETURNED, "ocr": JobState.WAITING}
    assert (await run(world)).name == "Finished"
    assert await world.states("g") == {"load": JobState.DONE, "ocr": JobState.DONE}
