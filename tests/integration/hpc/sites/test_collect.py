"""Result files as a site left them: whatever one holds, the others are applied."""

import json
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.ends import FREE_ENDS, of_job, of_runner
from hpc.protocol import LONGEST_PAUSE_S
from hpc.scheduler.slurm import Task
from hpc.scheduler.states import JobState
from hpc.sites.collect import collect_results, report
from tests.support.at_site import queue, start
from tests.support.world import World, new
from track.jobs.batches import read_batches
from track.jobs.batching import take_batches
from track.schema.database import transact

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
SAID = {"native_id": "n1", "nonce": "x"}


def message(attempt: int, **result: object) -> str:
    """What a runner writes when it could not call back."""
    body = SAID | {"result": {"details": result}}
    return json.dumps({"path": f"/attempts/{attempt}/complete", "body": body})


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("not JSON", "{"),
        ("nested too deeply", "[" * 100_000),
        ("not a message", "[1, 2]"),
        ("another path", '{"path": "/etc/passwd", "body": {}}'),
        ("a number too large", '{"path": "/attempts/99999999999999999999/fail", "body": {}}'),
        ("NUL in its text", ""),
    ],
)
async def test_one_that_cannot_be_read_is_set_aside_and_holds_up_no_other(
    engine: AsyncEngine, tmp_path: Path, case: str, text: str
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"), new("h"))
    first, second = [await queue(world, found) for found in await world.claim()]
    for attempt in (first, second):
        await start(world, attempt)
    broken = text or message(first, told="before\0after")
    (tmp_path / "1.json").write_text(broken, encoding="utf-8")
    (tmp_path / "2.json").write_text(message(second), encoding="utf-8")
    assert await collect_results(engine, tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.unreadable", "2.taken"], case
    assert await world.states("g") == {"load": "running"}
    assert await world.states("h") == {"load": "returned"}


@pytest.mark.parametrize(
    ("code", "outcome", "tries"),
    [
        (75, "lost", 0),
        (0, "lost", 0),
        (None, "lost", 0),
        (1, "failed", 1),
        (-9, "failed", 1),
        (143, "interrupted", 0),
        (-15, "interrupted", 0),
    ],
)
async def test_a_start_whose_answer_was_lost_uses_no_try(
    engine: AsyncEngine, code: int | None, outcome: str, tries: int
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    ((claim),) = await world.claim()
    attempt = await queue(world, claim)
    taken = await transact(engine, take_batches, "alpha", members=1, size=1)
    await start(world, attempt)
    (batch,) = await transact(engine, read_batches, taken)
    (member,) = batch.members
    found = of_runner(code, started=member.started)
    await transact(engine, report, attempt, found, actor="a", exit_code=code)
    assert await world.sql(
        "SELECT t.outcome, j.tries FROM track.attempt t JOIN track.job j ON j.id = t.job_id"
    ) == [(outcome, tries)]


@pytest.mark.parametrize(
    ("state", "before", "tries"),
    [
        (JobState.FAILED, FREE_ENDS - 1, 0),
        (JobState.FAILED, FREE_ENDS, 1),
        (JobState.PREEMPTED, 10 * FREE_ENDS, 0),
    ],
)
async def test_what_nobody_explains_has_a_bound_and_says_how_often_it_came(
    engine: AsyncEngine, state: JobState, before: int, tries: int
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    ((claim),) = await world.claim()
    attempt = await queue(world, claim)
    await start(world, attempt)
    await world.sql("UPDATE track.job SET pauses = :n", n=before)
    found = of_job(Task("7_0", "b1", state, "", exit_code=143), started=True)
    await transact(engine, report, attempt, found, actor="driver:alpha")
    ((used, reason, wait_s),) = await world.sql(
        "SELECT tries, reason, extract(epoch FROM available_at - now()) FROM track.job"
    )
    assert used == tries
    assert f"put off {before + 1} times in a row by now; it is tried again at" in str(reason)
    assert 1700 < float(str(wait_s)) <= LONGEST_PAUSE_S
