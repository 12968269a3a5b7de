"""Rules of retention on the real database: which one counts, and what a changed one moves."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.jobs.endings import note_ends
from track.records import retention_rules as rules
from track.records.retention_rules import Effect, RetentionRule
from track.schema.database import transact

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DUE = """
    SELECT r.asset_guid, r.kind, round(extract(epoch FROM r.due_at - a.finalised_at) / 3600)::int,
           r.requires
    FROM track.retention r JOIN track.asset a ON a.guid = r.asset_guid ORDER BY 1, 2
"""


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """An asset of each of two pipelines, of 3 GB each, with an original and a copy of ours."""
    stage = {"key": "load", "run": "module load"}
    made = await World.make(engine, *({"pipeline": name, "stages": [stage]} for name in ("P", "Q")))
    where = {"source_path": "/n/f", "size_mb": 3000}
    await made.register(new("p", **where), new("q", "Q", **where))
    await made.sql("UPDATE track.asset SET local_path = '/s/' || guid")
    return made


async def end(world: World, *guids: str) -> None:
    await transact(world.engine, note_ends, guids)


async def write(world: World, rule: RetentionRule) -> Effect:
    """What a rule moves, written and carried out."""
    moves = await transact(world.engine, rules.effect, rule)
    await transact(world.engine, rules.write_rule, rule)
    ids = await transact(world.engine, rules.moved_by, rule)
    await transact(world.engine, rules.move_copies, rule, ids)
    assert await transact(world.engine, rules.moved_by, rule) == []
    return moves


async def test_without_a_rule_what_we_come_with_counts(world: World) -> None:
    await end(world, "p")
    assert await world.sql(DUE) == [("p", "ndrive", 168, ["erda"]), ("p", "store", 24, ["erda"])]
    shown = await transact(world.engine, rules.read_rules)
    assert [str(rule) for rule in shown] == [
        "7 d, once in erda", "1 h, once in erda", "1 d, once in erda",
    ]  # fmt: skip


async def test_a_rule_counts_for_what_ends_and_a_pipelines_own_before_it(world: World) -> None:
    await write(world, RetentionRule("ndrive", None, 2 * DAY, ("erda", "tape")))
    await write(world, RetentionRule("ndrive", "Q", 3 * DAY))
    await end(world, "p", "q")
    assert [row for row in await world.sql(DUE) if row[1] == "ndrive"] == [
        ("p", "ndrive", 48, ["erda", "tape"]),
        ("q", "ndrive", 72, ["erda"]),
    ]
    await transact(world.engine, rules.forget_rule, "ndrive", "Q")
    assert await transact(world.engine, rules.rule_for, "ndrive", "Q") == RetentionRule(
        "ndrive", "Q", 2 * DAY, ("erda", "tape")
    )


async def test_what_stands_is_moved_and_what_has_its_own_rule_is_not(world: World) -> None:
    await end(world, "p", "q")
    await write(world, RetentionRule("ndrive", "Q", 7 * DAY))
    assert await write(world, RetentionRule("ndrive", None, 30 * DAY)) == Effect(1, 0, 0, 1, 3000)
    assert await write(world, RetentionRule("store", None, timedelta())) == Effect(0, 2, 2, 2, 6000)
    hours = {(guid, kind): hours for guid, kind, hours, _ in await world.sql(DUE)}
    assert hours == {
        ("p", "ndrive"): 720, ("q", "ndrive"): 168, ("p", "store"): 0, ("q", "store"): 0,
    }  # fmt: skip
    assert await write(world, RetentionRule("store", None, HOUR)) == Effect(2, 0, 0, 2, 6000)


async def test_what_had_its_time_and_is_tried_again_later_is_not_hurried(world: World) -> None:
    await end(world, "p")
    await world.sql("UPDATE track.asset SET finalised_at = finalised_at - interval '9 days'")
    await world.sql("UPDATE track.retention SET outcome = 'unproven', due_at = now() + '6 hours'")
    assert (await write(world, RetentionRule("ndrive", None, 8 * DAY))).copies == 0
    assert (await write(world, RetentionRule("ndrive", None, 10 * DAY))).later == 1


async def test_copies_that_are_gone_and_assets_that_go_on_are_left_alone(world: World) -> None:
    await end(world, "p", "q")
    await world.sql("UPDATE track.retention SET done_at = now() WHERE asset_guid = 'p'")
    await world.sql("UPDATE track.asset SET finalised_at = NULL WHERE guid = 'q'")
    assert (await write(world, RetentionRule("ndrive", None, DAY))).copies == 0


async def test_what_must_exist_changes_alone_and_is_never_nothing(world: World) -> None:
    await end(world, "p")
    assert await write(world, RetentionRule("store", None, DAY, ("tape",))) == Effect(
        0, 0, 0, 1, 3000
    )
    assert ("p", "store", 24, ["tape"]) in await world.sql(DUE)
    with pytest.raises(Exception, match="retention_rule_requires"):
        await write(world, RetentionRule("store", None, DAY, ()))
