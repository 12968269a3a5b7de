"""The one door through which a job's state moves.

Every move is a guarded UPDATE (`WHERE state = :expected`, and the dispatcher or
attempt that believes it holds the job) whose row count must be what was asked
for, with a history row in the same transaction. Nothing else writes `job.state`,
but for the state a job is made with: `waiting`, or, where a newcomer's stage needs nothing,
`ready` at once (`track.commands.pipelines.create_jobs`). That is no move and has no row: the
first row's `old` says which it was, and the asset's own row when.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ClauseElement, Select, Text, bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.edges import EDGES
from track.schema.arrays import any_bound
from track.schema.states import MOVES, State
from track.schema.tables import asset, history, job


class IllegalMove(Exception):
    """The state table knows no such move; this is an error of ours, never of a specimen."""


class StaleMove(Exception):
    """The job was not in the state, or not held by the one, that the caller believed.

    Somebody else moved it first. Read it again; never repeat the move blindly.
    """


@dataclass(frozen=True)
class Guard:
    """What must still hold of a job for a move to be the caller's to make."""

    dispatcher_id: UUID | None = None
    attempt_id: int | None = None

    def fields(self) -> dict[str, UUID | int]:
        """The columns it names; one that is None guards nothing."""
        return {name: value for name, value in vars(self).items() if value is not None}


ANYBODY = Guard()


async def move(
    tx: AsyncConnection,
    job_id: int,
    expected: State,
    new: State,
    *,
    actor: str,
    why: str = "",
    guard: Guard = ANYBODY,
    **values: Any,
) -> None:
    """Move one job; `values` are further columns of the same row.

    Raises IllegalMove for a move that the table lacks, StaleMove when the job is not there any
    more; that too when it is guarded and has been moved where no such move begins: whoever held
    it holds it no longer.
    """
    if guard != ANYBODY and new not in MOVES[expected]:
        raise StaleMove(f"job {job_id} is {expected}, held by nobody; wanted {new}")
    moved = await move_all(tx, [job_id], expected, new, actor=actor, why=why, guard=guard, **values)
    if moved != [job_id]:
        raise StaleMove(f"job {job_id} is not {expected} and held by the caller; wanted {new}")


async def move_all(
    tx: AsyncConnection,
    job_ids: Sequence[int],
    expected: State,
    new: State,
    *,
    actor: str,
    why: str = "",
    guard: Guard = ANYBODY,
    **values: Any,
) -> list[int]:
    """Move those of `job_ids` that are still `expected`; the ids moved, in order.

    A dispatcher no longer holds a job that moved, unless `dispatcher_id` is given.
    """
    if new not in MOVES[expected]:
        raise IllegalMove(f"{expected} → {new} (jobs {list(job_ids)[:5]})")
    if not job_ids:
        return []
    row = {"reason": why or None, "dispatcher_id": None} | values
    entry = {"actor": actor, "what": "job.state", "old": expected, "new": new, "why": why}
    held = guard.fields()
    bound = {"ids": list(job_ids)} | entry | {f"held_{name}": held[name] for name in held}
    # Writing a statement costs as much as running it; one that holds SQL is written each time.
    waits = new == State.WAITING
    if any(isinstance(value, ClauseElement) for value in row.values()):
        statement = _moving(row, held, waits=waits)
    else:
        statement = _known_moving(tuple(row), tuple(held), waits=waits)
        bound |= {f"new_{name}": value for name, value in row.items()}
    return list((await tx.execute(statement, bound)).scalars())


@lru_cache(maxsize=256)
def _known_moving(columns: tuple[str, ...], guards: tuple[str, ...], *, waits: bool) -> Select[Any]:
    return _moving({name: bindparam(f"new_{name}") for name in columns}, guards, waits=waits)


PRIORITY = select(asset.c.priority).where(asset.c.guid == job.c.asset_guid).scalar_subquery()
"""Of a job that waits again: while it had ended its asset's may have changed."""


def _moving(row: Mapping[str, Any], guards: Iterable[str], *, waits: bool) -> Select[Any]:
    """The move and one history row per moved job in one statement. It is the hottest of all."""
    moved = (
        update(job)
        .where(any_bound(job.c.id, "ids"), job.c.state == bindparam("old"))
        .where(*(job.c[name] == bindparam(f"held_{name}") for name in guards))
        .values(state=bindparam("new"), updated_at=func.now(), held=False, **row)
        .values({"priority": PRIORITY} if waits else {})
        .returning(job.c.id, job.c.session_id, job.c.asset_guid, job.c.attempt_id)
        .cte("moved")
    )
    columns = {
        "session_id": moved.c.session_id,
        "asset_guid": moved.c.asset_guid,
        "job_id": moved.c.id,
        "attempt_id": moved.c.attempt_id,
        **{name: bindparam(name, type_=Text) for name in ("actor", "what", "old", "new", "why")},
    }
    source = select(*columns.values()).order_by(moved.c.id)
    written = insert(history).from_select([*columns], source).returning(history.c.id)
    return select(moved.c.id).add_cte(written.cte("remembered")).order_by(moved.c.id)


LOCK = text("""
    SELECT id FROM track.job
    WHERE (SELECT pg_advisory_xact_lock_shared(:edges)) IS NOT NULL AND id = ANY(:ids)
    ORDER BY id FOR NO KEY UPDATE
""")


async def lock(tx: AsyncConnection, job_ids: Sequence[int]) -> None:
    """Hold the edges, then lock jobs, in the one order everybody uses (track/jobs/edges.py).

    A second statement judges them: it sees what was committed while this one waited.
    """
    await tx.execute(LOCK, {"edges": EDGES, "ids": list(job_ids)})
