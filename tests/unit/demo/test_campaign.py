"""A campaign's schedule: drawn from its seed, in order, and only of what can be done."""

import random

import pytest

from demo.ars.faults import Rule
from demo.campaign import ARCHIVE, KILLS, MOST_STRIKES, WINDOW_S, Score, schedule


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_strikes_the_same_in_the_same_order(seed: int) -> None:
    strikes = schedule(random.Random(seed))
    assert strikes == schedule(random.Random(seed)) == sorted(strikes)
    assert 1 <= len(strikes) <= MOST_STRIKES
    assert all(0 < strike.at_s <= WINDOW_S for strike in strikes)


def test_every_fault_comes_up() -> None:
    drawn = {strike.what for seed in range(500) for strike in schedule(random.Random(seed))}
    assert drawn == {f"kill {name}" for name in KILLS} | {f"archive: {name}" for name in ARCHIVE}


@pytest.mark.parametrize("name", ARCHIVE)
def test_the_stand_in_understands_every_fault_of_the_archive(name: str) -> None:
    assert Rule.model_validate(ARCHIVE[name]).count


def test_a_score_adds_up_and_is_clean_only_without_harm() -> None:
    total = Score(strikes=["kill worker"])
    assert total.clean
    total.add(Score(strikes=["kill sites"], stuck=["g"]))
    assert str(total) == "strikes 2, duplicates 0, losses 0, stuck 1"
    assert not total.clean
