"""Random interleavings of everybody who touches the truth, and what must hold all along.

`REFINERY_SEEDS=N` plays seeds 1 to N, `REFINERY_SEED=K` plays one. A failing seed is in the
test's name, and plays the same again in turns; in a race it only repeats the choices.
"""

import os

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.faults.truth.play import play

ONE = os.environ.get("REFINERY_SEED")
SEEDS = int(os.environ.get("REFINERY_SEEDS", "3"))
TURNS = 300


def seeds(share: int = 1) -> list[int]:
    return [int(ONE)] if ONE else list(range(1, 1 + max(1, SEEDS // share)))


@pytest.mark.parametrize("seed", seeds())
async def test_in_turns(engine: AsyncEngine, database: str, seed: int) -> None:
    await play(engine, database, seed=seed, turns=TURNS, racing=False)


@pytest.mark.parametrize("seed", seeds(share=2))
async def test_in_a_race(engine: AsyncEngine, database: str, seed: int) -> None:
    await play(engine, database, seed=seed, turns=3 * TURNS, racing=True)
