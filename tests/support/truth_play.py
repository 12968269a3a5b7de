"""One play of the property test: chaos, then honest work until everything has ended."""

import traceback

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.sites import Site
from tests.support.truth_clusters import Cluster, Post
from tests.support.truth_dispatchers import Dispatching
from tests.support.truth_invariants import check, history_replays
from tests.support.truth_people import Editor, Operator, Time, wake_all
from tests.support.truth_world import SITES, Truth
from tests.support.turns import Turns
from track import operations
from track.database import transact
from track.sites import load_sites
from track.states import ACCEPTED, State

QUIET = 4000
"""Turns that honest work may take to end everything; far more than it needs."""

SHOWN = 70


async def play(
    engine: AsyncEngine, database: str, *, seed: int, turns: int, racing: bool
) -> None:
    """Play a seed. Raises AssertionError, with the seed and what was done last, when a rule breaks."""
    truth = Truth(engine, Turns(seed, racing))
    try:
        await _play(truth, database, turns)
    except BaseException as error:
        last = "\n".join(truth.turns.trace[-SHOWN:])
        how = "in a race" if racing else "in turns"
        what = "".join(traceback.format_exception_only(error))
        error.add_note(f"seed {seed} {how}, after {len(truth.turns.trace)} steps: {what}\n{last}")
        raise


async def _play(truth: Truth, database: str, turns: int) -> None:
    await _sites(truth)
    await truth.setting()
    post = Post(truth)
    clusters = [Cluster(truth, post, site) for site in SITES]
    dispatchers = [Dispatching(truth, database, f"dispatcher {n}") for n in range(4)]
    operator, editor, time = Operator(truth), Editor(truth), Time(truth)

    async def holds() -> None:
        async with truth.engine.connect() as tx:
            await check(tx, truth, clusters)

    workers = {each.name: each.run for each in dispatchers}
    workers |= {cluster.site: cluster.run for cluster in clusters}
    workers |= {"post": post.run, "time": time.run}
    people = {"operator": operator.run, "editor": editor.run}
    chaos = {name: run() for name, run in (workers | people).items()}
    await truth.turns.play(chaos, turns=turns, check=holds)
    truth.calm = True
    await holds()
    await editor.load_alone("base")
    for _ in range(3):
        await _heal(truth)
        await _until_quiet(truth, {name: run() for name, run in workers.items()}, holds)
    async with truth.engine.connect() as tx:
        await check(tx, truth, clusters)
        await history_replays(tx)
    await _all_ended(truth)
