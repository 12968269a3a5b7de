"""How often a site is looked at: seldom, and not at all while its jobs report by themselves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.scheduler.slurm import SchedulerAnswer, Task
from hpc.scheduler.states import JobState
from hpc.sites.slurm.answers import PollResult
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.poller import Poller
from hpc.sites.slurm.state import SiteState
from hpc.tokens import Keys
from schemas.sites import Site
from tests.support.local_wire import LocalWire
from tests.support.world import World, new

KEYS = Keys.parse("k:00112233445566778899aabbccddeeff")
PIPELINE: dict[str, Any] = {"pipeline": "P", "stages": [{"key": "a", "run": "module load"}]}


@dataclass
class Shown(Cluster):
    """A cluster whose every look shows the same: one job of key b1 that waits."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    unreadable: tuple[str, ...] = ()

    async def poll(
        self,
        keys: Sequence[str],
        *,
        queue: bool = True,
        history: str | None = None,
        starts: bool = False,
        known: Collection[str] = (),
    ) -> PollResult:
        self.asked.append(tuple(keys))
        task = Task("7_0", "b1", JobState.PENDING, "PENDING", reason="Resources")
        return PollResult(SchedulerAnswer((task,), not self.unreadable, self.unreadable))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def poller(engine: AsyncEngine) -> Poller:
    """A watcher of a site with one open batch, last heard of an hour ago."""
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    await world.sql(
        "WITH b AS (INSERT INTO track.batch (key, site, stage_id, members, state, external_id)"
        " SELECT 'b1', 'far', id, '{}', 'submitted', '7' FROM track.stage"
        " WHERE key = 'a' RETURNING id)"
        " INSERT INTO track.attempt (job_id, n, fence, site, batch_id, member, submitted_at)"
        " SELECT j.id, 1, 1, 'far', b.id, 0, now() - interval '1 hour' FROM track.job j, b"
    )
    await world.sql(
        "UPDATE track.job SET state = 'queued', attempt_id = (SELECT id FROM track.attempt)"
    )
    given = {"site": "far", "kind": "slurm", "root": "/r", "python": "/p", "block": "far"}
    site = Site.model_validate({**given, "callback": "http://h:1", "poll_s": 60})
    cluster = Shown(LocalWire(), "/r")
    state = SiteState(site, engine, KEYS, "http://h:1", Path("r.pyz"), cluster, clock=Clock())
    return Poller(state)


async def pass_time(poller: Poller, seconds: int) -> int:
    """Turn every two seconds; how many polls there were."""
    clock, cluster = poller.state.clock, poller.state.cluster
    assert isinstance(clock, Clock)
    assert isinstance(cluster, Shown)
    before = len(cluster.asked)
    for _ in range(seconds // 2):
        clock.now += 2
        await poller.poll()
    return len(cluster.asked) - before


async def test_silent_jobs_are_polled_less_and_less_but_before_slurm_forgets(
    poller: Poller,
) -> None:
    polls = await pass_time(poller, 3600)
    assert 3600 / 150 - 2 <= polls <= 30


async def test_while_jobs_report_by_themselves_they_are_not_polled_for_a_long_time(
    poller: Poller, engine: AsyncEngine
) -> None:
    await pass_time(poller, 2)
    async with engine.begin() as tx:
        await tx.exec_driver_sql("UPDATE track.attempt SET started_at = now()")
    assert await pass_time(poller, 600) <= 1


async def test_without_work_nothing_is_polled(poller: Poller, engine: AsyncEngine) -> None:
    async with engine.begin() as tx:
        await tx.exec_driver_sql("UPDATE track.batch SET ended_at = now()")
    assert await pass_time(poller, 600) == 0


async def test_a_job_that_the_scheduler_has_not_begun_says_why(
    poller: Poller, engine: AsyncEngine
) -> None:
    await poller.poll()
    async with engine.connect() as tx:
        rows = await tx.execute(text("SELECT reason FROM track.job WHERE state = 'queued'"))
        assert list(rows.scalars()) == ["it waits in the queue of far: Resources"]


async def test_a_queue_of_which_a_line_is_cut_again_and_again_is_a_fault_of_the_site(
    poller: Poller,
) -> None:
    cluster = poller.state.cluster
    assert isinstance(cluster, Shown)
    cluster.unreadable = ("7|1|RUN",)
    await pass_time(poller, 200)
    assert "cannot be read: '7|1|RUN'" in poller.state.unanswered()
    cluster.unreadable = ()
    await pass_time(poller, 200)
    assert poller.state.unanswered() == ""
