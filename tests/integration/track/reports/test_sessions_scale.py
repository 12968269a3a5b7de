"""A page of the list of sessions reads its own sessions, however many there ever were."""

from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.integration.track.reports.test_scale import rows_read
from tests.support.filled import Ask, Filled
from track.reports.sessions import (
    SCANNED,
    SessionFilter,
    SessionState,
    known_workstations,
    list_sessions,
)

OLDER = """
    INSERT INTO track.session (path, opened_as, listing_hash, workstation, opened_at,
                               registered_at, finished_at)
    SELECT '/old/' || n, '/old/' || n, 'h', 'W', now() - interval '1 year' - n * interval '1 min',
           now(), now() FROM generate_series(CAST(:first AS bigint), :last) n
"""
SLACK = 300

ASKED: dict[str, Ask] = {
    "all": partial(list_sessions, wanted=SessionFilter()),
    "of a workstation": partial(list_sessions, wanted=SessionFilter(workstation="W")),
    "that need a person": partial(list_sessions, wanted=SessionFilter(state=SessionState.PERSON)),
    "of a collection": partial(list_sessions, wanted=SessionFilter(collection="Fungi")),
    "workstations": known_workstations,
}


async def test_older_sessions_make_no_page_of_the_list_read_more(engine: AsyncEngine) -> None:
    filled = await Filled.make(engine)
    await filled.fill(1_000)
    await filled.set_moving()
    await filled.world.sql(OLDER, first=1, last=SCANNED * 3)
    before = {what: await rows_read(filled, ask) for what, ask in ASKED.items()}
    await filled.world.sql(OLDER, first=SCANNED * 3 + 1, last=SCANNED * 12)  # no statistics of them
    after = {what: await rows_read(filled, ask) for what, ask in ASKED.items()}
    more = {what: (before[what], n) for what, n in after.items() if n > before[what] + SLACK}
    assert more == {}


async def test_they_are_found_in_the_order_of_an_index(engine: AsyncEngine) -> None:
    filled = await Filled.make(engine)
    await filled.world.sql(OLDER, first=1, last=SCANNED)
    async with engine.connect() as tx:
        newest = "SELECT id FROM track.session ORDER BY opened_at DESC, id DESC LIMIT 50"
        plan = "\n".join((await tx.execute(text(f"EXPLAIN {newest}"))).scalars())
    assert "Backward using session_opened" in plan
