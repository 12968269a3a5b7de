"""Sites that nobody drives, and modules that a site cannot run, on the real database."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc import protocol
from hpc.callers import RunnerCaller
from schemas.attempts import Fail
from schemas.sites import Site
from tests.support.at_site import WHO, complete, start
from tests.support.world import World, install_sites, new
from track.commands import operations
from track.commands.selection import CannotDo
from track.commands.site_health import (
    forget_lacks,
    leave,
    note_silence,
    recover,
    seen,
    wake_for_probes,
)
from track.jobs import verbs
from track.jobs.sites import NoSite, choose_site, load_sites
from track.schema.database import transact

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "ocr", "run": "module ocr"},
        {"key": "load", "run": "module load"},
        {"key": "bound", "run": "module clean", "on": ["first"]},
    ],
}
FAR = {
    "site": "first",
    "kind": "slurm",
    "root": "/r",
    "python": "/p",
    "block": "far",
    "callback": "http://h:1",
}
SITES = [
    Site.model_validate(FAR),
    Site.model_validate({"site": "second", "kind": "local", "root": "/tmp/elsewhere"}),
]
LACKS = Fail(
    native_id=WHO["native_id"],
    nonce=WHO["nonce"],
    fail_status="RETRY",
    message="python lacks rapidocr",
    exception="NotPrepared",
)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await transact(engine, install_sites, SITES)
    await made.register(new("g"), new("h"))
    return made


async def silent(world: World, *names: str, seconds: float = 300) -> None:
    await world.sql(
        "UPDATE track.site SET seen_at = now() - make_interval(secs => :s),"
        " expected_at = now() - make_interval(secs => :s) WHERE name = ANY(:names)",
        names=list(names),
        s=seconds,
    )


async def chosen(world: World, key: str, guid: str = "g") -> str | None:
    job_id = await world.job_id(guid, key)
    async with world.engine.connect() as tx:
        try:
            return await choose_site(tx, job_id)
        except NoSite:
            return None


async def queue(world: World, key: str, guid: str = "g") -> tuple[int, str]:
    """Claim a job and hand it over as its subflow would; the attempt and its site."""
    job_id = await world.job_id(guid, key)
    if job_id not in (claimed := [each.job_id for each in await world.claim(100, guid)]):
        ((state,),) = await world.sql("SELECT state FROM track.job WHERE id = :id", id=job_id)
        assert state == "claimed", (state, claimed)

    async def work(tx: AsyncConnection) -> tuple[int, str]:
        site = await choose_site(tx, job_id)
        who = world.dispatcher_id
        attempt = await verbs.enqueue_at_site(tx, job_id, site, dispatcher_id=who, actor="test")
        return attempt, site

    return await transact(world.engine, work)


async def lack(world: World, attempt: int, fence: int = 1) -> None:
    await start(world, attempt, fence)
    await transact(world.engine, protocol.fail, RunnerCaller(attempt, fence), LACKS)


async def told(world: World) -> list[str]:
    return await transact(world.engine, note_silence, actor="reconcile")


async def site(world: World, name: str = "first") -> dict[str, Any]:
    async with world.engine.connect() as tx:
        rows = await tx.execute(text("SELECT * FROM track.site WHERE name = :n"), {"n": name})
        return dict(rows.one()._mapping)


async def is_woken(world: World) -> bool:
    ((asked,),) = await world.sql("SELECT wake_requested_at IS NOT NULL FROM track.session")
    return bool(asked)


async def test_a_site_whose_driver_is_silent_gets_no_work_and_another_does(world: World) -> None:
    assert await chosen(world, "ocr") == "first"
    await silent(world, "first")
    assert await chosen(world, "ocr") == "second"
    await silent(world, "second")
    assert await world.claim() == []
    with pytest.raises(CannotDo, match="nobody drives site first"):
        async with world.engine.connect() as tx:
            await operations.open_site(tx, "first")


async def test_a_site_may_be_given_more_patience(world: World) -> None:
    patient = Site.model_validate({**FAR, "silent_after_s": 600})
    await transact(world.engine, load_sites, [patient, SITES[1]], actor="test")
    await silent(world, "first")
    assert await chosen(world, "ocr") == "first"


async def test_a_site_never_seen_gets_none_and_is_degraded_once_it_had_its_time(
    world: World,
) -> None:
    await world.sql("UPDATE track.site SET seen_at = NULL WHERE name = 'first'")
    assert await chosen(world, "ocr") == "second"
    assert await told(world) == []  # as at a fresh start
    await world.sql("UPDATE track.site SET expected_at = now() - interval '5 minutes'")
    (line,) = await told(world)
    assert "no driver was seen ever" in line
    assert "slurm-site/far" in line
    assert await told(world) == []


async def test_what_waits_at_a_silent_site_goes_elsewhere_or_says_why_it_waits(
    world: World,
) -> None:
    _, at = await queue(world, "ocr")
    _, bound_at = await queue(world, "bound")
    assert (at, bound_at) == ("first", "first")
    await silent(world, "first")
    lines = await told(world)
    assert [line.split(":")[0] for line in lines] == ["site first", "site first"]
    assert "1 queued jobs moved" in lines[1]
    rows = await world.sql(
        "SELECT s.key, t.site, j.tries, j.reason FROM track.job j"
        " JOIN track.attempt t ON t.id = j.attempt_id JOIN track.stage s ON s.id = j.stage_id"
        " WHERE j.state = 'queued' ORDER BY s.key DESC"
    )
    (_, moved_to, tries, _), (_, stayed_at, _, reason) = rows
    assert (moved_to, tries, stayed_at) == ("second", 0, "first")
    assert str(reason).startswith("it waits for site first: nobody drives it")
    events = await world.sql("SELECT event ->> 'event' FROM track.outbox")
    assert events == [("specimen.site.degraded",)]
    await transact(world.engine, recover, "first")
    key = "SELECT j.reason FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
    assert await world.sql(f"{key} WHERE s.key = 'bound' AND j.state = 'queued'") == [(None,)]


async def test_many_that_may_go_nowhere_hide_none_that_may(world: World) -> None:
    await queue(world, "bound")
    await queue(world, "ocr")
    await silent(world, "first")

    async def two_times(tx: AsyncConnection) -> list[int]:
        return [await leave(tx, "first", why="site first: silent", limit=1) for _ in range(2)]

    assert await transact(world.engine, two_times) == [1, 0]


async def test_a_driver_that_is_seen_again_wakes_what_waited(world: World) -> None:
    await silent(world, "first", "second")
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    await transact(world.engine, seen, "second")
    assert await is_woken(world)
    await world.sql("UPDATE track.session SET wake_requested_at = NULL")
    await transact(world.engine, seen, "second")
    assert not await is_woken(world)


async def test_a_job_of_a_site_that_lacks_its_library_goes_to_another_at_once(
    world: World,
) -> None:
    attempt, at = await queue(world, "ocr")
    assert at == "first"
    await queue(world, "ocr", "h")
    await lack(world, attempt)
    ((elsewhere,),) = await world.sql(
        "SELECT t.site FROM track.job j JOIN track.attempt t ON t.id = j.attempt_id"
        " WHERE j.asset_guid = 'h' AND j.state = 'queued'"
    )
    assert elsewhere == "second"
    _, at = await queue(world, "ocr")
    assert at == "second"
    assert await chosen(world, "load") == "first"
    found = await site(world)
    assert found["degraded"] is None
    assert found["lacks"]["ocr"]["why"] == "python lacks rapidocr"


async def only_first(world: World) -> None:
    await world.sql("UPDATE track.site SET open = false WHERE name <> 'first'")


async def pause_over(world: World) -> None:
    await world.sql(
        "UPDATE track.site SET lacks = jsonb_set(lacks, '{ocr,until}',"
        " to_jsonb(now() - interval '1 second')) WHERE lacks ? 'ocr'"
    )


async def test_after_a_growing_pause_one_job_tries_the_site_again(world: World) -> None:
    await only_first(world)
    attempt, _ = await queue(world, "ocr")
    await lack(world, attempt)
    pauses = []
    for n in (2, 3):
        assert await chosen(world, "ocr") is None
        await pause_over(world)
        attempt, _ = await queue(world, "ocr")
        assert await chosen(world, "ocr", "h") is None  # while the first is at it
        await lack(world, attempt, n)
        ((pause,),) = await world.sql(
            "SELECT CAST(extract(epoch FROM CAST(lacks -> 'ocr' ->> 'until' AS timestamptz)"
            " - now()) / 60 AS integer) FROM track.site WHERE name = 'first'"
        )
        pauses.append(pause)
    assert pauses == [10, 20]
    said = await world.sql("SELECT count(*) FROM track.history WHERE what = 'site.lacks'")
    assert said == [(1,)]


async def test_a_site_that_runs_the_module_again_gets_all_of_its_jobs(world: World) -> None:
    await only_first(world)
    attempt, _ = await queue(world, "ocr")
    await lack(world, attempt)
    await pause_over(world)
    attempt, _ = await queue(world, "ocr")
    await start(world, attempt, 2)
    await complete(world, attempt, fence=2)
    assert (await site(world))["lacks"] == {}
    assert await chosen(world, "ocr", "h") == "first"


@pytest.mark.parametrize("how", ["prepared", "pause"])
async def test_those_who_wait_for_a_module_are_woken(world: World, how: str) -> None:
    await only_first(world)
    await world.sql("UPDATE track.job SET state = 'excluded' WHERE asset_guid = 'h'")
    for key in ("load", "bound"):
        attempt, _ = await queue(world, key)
        await start(world, attempt)
        await complete(world, attempt)
    await world.sql("UPDATE track.job SET state = 'done' WHERE state = 'returned'")
    attempt, _ = await queue(world, "ocr")
    await lack(world, attempt)
    await world.sql(
        "UPDATE track.dispatcher SET ended_at = now()",
    )
    await world.sql("UPDATE track.session SET wake_requested_at = NULL")
    await transact(world.engine, wake_for_probes)
    assert not await is_woken(world)
    if how == "pause":
        await pause_over(world)
        await transact(world.engine, wake_for_probes)
    else:
        await transact(world.engine, forget_lacks, "first", actor="operator:ib")
    assert await is_woken(world)
