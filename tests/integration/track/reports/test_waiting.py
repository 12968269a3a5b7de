"""Why a job does not move, each case as it comes about on the real database."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.world import World, new
from track.commands import switches
from track.commands.operations import cancel
from track.commands.site_health import degrade
from track.jobs import verbs
from track.jobs.moves import Guard
from track.reports import waiting
from track.reports.progress import session_progress
from track.reports.waiting_words import Kind, Waits
from track.schema.database import transact
from track.schema.states import State

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "throttle": {"assets_in_flight": 2},
    "stages": [
        {"key": "load", "run": "module load", "resources": {"time": "00:10"}},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
        {"key": "derive", "run": "module derive", "needs": "ocr", "emits": "D"},
        {
            "key": "clean",
            "run": "module clean",
            "needs": ["derive", {"stage": "made", "of": "children"}],
        },
    ],
}
CHILDREN = {
    "pipeline": "D",
    "stages": [
        {"key": "made", "run": "refinery.create", "needs": {"stage": "derive", "of": "parent"}},
        {"key": "sent", "run": "module upload", "needs": "made"},
    ],
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE, CHILDREN)
    await made.register(new("g"))
    return made


async def why(world: World, key: str, guid: str = "g") -> Waits:
    """What is said of one stage; the same whether it is asked for alone or with all others."""
    job_id = await world.job_id(guid, key)

    async def ask(tx: AsyncConnection) -> list[Waits]:
        return await waiting.reasons(tx, [job_id])

    (found,) = await transact(world.engine, ask)
    everywhere = await transact(world.engine, waiting.anywhere)
    if found.state not in ("waiting", "absent"):
        assert found in everywhere
    return found


async def queue(world: World, key: str = "load") -> int:
    """Hand a stage of `g` to its site; the attempt's id."""
    (found,) = await world.claim(guid="g")
    assert found.stage == key

    async def work(tx: AsyncConnection) -> int:
        return await verbs.enqueue_at_site(
            tx, found.job_id, "here", dispatcher_id=world.dispatcher_id, actor="test"
        )

    return await transact(world.engine, work)


async def run(world: World) -> int:
    attempt = await queue(world)
    await world.sql(
        "UPDATE track.attempt SET started_by = 'pid 7', external_id = '12_3', started_at = now()"
    )
    await world.sql("UPDATE track.job SET state = 'running' WHERE attempt_id = :id", id=attempt)
    return attempt


async def switch(world: World, verb: object, *given: object) -> None:
    await transact(world.engine, verb, *given, actor="test")  # type: ignore[operator]


async def test_a_waiting_job_names_the_stage_that_is_not_accepted(world: World) -> None:
    found = await why(world, "ocr")
    assert (found.kind, found.reason) == (Kind.UPSTREAM, "waits for load of itself, which is ready")
    (claim,) = await world.claim()

    async def fails(tx: AsyncConnection) -> None:
        await verbs.end(tx, claim.job_id, State.FAILED, actor="test", why="too dark")

    await transact(world.engine, fails)
    assert (await why(world, "ocr")).reason == "waits for load of itself, which failed"
    decides = await why(world, "load")
    assert decides.kind == Kind.PERSON
    assert decides.reason == "too dark; a person decides: operate/resubmit or operate/skip"


async def test_a_join_says_how_many_children_are_awaited_and_which_stopped(world: World) -> None:
    said = "waits until it is known how many children it has, each to pass made"
    assert said in (await why(world, "clean")).reason
    await world.register(*(new(f"g_{n}", "D", parent_guid="g") for n in (1, 2, 3)))
    await world.sql(
        "UPDATE track.job SET declared = 3 WHERE id = :id", id=await world.job_id("g", "derive")
    )
    ids = [await world.job_id(f"g_{n}", "made") for n in (1, 2)]
    await world.sql("UPDATE track.job SET state = 'done' WHERE id = :id", id=ids[0])
    await world.sql("UPDATE track.job SET state = 'failed' WHERE id = :id", id=ids[1])
    said = "waits for made of 2 of 3 children; g_2 failed"
    assert said in (await why(world, "clean")).reason
    of_parent = await why(world, "made", "g_3")
    assert of_parent.reason == "waits for derive of its parent g, which is waiting"


