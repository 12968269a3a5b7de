"""How the front of a queue is shared out over an agent's free units."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.launchers import LAUNCHERS, UnitCost, Units
from track.jobs.agent_claims import QueuedAttempt, Share, shares

LIGHT, HEAVY = UnitCost(), UnitCost(process=18, scheduler=18)
SPLIT = UnitCost(process=18, scheduler=1)
COSTS = {"light": LIGHT, "heavy": HEAVY, "split": SPLIT}


def queue(*stages: str) -> list[QueuedAttempt]:
    """Attempts of these stages, numbered in their order."""
    return [QueuedAttempt(n, (len(stage), stage), COSTS[stage]) for n, stage in enumerate(stages)]


def shown(found: list[Share]) -> list[tuple[str, list[int]]]:
    return [(share.launcher, share.rows) for share in found]


def test_each_job_has_a_runner_of_its_own_while_units_are_free() -> None:
    found = shares(queue("light", "light", "light"), Units(process=4), 8, 100)
    assert shown(found) == [("process", [0]), ("process", [1]), ("process", [2])]


def test_more_than_there_are_units_for_are_spread_evenly() -> None:
    found = shares(queue(*["light"] * 7), Units(process=3), 2, 100)
    assert shown(found) == [("process", [0, 3]), ("process", [1, 4]), ("process", [2, 5])]


def test_the_cluster_takes_what_the_machine_itself_has_no_room_for() -> None:
    found = shares(queue(*["split"] * 5), Units(process=20, scheduler=3), 1, 2)
    assert shown(found) == [("process", [0]), ("scheduler", [1, 2]), ("scheduler", [3])]


def test_the_first_that_has_no_room_is_passed_by_nothing() -> None:
    found = shares(queue("light", "heavy", "light"), Units(process=10), 8, 100)
    assert shown(found) == [("process", [0])]


@given(
    st.lists(st.sampled_from(sorted(COSTS)), max_size=60),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 8),
    st.integers(1, 10),
)
def test_no_share_goes_beyond_the_room_and_what_is_taken_is_the_front_of_the_queue(
    stages: list[str], process: int, scheduler: int, each: int, max_array: int
) -> None:
    room = Units(process=process, scheduler=scheduler)
    found = shares(queue(*stages), room, each, max_array)
    taken = sorted(row for share in found for row in share.rows)
    assert taken == list(range(len(taken)))
    used = dict.fromkeys(LAUNCHERS, 0)
    for share in found:
        once = share.launcher == "process"
        used[share.launcher] += share.units * (1 if once else len(share.rows))
        assert len(share.rows) <= (each if once else max_array)
        assert {stages[row] for row in share.rows} == {share.like[1]}
    assert all(used[name] <= room.of(name) for name in LAUNCHERS)
    if len(taken) < len(stages):  # what was left had no room
        left, cost = room.less(Units(**used)), COSTS[stages[len(taken)]]
        assert all(cost.of(name) > left.of(name) for name in LAUNCHERS)
