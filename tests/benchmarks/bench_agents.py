"""What agents ask again and again, with very many jobs in their site's queue and with few.

A claim reads about as many rows as it takes, so its time may not grow with what else waits. The
two take turns in two databases of one server, so that a busy machine slows both.
"""

import asyncio
import statistics
import time

from tests.benchmarks.rows import Row
from tests.support.clusters import temporary_cluster
from tests.support.long_queue import LongQueue, QueueAgent
from track.schema.database import make_engine
from track.schema.migrations import upgrade

MANY, FEW, ROUNDS, AGENTS, UNITS = 10_000, 100, 60, 4, 2


async def measure(*, quick: bool = False) -> list[Row]:
    """Median and p99 seconds of a claim by one of four agents that ask at once, and claims a
    second of all of them; the few that wait are always as few."""
    sizes, rounds = ((500, 50), 4) if quick else ((MANY, FEW), ROUNDS)
    sides: list[tuple[LongQueue, list[QueueAgent]]] = []
    spent = [0.0, 0.0]
    with temporary_cluster() as cluster:
        for size in sizes:
            name = f"bench_agents_{size}"
            cluster.ensure_database(name)
            upgrade(cluster.url(name))
            queue = await LongQueue.make(make_engine(cluster.url(name), pool=AGENTS))
            await queue.add(size)
            sides.append((queue, [await queue.agent(UNITS) for _ in range(AGENTS)]))
        for _ in range(rounds):
            for n, (queue, agents) in enumerate(sides):
                began = time.perf_counter()
                taken = await asyncio.gather(*(agent.claim() for agent in agents))
                spent[n] += time.perf_counter() - began
                for agent in agents:
                    await agent.finish(len(agent.holds))
                await queue.add(sum(map(len, taken)))
        for queue, _ in sides:
            await queue.world.engine.dispose()
    times = [[each for agent in agents for each in agent.seconds] for _, agents in sides]
    many, few = sizes
    what = f"{many:,} waiting ÷ {few:,}"
    return [
        Row(f"a claim of an agent, {what}", *map(statistics.median, times), 2.0),
        Row(f"p99 of the same, {what}", *(_p99(each) for each in times), 2.0),
        Row(f"seconds for a claim of each of four agents at once, {what}", *spent, 2.0),
    ]


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]