async def test_attention_is_shown_with_its_text_and_holds_the_derivatives_too(world: World) -> None:
    await world.register(new("g_1", "D", parent_guid="g"))
    await world.sql("UPDATE track.job SET state = 'ready' WHERE asset_guid = 'g_1'")
    await switch(world, switches.set_attention, "g", "the label is blurred")
    found, child = await why(world, "load"), await why(world, "made", "g_1")
    assert found.kind == child.kind == Kind.ATTENTION
    assert "needs a person: the label is blurred" in found.reason
    assert "(its parent g): the label is blurred; operate/attention g" in child.reason


async def test_switches_are_named(world: World) -> None:
    await switch(world, switches.switch_stage, "load", "P", False)
    found = await why(world, "load")
    assert found.kind == Kind.SWITCH and "stage load of P is switched off" in found.reason
    await switch(world, switches.switch_pipeline, "P", False)
    assert "pipeline P is switched off" in (await why(world, "load")).reason


async def test_of_every_site_the_reason_is_given_why_it_takes_nothing(world: World) -> None:
    await transact(world.engine, degrade, "here", "its disk is full")
    found = await why(world, "load")
    assert found.kind == Kind.SITE
    assert found.reason == "no open site may take it: here is degraded: its disk is full"
    await switch(world, switches.switch_site, "here", False)
    assert (await why(world, "load")).reason == "no open site may take it: here is switched off"
    await world.sql("""UPDATE track.stage SET sites = '["moon"]'""")
    assert "stage load names do not exist" in (await why(world, "load")).reason


async def test_a_backoff_says_its_cause_and_its_end(world: World) -> None:
    (claim,) = await world.claim()
    guard = Guard(dispatcher_id=world.dispatcher_id)

    async def later(tx: AsyncConnection) -> None:
        await verbs.try_again(
            tx, claim.job_id, actor="test", why="ARS answers 504", uses_try=False, guard=guard,
            delay_s=600,
        )  # fmt: skip

    await transact(world.engine, later)
    found = await why(world, "load")
    assert (found.kind, found.reason) == (Kind.BACKOFF, "is tried again later: ARS answers 504")
    assert found.until is not None and found.until > datetime.now(UTC) + timedelta(minutes=5)


async def test_a_full_throttle_says_its_numbers_and_how_many_of_them_need_a_person(
    world: World,
) -> None:
    await world.register(new("h"), new("i"))
    assert len(await world.claim()) == 2
    await switch(world, switches.set_attention, "g", "blurred")
    found = await why(world, "load", "i")
    assert found.kind == Kind.ROOM
    assert found.reason == (
        "waits for room: 2 of 2 specimens of P are in flight; 1 specimens inside need a person"
        " (attention, failed): see refinery why"
    )
    assert await world.claim() == []


async def test_a_throttle_of_megabytes_says_what_is_needed(world: World) -> None:
    await world.sql("""UPDATE track.pipeline SET throttle = '{"open_shares_mb": 100}'""")
    await world.register(new("h", size_mb=90), new("i", size_mb=40))
    await world.claim(guid="h")
    found = await why(world, "load", "i")
    assert found.reason.startswith("waits for room: 90 of 100 MB of shares of P are open or")
    assert found.reason.endswith("and it needs 40")


async def test_a_session_without_dispatcher_is_shown_and_else_it_is_taken_in_its_turn(
    world: World,
) -> None:
    assert (await why(world, "load")).kind == Kind.TURN
    await world.claim()
    assert (await why(world, "load")).kind == Kind.WORK
    await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '1 hour'")
    found = await why(world, "load")
    assert found.kind == Kind.DISPATCHER and "its dispatcher has ended" in found.reason
    await world.register(new("h"))
    assert "no dispatcher is at its session" in (await why(world, "load", "h")).reason


