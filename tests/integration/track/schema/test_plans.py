"""A statement is planned once in a connection, and the connection that has planned most is used."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.world import World, new
from track.jobs.resolve import judge
from track.schema.database import make_engine, transact

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "a", "run": "module load"},
        {"key": "b", "run": "module ocr", "needs": "a"},
    ],
}
PLANS = text("""
    SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements
    WHERE statement LIKE '%job_id, j.state, own.archived_at%'
""")
MINE = text("SELECT pg_backend_pid()")


async def test_a_look_at_the_edges_of_a_few_jobs_is_planned_once(engine: AsyncEngine) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(*(new(f"g{n}") for n in range(20)))
    ids = [row["id"] for row in await world.rows("SELECT id FROM track.job ORDER BY id")]
    async with engine.connect() as tx:
        for n in range(12):
            await judge(tx, ids[n : n + 1 + n % 3])
        generic, custom = (await tx.execute(PLANS)).one()
    # Without it PostgreSQL plans each anew: it takes the list of one id for shorter than most.
    assert (generic, custom) == (11, 0)


async def test_a_connection_that_was_used_last_is_used_next(engine: AsyncEngine) -> None:
    async def mine(tx: AsyncConnection) -> int:
        return int((await tx.execute(MINE)).scalar_one())

    async with engine.connect() as one, engine.connect() as other:
        pids = {await mine(one), await mine(other)}
    used = {await transact(engine, mine) for _ in range(4)}
    assert len(pids) == 2 and len(used) == 1 and used < pids


async def test_what_an_address_asks_of_the_server_is_kept(database: str) -> None:
    engine = make_engine(f"{database}?options=-c%20statement_timeout%3D4321")
    async with engine.connect() as tx:
        asked = (await tx.execute(text("SHOW statement_timeout"))).scalar_one()
        mode = (await tx.execute(text("SHOW plan_cache_mode"))).scalar_one()
    await engine.dispose()
    assert (asked, mode) == ("4321ms", "force_generic_plan")


async def test_statistics_are_taken_after_so_many_changes_whatever_the_size_of_the_table(
    engine: AsyncEngine,
) -> None:
    options = text("""
        SELECT relname, reloptions FROM pg_class
        WHERE relnamespace = 'track'::regnamespace AND reloptions IS NOT NULL
    """)
    async with engine.connect() as tx:
        found = {row.relname: set(row.reloptions) for row in await tx.execute(options)}
    after = {"autovacuum_analyze_scale_factor=0", "autovacuum_analyze_threshold=5000"}
    assert found == dict.fromkeys(("job", "attempt", "asset"), after)
