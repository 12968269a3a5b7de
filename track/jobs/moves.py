"""The one door through which a job's state moves.

Every move is a guarded UPDATE (`WHERE state = :expected`, and the dispatcher or
attempt that believes it holds the job) whose row count must be what was asked
for, with a history row in the same transaction. Nothing else writes `job.state`,
but for the state a job is made with: `waiting`, or, where a newcomer's stage needs nothing,
`ready` at once (`track.commands.pipelines.create_jobs`). That is no move and has no row: the
first row's `old` says which it was, and the asset's own row when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ClauseElement,
    Select,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.edges import EDGES
from track.records.wake import asking
from track.schema.arrays import any_bound
from track.schema.states import MOVES, State
from track.schema.tables import asset, attempt, history, job


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
NOTHING: Mapping[str, Any] = {}


NOW: Any = func.now()
"""As a value of `of_attempt`: the time of the move."""


async def move(
    tx: AsyncConnection,
    job_id: int,
    expected: State,
    new: State,
    *,
    actor: str,
    why: str = "",
    guard: Guard = ANYBODY,
    of_attempt: Mapping[str, Any] = NOTHING,
    **values: Any,
) -> None:
    """Move one job; `values` are further columns of the same row, `of_attempt` of its attempt's.

    Raises IllegalMove for a move that the table lacks, StaleMove when the job is not there any
    more; that too when it is guarded and has been moved where no such move begins: whoever held
    it holds it no longer.
    """
    if guard != ANYBODY and new not in MOVES[expected]:
        raise StaleMove(f"job {job_id} is {expected}, held by nobody; wanted {new}")
    by: dict[str, Any] = {"actor": actor, "why": why, "guard": guard, "of_attempt": of_attempt}
    moved = await move_all(tx, [job_id], expected, new, **by, **values)
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
    of_attempt: Mapping[str, Any] = NOTHING,
    **values: Any,
) -> list[int]:
    """Move those of `job_ids` that are still `expected`; the ids moved, in order.

    A dispatcher no longer holds a job that moved, unless `dispatcher_id` is given. For one that
    came back a dispatcher is asked for. `of_attempt` is written of attempts that are not closed.
    """
    if new not in MOVES[expected]:
        raise IllegalMove(f"{expected} → {new} (jobs {list(job_ids)[:5]})")
    if not job_ids:
        return []
    row = {"reason": why or None, "dispatcher_id": None} | values
    entry = {"actor": actor, "what": "job.state", "old": expected, "new": new, "why": why}
    held = guard.fields()
    bound = {"ids": list(job_ids)} | entry | {f"held_{name}": held[name] for name in held}
    noted = {name: value is NOW for name, value in of_attempt.items()}
    bound |= {f"attempt_{name}": of_attempt[name] for name, is_now in noted.items() if not is_now}
    shape = _Shape(tuple(held), new, tuple(noted.items()))
    # Writing a statement costs as much as running it; one that holds SQL is written each time.
    if any(isinstance(value, ClauseElement) for value in row.values()):
        statement = _moving(row, shape)
    else:
        statement = _known_moving(tuple(row), shape)
        bound |= {f"new_{name}": value for name, value in row.items()}
    return list((await tx.execute(statement, bound)).scalars())


@dataclass(frozen=True)
class _Shape:
    """What tells one statement that moves from another, besides the columns of the job.

    `noted` are the columns of the attempt, and whether each gets the time.
    """

    guards: tuple[str, ...]
    new: State
    noted: tuple[tuple[str, bool], ...]


@lru_cache(maxsize=256)
def _known_moving(columns: tuple[str, ...], shape: _Shape) -> Select[Any]:
    return _moving({name: bindparam(f"new_{name}") for name in columns}, shape)


PRIORITY = select(asset.c.priority).where(asset.c.guid == job.c.asset_guid).scalar_subquery()
"""Of a job that waits again: while it had ended its asset's may have changed."""


def _moving(row: Mapping[str, Any], shape: _Shape) -> Select[Any]:
    """The move and one history row per moved job in one statement. It is the hottest of all."""
    moved = (
        update(job)
        .where(any_bound(job.c.id, "ids"), job.c.state == bindparam("old"))
        .where(*(job.c[name] == bindparam(f"held_{name}") for name in shape.guards))
        .values(state=bindparam("new"), updated_at=func.now(), held=False, **row)
        .values({"priority": PRIORITY} if shape.new == State.WAITING else {})
        .returning(*(job.c[name] for name in ("id", "session_id", "asset_guid", "attempt_id")))
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
    found = select(moved.c.id).add_cte(written.cte("remembered")).order_by(moved.c.id)
    if shape.noted:
        found = found.add_cte(_of_attempt(moved, shape))
    return found.add_columns(asking(moved)) if shape.new == State.RETURNED else found


def _of_attempt(moved: CTE, shape: _Shape) -> CTE:
    mine = (attempt.c.id == moved.c.attempt_id) & attempt.c.closed_at.is_(None)
    values = {name: NOW if now else bindparam(f"attempt_{name}") for name, now in shape.noted}
    return update(attempt).where(mine).values(values).returning(attempt.c.id).cte("noted")


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