async def test_what_a_site_was_not_sent_yet_says_whether_it_waits_for_room(world: World) -> None:
    await queue(world)
    found = await why(world, "load")
    assert (found.kind, found.reason) == (Kind.QUEUE, "waits to be sent to here")
    await world.register(new("h"))
    (other,) = await world.claim(guid="h")

    async def there(tx: AsyncConnection) -> None:
        attempt = await verbs.enqueue_at_site(
            tx, other.job_id, "here", dispatcher_id=world.dispatcher_id, actor="test"
        )
        await tx.execute(BATCH, {"attempt": attempt})
        await tx.execute(IN_IT)

    await transact(world.engine, there)
    await world.sql("""UPDATE track.site SET definition = definition || '{"capacity": 1}'""")
    assert (await why(world, "load")).reason == "waits for room at here: 1 of 1 jobs are there"
    sent = await why(world, "load", "h")
    assert sent.reason == "is being sent to here as b1; not confirmed yet"
    await world.sql("UPDATE track.batch SET state = 'submitted', external_id = '44'")
    await world.sql("UPDATE track.attempt SET external_id = '44_0' WHERE batch_id IS NOT NULL")
    await world.sql("UPDATE track.job SET reason = 'QOSMaxJobs' WHERE asset_guid = 'h'")
    await transact(world.engine, degrade, "here", "no answer")
    assert (await why(world, "load", "h")).reason == (
        "waits in the queue of here as 44_0: QOSMaxJobs; here is degraded: no answer"
    )


BATCH = text("""
    INSERT INTO track.batch (key, site, stage_id, members)
    SELECT 'b1', 'here', j.stage_id, ARRAY[t.id]
      FROM track.attempt t JOIN track.job j ON j.id = t.job_id WHERE t.id = :attempt
""")
IN_IT = text(
    "UPDATE track.attempt t SET batch_id = b.id, member = 0 FROM track.batch b"
    " WHERE t.id = ANY(b.members)"
)


async def test_what_runs_longer_than_it_asked_for_is_overdue(world: World) -> None:
    attempt = await run(world)
    assert (await why(world, "load")).kind == Kind.RUNNING
    await world.sql("UPDATE track.attempt SET started_at = now() - interval '22 minutes'")
    assert (await why(world, "load")).kind == Kind.RUNNING  # ten, a quarter of it, and ten more
    await world.sql("UPDATE track.attempt SET started_at = now() - interval '23 minutes'")
    found = await why(world, "load")
    assert found.kind == Kind.OVERDUE and "look there for 12_3" in found.reason
    job_id = await world.job_id("g", "load")
    await transact(world.engine, cancel, job_id, actor="test", why="")
    assert (await why(world, "load")).kind == Kind.CANCEL
    assert attempt


async def test_what_came_back_says_what_is_left_to_do(world: World) -> None:
    attempt = await run(world)
    await world.sql("UPDATE track.job SET state = 'returned' WHERE attempt_id = :id", id=attempt)
    assert "last steps (metadata to the archive)" in (await why(world, "load")).reason
    await world.sql(
        """UPDATE track.attempt SET outcome = 'done', result = '{"outputs": [{"path": "a"}]}'"""
    )
    found = await why(world, "load")
    assert (found.kind, found.reason) == (Kind.OUTPUTS, "its files are to be brought from here")


async def test_a_sessions_table_gives_the_reason_of_the_stage_that_stands(world: World) -> None:
    await world.register(new("h"), new("i"))
    await world.claim()
    async with world.engine.connect() as connection:
        rows = {row["guid"]: row for row in await session_progress(connection, world.session_id)}
    assert rows["g"]["stages"][0]["reason"] is None  # it moves
    assert "2 of 2 specimens" in rows["i"]["stages"][0]["reason"]
    assert rows["i"]["stages"][1]["reason"] is None  # the stage before it says it


async def test_a_sessions_table_says_what_a_specimen_waits_for_of_which_nothing_else_is_left(
    world: World,
) -> None:
    (claim,) = await world.claim()

    async def fails(tx: AsyncConnection) -> None:
        await verbs.end(tx, claim.job_id, State.FAILED, actor="test", why="too dark")

    await transact(world.engine, fails)
    async with world.engine.connect() as connection:
        (row,) = await session_progress(connection, world.session_id)
    reasons = [stage["reason"] for stage in row["stages"]]
    assert reasons == ["too dark", "waits for load of itself, which failed", None, None]


async def test_an_asset_and_a_session_can_be_asked_about(world: World) -> None:
    await world.register(new("g_1", "D", parent_guid="g"))
    of_asset = await transact(world.engine, waiting.of_asset, "g")
    assert {(each.guid, each.stage) for each in of_asset} >= {("g", "load"), ("g_1", "made")}
    session = world.session_id
    of_session = await transact(world.engine, waiting.of_session, session)
    assert [(each.guid, each.stage) for each in of_session] == [("g", "load")]
