"""Parked sessions: what they wait for is noted, and each is asked for when that has come."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.parked import Museum
from track.commands import healing
from track.commands.switches import set_attention, set_priority, switch_pipeline
from track.jobs import verbs
from track.jobs.moves import Guard
from track.jobs.parking import crowded, wake_due
from track.schema.database import transact
from track.schema.states import State


@pytest.fixture
async def museum(engine: AsyncEngine) -> Museum:
    """One place in flight, and the session that has it."""
    return await Museum.open(engine, assets_in_flight=1)


async def due(museum: Museum) -> list[UUID]:
    return await transact(museum.engine, wake_due)


async def test_what_waits_for_room_parks_and_is_asked_for_once_there_is_room(
    museum: Museum,
) -> None:
    a = await museum.session("a")
    b = await museum.session("b")
    (first,) = await museum.claim(a)
    assert await museum.claim(b) == []
    seen = await museum.park(b)
    assert (seen.may_park, seen.room, seen.ready) == (True, 1, 0)
    assert await due(museum) == []
    await museum.finish(a, first)
    assert await due(museum) == [b]
    assert await due(museum) == [], "it was asked for"


async def test_as_many_are_asked_for_as_the_room_serves_the_most_urgent_first(
    museum: Museum,
) -> None:
    a = await museum.session("a")
    (first,) = await museum.claim(a)
    held = [await museum.session(f"b{n}") for n in range(4)]
    for each in held:
        await museum.park(each)
    await transact(museum.engine, set_priority, 5, session_id=held[2], actor="t")
    await museum.finish(a, first)
    for expected in (held[2], held[0], held[1], held[3]):
        assert await due(museum) == [expected]
        assert await due(museum) == [], "what is free is not promised twice"
        (found,) = await museum.claim(expected)
        await museum.finish(expected, found)


async def test_room_that_whoever_was_asked_does_not_use_is_the_next_ones(museum: Museum) -> None:
    a = await museum.session("a")
    (first,) = await museum.claim(a)
    b, c = await museum.session("b"), await museum.session("c")
    for each in (b, c):
        await museum.park(each)
    await museum.finish(a, first)
    assert await due(museum) == [b]
    await transact(museum.engine, set_attention, "b", "look", actor="t")
    await museum.park(b)  # its dispatcher came and found nothing to claim
    assert await due(museum) == [c]


async def test_room_freed_between_the_last_look_and_the_release_is_not_missed(
    museum: Museum,
) -> None:
    a, b = await museum.session("a"), await museum.session("b")
    (first,) = await museum.claim(a)
    await museum.lease(b)
    assert (await museum.outlook(b)).may_park
    await museum.finish(a, first)
    await museum.park(b)
    assert await museum.asked(b)


async def test_what_may_run_later_is_asked_for_then_and_not_before(museum: Museum) -> None:
    a = await museum.session("a")
    (found,) = await museum.claim(a)
    await museum.put_off(a, found, delay_s=3600)
    seen = await museum.park(a)
    assert (seen.may_park, seen.later) == (True, 1)
    assert await due(museum) == []
    await museum.sql("UPDATE track.job SET available_at = now()")
    await museum.sql("UPDATE track.session SET wake_at = now()")
    assert await due(museum) == [a]


async def test_what_a_parked_session_is_to_do_later_is_noted_and_asks_for_nobody_yet(
    museum: Museum,
) -> None:
    a = await museum.session("a")
    (found,) = await museum.claim(a)
    await museum.sql("UPDATE track.dispatcher SET ended_at = now()")
    guard = Guard(dispatcher_id=museum.dispatchers[a])

    async def fails(tx: Any) -> State:
        return await verbs.try_again(
            tx, found.job_id, actor="driver", why="lost", uses_try=False, guard=guard, delay_s=60
        )

    await transact(museum.engine, fails)
    assert not await museum.asked(a)
    ((soon,),) = await museum.sql("SELECT wake_at > now() FROM track.session")
    assert soon


async def test_reconcile_leaves_alone_what_is_rightly_parked(museum: Museum) -> None:
    a, b = await museum.session("a"), await museum.session("b")
    await museum.claim(a)
    await museum.park(b)
    await museum.sql("UPDATE track.job SET updated_at = now() - interval '1 hour'")
    assert await museum.neglected() == []
    # One that died before it could note anything is looked at, and parked.
    await museum.sql("UPDATE track.session SET parked_at = NULL, room = NULL")
    assert await museum.neglected() == [b]
    assert not await transact(museum.engine, healing.request_dispatcher, b)
    assert await museum.neglected() == []
    assert not await museum.asked(b)


async def test_a_session_that_was_asked_for_in_vain_is_asked_for_again(museum: Museum) -> None:
    a, b = await museum.session("a"), await museum.session("b")
    (first,) = await museum.claim(a)
    await museum.park(b)
    await museum.finish(a, first)
    assert await due(museum) == [b]
    await museum.sql(
        "UPDATE track.session SET wake_requested_at = now() - interval '1 hour'"
        " WHERE wake_requested_at IS NOT NULL"
    )
    assert await transact(museum.engine, crowded)
    assert await museum.neglected() == [b]
    assert await transact(museum.engine, healing.request_dispatcher, b)
    assert await museum.neglected() == []


async def test_a_switch_asks_only_for_those_that_there_is_room_for(museum: Museum) -> None:
    held = [await museum.session(f"b{n}") for n in range(3)]

    async def switch(on: bool) -> None:
        await transact(museum.engine, switch_pipeline, "P", on, actor="t")

    await switch(False)
    for each in held:
        await museum.park(each)
    assert await due(museum) == []
    await switch(True)
    assert [await museum.asked(each) for each in held] == [True, False, False]


async def test_a_larger_throttle_is_noticed_without_a_word(museum: Museum) -> None:
    a, b = await museum.session("a"), await museum.session("b")
    await museum.claim(a)
    await museum.park(b)
    assert await due(museum) == []
    await museum.throttle(assets_in_flight=2)
    assert await due(museum) == [b]


async def test_megabytes_are_room_too(engine: AsyncEngine) -> None:
    museum = await Museum.open(engine, new_assets_mb=300)
    a, b = await museum.session("a", size_mb=200), await museum.session("b", size_mb=150)
    c = await museum.session("c", size_mb=100)
    await museum.claim(a)
    for each in (b, c):
        await museum.park(each)
    assert [await museum.asked(each) for each in (b, c)] == [False, True]


async def test_a_session_of_many_takes_all_the_room_it_can_use(engine: AsyncEngine) -> None:
    museum = await Museum.open(engine, assets_in_flight=3)
    a = await museum.session("a1", "a2", "a3")
    claims = await museum.claim(a)
    b, c = await museum.session("b1", "b2", "b3"), await museum.session("c")
    for each in (b, c):
        await museum.park(each)
    for found in claims:
        await museum.finish(a, found)
    assert await due(museum) == [b]
