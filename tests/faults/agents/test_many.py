"""Ten thousand jobs and four agents: none is taken twice, none starves, nobody takes too much."""

import asyncio
from itertools import chain

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.long_queue import LongQueue

MANY = 10_000


async def test_ten_thousand_are_taken_by_four_agents_once_each_and_heavy_ones_in_their_turn(
    engine: AsyncEngine,
) -> None:
    queue = await LongQueue.make(engine)
    await queue.add(MANY)
    heavy = await queue.heavy()
    assert len(heavy) == MANY // 100
    small = [await queue.agent(units) for units in (1, 2, 4)]
    large = await queue.agent(40)
    await asyncio.gather(*(each.take_all() for each in (*small, large)))
    # What it takes goes beyond what another holds locked just then; what is left comes now.
    await large.take_all()
    taken = [*chain.from_iterable(claim for each in (*small, large) for claim in each.claims)]
    assert len(taken) == len(set(taken)) == MANY
    assert not {*heavy} & {*chain.from_iterable(c for each in small for c in each.claims)}
    # It never took anything before the heavy one that was before it in the queue.
    for one in heavy:
        when = next(n for n, claim in enumerate(large.claims) if one in claim)
        before = chain.from_iterable(large.claims[:when])
        assert not [each for each in before if each > one], f"{one} was passed"
    assert all(len(each.claims) > 3 for each in (*small, large))
