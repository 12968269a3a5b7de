"""A newcomer's jobs begin as its pipeline says, without being judged one by one."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands.assets import NewAsset
from track.jobs.resolve import judge
from track.schema.database import transact


def stage(key: str, *needs: Any, **more: Any) -> dict[str, Any]:
    return {"key": key, "run": "module load", "needs": list(needs), **more}


MAKER = [
    stage("take"),
    stage("weigh"),
    stage("cut", "take", emits="C"),
    stage("join", {"stage": "sync", "of": "children"}),
    stage("last", "join", {"stage": "cut", "accept": ["done", "failed"]}),
]
MADE = [stage("begin"), stage("sync", "begin"), stage("after", {"stage": "take", "of": "parent"})]
LATTICE = [
    stage("look"),
    stage("stitch", "look", {"stage": "look", "of": {"z": -1}}),
    stage("end", "stitch"),
]
PIPELINES: tuple[dict[str, object], ...] = (
    {
        "pipeline": "P",
        "stages": MAKER,
        "exclude": [{"after": "weigh", "when": "asset_subject == 'x'", "stages": ["take", "cut"]}],
    },
    {"pipeline": "C", "stages": MADE},
    {"pipeline": "L", "stages": LATTICE},
)
MAKING = {"take": "ready", "weigh": "ready", "cut": "waiting", "join": "waiting", "last": "waiting"}


@pytest.mark.parametrize(
    ("assets", "states"),
    [
        ([new("g")], {"g": MAKING}),
        # An orphan's stage lacks its neighbour, and so does what needs that stage.
        ([new("o", "C")], {"o": {"begin": "ready", "sync": "waiting", "after": "absent"}}),
        ([new("l", "L")], {"l": {"look": "ready", "stitch": "absent", "end": "absent"}}),
        (
            [new("g"), new("c", "C", parent_guid="g")],
            {"g": MAKING, "c": {"begin": "ready", "sync": "waiting", "after": "waiting"}},
        ),
        (
            [new(f"l{z}", "L", x=0, y=0, z=z) for z in range(2)],
            {
                "l0": {"look": "ready", "stitch": "absent", "end": "absent"},
                "l1": {"look": "ready", "stitch": "waiting", "end": "waiting"},
            },
        ),
    ],
)
async def test_a_newcomer_stands_as_its_edges_ask(
    engine: AsyncEngine, assets: list[NewAsset], states: dict[str, dict[str, str]]
) -> None:
    world = await World.make(engine, *PIPELINES)
    await world.register(*assets)
    assert {guid: await world.states(guid) for guid in states} == states
    jobs = [int(str(row[0])) for row in await world.sql("SELECT id FROM track.job")]
    judged = await transact(engine, judge, jobs)
    assert [each for each in judged if each.wanted() is not None] == []


async def test_what_begins_as_ready_has_no_move_and_is_woken_for(engine: AsyncEngine) -> None:
    world = await World.make(engine, *PIPELINES)
    await world.sql("DELETE FROM track.dispatcher")
    await world.register(new("g"))
    assert await world.sql("SELECT what, new FROM track.history WHERE asset_guid = 'g'") == [
        ("asset.registered", "P")
    ]
    assert await world.sql("SELECT wake_requested_at IS NOT NULL FROM track.session") == [(True,)]


async def test_a_neighbour_that_comes_later_is_no_longer_missed(engine: AsyncEngine) -> None:
    world = await World.make(engine, *PIPELINES)
    await world.register(new("l1", "L", x=0, y=0, z=1))
    assert (await world.states("l1"))["stitch"] == "absent"
    await world.register(new("l0", "L", x=0, y=0, z=0))
    assert await world.states("l1") == {"look": "ready", "stitch": "waiting", "end": "waiting"}


async def test_a_page_takes_as_many_statements_as_one_specimen(engine: AsyncEngine) -> None:
    world = await World.make(engine, *PIPELINES)
    sent: list[str] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(*given: Any) -> None:
        sent.append(given[2])

    await world.register(new("one"))
    for_one = len(sent)
    await world.register(*(new(f"g{n}") for n in range(50)))
    assert len(sent) == 2 * for_one <= 20
