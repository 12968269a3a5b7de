"""One play of the property test: chaos, then honest work until everything has ended."""

import traceback
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.sites import Site
from tests.faults.truth.agents import POOL, Agents
from tests.faults.truth.clusters import Cluster, Network
from tests.faults.truth.dispatchers import Dispatching
from tests.faults.truth.invariants import check, history_replays
from tests.faults.truth.people import Editor, Operator, Time, wake_all
from tests.faults.truth.scripts import LateScripts
from tests.faults.truth.silence import Silence
from tests.faults.truth.turns import Turns
from tests.faults.truth.world import BASE, SITES, Truth
from tests.support.world import edit, install_sites
from track.commands import operations
from track.commands.switches import set_attention
from track.jobs.outlook import outlook
from track.jobs.verbs import release_if_over
from track.schema.database import transact

QUIET = 40_000
"""Turns that honest work may take to end everything; far more than it needs."""

SHOWN = 70


async def play(engine: AsyncEngine, database: str, *, seed: int, turns: int, racing: bool) -> None:
    """Play a seed. Raises AssertionError, with seed and trace, when a rule breaks."""
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
    network = Network(truth)
    clusters = [Cluster(truth, network, site) for site in SITES]
    dispatchers = [Dispatching(truth, database, f"dispatcher {n}") for n in range(4)]
    workers = {each.name: each.run for each in dispatchers}
    workers |= {cluster.site: cluster.run for cluster in clusters}
    given: dict[int, str] = {}
    machines = [Agents(truth, network, f"machine {n}", given) for n in range(2)]
    workers |= {each.name: each.run for each in machines}
    workers |= {"network": network.run, "time": Time(truth).run, "silence": Silence(truth).run}
    people = {"operator": Operator(truth).run, "editor": Editor(truth).run}
    people |= {"scripts": LateScripts(truth).run}

    async def holds() -> None:
        async with snapshots(truth.engine).connect() as tx:
            await check(tx, truth, clusters)

    chaos = {name: run() for name, run in (workers | people).items()}
    await truth.turns.play(chaos, turns=turns, check=holds)
    truth.calm = True
    for _ in range(2):
        await _heal(truth)
        honest = {name: run() for name, run in workers.items()}
        quiet = _Quiet(truth, network)
        await truth.turns.play(honest, turns=QUIET, check=holds, every=10, over=quiet)
        assert await quiet(), "honest work does not come to an end"
    async with truth.engine.connect() as tx:
        await check(tx, truth, clusters)
        await history_replays(tx)
    left = await truth.sql(LEFT)
    assert left == [], f"these never ended: {left}"
    # A job whose neighbour is taken from it may be the last of its asset: reconcile sees that.
    await transact(truth.engine, release_if_over)
    counted = await truth.sql(COUNTED)
    assert counted == [], f"these ended and still count as in flight: {counted}"


LEFT = """
    SELECT j.id, j.asset_guid, s.key, j.state, j.reason FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id
    WHERE j.state NOT IN ('done', 'excluded', 'absent')
      AND NOT (s.archived_at IS NOT NULL AND j.state IN ('failed', 'cancelled'))
"""


COUNTED = """
    SELECT guid FROM track.asset
    WHERE parent_guid IS NULL AND admitted_at IS NOT NULL AND released_at IS NULL
"""


@dataclass
class _Quiet:
    """Whether nothing moves by itself any more, and nothing is under way."""

    truth: Truth
    network: Network

    async def __call__(self) -> bool:
        # One claimed between two statements would be seen by neither.
        async with snapshots(self.truth.engine).connect() as tx:
            seen = [await outlook(tx, session_id) for session_id in self.truth.sessions]
        return not self.network.messages and all(each.quiet for each in seen)


def snapshots(engine: AsyncEngine) -> AsyncEngine:
    """The engine, each of whose transactions sees one moment."""
    return engine.execution_options(isolation_level="REPEATABLE READ")


async def _sites(truth: Truth) -> None:
    sites = [Site.model_validate({"name": name, "kind": "local", "root": "/s"}) for name in SITES]
    # The first that is well is chosen: each seed has another one.
    sites.insert(truth.turns.seed % (len(SITES) + 1), POOL)
    await transact(truth.engine, install_sites, sites)
    async with truth.engine.begin() as tx:
        await wake_all(tx)


async def _heal(truth: Truth) -> None:
    """People put everything right: switches on, the first pipelines, every failure once more."""

    async def work(tx: AsyncConnection) -> None:
        held = await tx.execute(text("SELECT guid FROM track.asset WHERE attention IS NOT NULL"))
        for guid in list(held.scalars()):
            await set_attention(tx, guid, None, actor="operator")
        await tx.execute(text("UPDATE track.stage SET active = true"))
        await tx.execute(text("UPDATE track.pipeline SET active = true"))
        rows = await tx.execute(text(GAVE_UP))
        for job_id in list(rows.scalars()):
            await operations.resubmit(tx, job_id, actor="operator", why="once more")
        await wake_all(tx)

    await edit(truth.engine, *BASE)
    await transact(truth.engine, work)


GAVE_UP = """
    SELECT j.id FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    WHERE s.archived_at IS NULL AND j.state IN ('failed', 'cancelled') ORDER BY j.id
"""
