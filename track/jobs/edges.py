"""The lock of the edges, and the one order in which locks are taken.

    pipelines' and stages' rows → the edges → jobs' rows, by id → assets' rows → sessions' rows

Whatever moves a job holds the edges, shared, before it locks the job (`track.jobs.moves.lock`, or
`HELD` in its own statement). An edit of a pipeline has locked every row that it will write before
it takes the edges alone, and it touches no job: who holds the edges never waits for an edit, and
an edit that has them waits for nobody. So it is with the last page of a back-fill, which
inserts jobs and locks none.
"""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

EDGES = 0x51_7E11
"""The advisory lock of the edges: shared by whoever follows them, exclusive to an edit."""


async def lock_edges(tx: AsyncConnection, *, to_edit: bool = False) -> None:
    """Keep the edges as they are until this transaction ends, or wait to change them.

    Without it a job that finishes while its pipeline is edited would follow the old edges,
    the edit would judge the new ones before the finish, and a job would wait for ever.
    """
    hold = func.pg_advisory_xact_lock if to_edit else func.pg_advisory_xact_lock_shared
    await tx.execute(select(hold(EDGES)))


HELD = select(func.pg_advisory_xact_lock_shared(EDGES)).scalar_subquery().is_not(None)
"""Always true: a condition of a statement that locks jobs, which holds the edges before it does."""
