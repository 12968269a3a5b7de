"""Parked sessions: what they wait for is noted, and each is asked for when that has come."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.parked import Sessions
from track.commands import healing
from track.commands.switches import set_attention, set_priority, switch_pipeline
from track.jobs import verbs
from track.jobs.moves import Guard
from track.jobs.parking import crowded, wake_due
from track.schema.database import transact
from track.schema.states import State


@pytest.fixture
async def sessions(engine: AsyncEngine) -> Sessions:
    """One place in flight, and the session that has it."""
    return await Sessions.open(engine, assets_in_flight=1)


async def due(sessions: Sessions) -> list[UUID]:
    return await transact(sessions.engine, wake_due)


async def test_what_waits_for_room_parks_and_is_asked_for_once_there_is_room(
    sessions: Sessions,
) -> None:
    a = await sessions.add("a")
    b = await sessions.add("b")
    (first,) = await sessions.claim(a)
    assert await sessions.claim(b) == []
    seen = await sessions.park(b)
    assert (seen.may_park, seen.room, seen.ready) == (True, 1, 0)
    assert await due(sessions) == []
    await sessions.finish(a, first)
    assert await due(sessions) == [b]
    assert await due(sessions) == [], "it was asked for"


async def test_as_many_are_asked_for_as_the_room_serves_the_most_urgent_first(
    sessions: Sessions,
) -> None:
    a = await sessions.add("a")
    (first,) = await sessions.claim(a)
    held = [await sessions.add(f"b{n}") for n in range(4)]
    for each in held:
        await sessions.park(each)
    await transact(sessions.engine, set_priority, 5, session_id=held[2], actor="t")
    await sessions.finish(a, first)
    for expected in (held[2], held[0], held[1], held[3]):
        assert await due(sessions) == [expected]
        assert await due(sessions) == [], "what is free is not promised twice"
        (found,) = await sessions.claim(expected)
        await sessions.finish(expected, found)


async def test_room_that_whoever_was_asked_does_not_use_is_the_next_ones(
    sessions: Sessions,
) -> None:
    a = await sessions.add("a")
    (first,) = await sessions.claim(a)
    b, c = await sessions.add("b"), await sessions.add("c")
    for each in (b, c):
        await sessions.park(each)
    await sessions.finish(a, first)
    assert await due(sessions) == [b]
    await transact(sessions.engine, set_attention, "b", "look", actor="t")
    await sessions.park(b)  # its dispatcher came and found nothing to claim
    assert await due(sessions) == [c]


async def test_room_freed_between_the_last_look_and_the_release_is_not_missed(
    sessions: Sessions,
) -> None:
    a, b = await sessions.add("a"), await sessions.add("b")
    (first,) = await sessions.claim(a)
    await sessions.lease(b)
    assert (await sessions.outlook(b)).may_park
    await sessions.finish(a, first)
    await sessions.park(b)
    assert await sessions.asked(b)


async def test_what_may_run_later_is_asked_for_then_and_not_before(sessions: Sessions) -> None:
    a = await sessions.add("a")
    (found,) = await sessions.claim(a)
    await sessions.put_off(a, found, delay_s=3600)
    seen = await sessions.park(a)
    assert (seen.may_park, seen.later) == (True, 1)
    assert await due(sessions) == []
    await sessions.sql("UPDATE track.job SET available_at = now()")
    await sessions.sql("UPDATE track.session SET wake_at = now()")
    assert await due(sessions) == [a]


async def test_what_a_parked_session_is_to_do_later_is_noted_and_asks_for_nobody_yet(
    sessions: Sessions,
) -> None:
    a = await sessions.add("a")
    (found,) = await sessions.claim(a)
    await sessions.sql("UPDATE track.dispatcher SET ended_at = now()")
    guard = Guard(dispatcher_id=sessions.dispatchers[a])

    async def fails(tx: Any) -> State:
        return await verbs.try_again(
            tx, found.job_id, actor="driver", why="lost", uses_try=False, guard=guard, delay_s=60
        )

    await transact(sessions.engine, fails)
    assert not await sessions.asked(a)
    ((soon,),) = await sessions.sql("SELECT wake_at > now() FROM track.session")
    assert soon


async def test_reconcile_leaves_alone_what_is_rightly_parked(sessions: Sessions) -> None:
    a, b = await sessions.add("a"), await sessions.add("b")
    await sessions.claim(a)
    await sessions.park(b)
    await sessions.sql("UPDATE track.job SET updated_at = now() - interval '1 hour'")
    assert await sessions.neglected() == []
    # One that died before it could note anything is looked at, and parked.
    await sessions.sql("UPDATE track.session SET parked_at = NULL, room = NULL")
    assert await sessions.neglected() == [b]
    assert not await transact(sessions.engine, healing.request_dispatcher, b)
    assert await sessions.neglected() == []
    assert not await sessions.asked(b)


async def test_a_session_that_was_asked_for_in_vain_is_asked_for_again(sessions: Sessions) -> None:
    a, b = await sessions.add("a"), await sessions.add("b")
    (first,) = await sessions.claim(a)
    await sessions.park(b)
    await sessions.finish(a, first)
    assert await due(sessions) == [b]
    await sessions.sql(
        "UPDATE track.session SET wake_requested_at = now() - interval '1 hour'"
        " WHERE wake_requested_at IS NOT NULL"
    )
    assert await transact(sessions.engine, crowded)
    assert await sessions.neglected() == [b]
    assert await transact(sessions.engine, healing.request_dispatcher, b)
    assert await sessions.neglected() == []


async def test_a_switch_asks_only_for_those_that_there_is_room_for(sessions: Sessions) -> None:
    held = [await sessions.add(f"b{n}") for n in range(3)]

    async def switch(on: bool) -> None:
        await transact(sessions.engine, switch_pipeline, "P", on, actor="t")

    await switch(False)
    for each in held:
        await sessions.park(each)
    assert await due(sessions) == []
    await switch(True)
    assert [await sessions.asked(each) for each in held] == [True, False, False]


async def test_a_larger_throttle_is_noticed_without_an_event(sessions: Sessions) -> None:
    a, b = await sessions.add("a"), await sessions.add("b")
    await sessions.claim(a)
    await sessions.park(b)
    assert await due(sessions) == []
    await sessions.throttle(assets_in_flight=2)
    assert await due(sessions) == [b]


async def test_megabytes_are_room_too(engine: AsyncEngine) -> None:
    sessions = await Sessions.open(engine, new_assets_mb=300)
    a, b = await sessions.add("a", size_mb=200), await sessions.add("b", size_mb=150)
    c = await sessions.add("c", size_mb=100)
    await sessions.claim(a)
    for each in (b, c):
        await sessions.park(each)
    assert [await sessions.asked(each) for each in (b, c)] == [False, True]


async def test_a_session_of_many_takes_all_the_room_it_can_use(engine: AsyncEngine) -> None:
    sessions = await Sessions.open(engine, assets_in_flight=3)
    a = await sessions.add("a1", "a2", "a3")
    claims = await sessions.claim(a)
    b, c = await sessions.add("b1", "b2", "b3"), await sessions.add("c")
    for each in (b, c):
        await sessions.park(each)
    for found in claims:
        await sessions.finish(a, found)
    assert await due(sessions) == [b]
