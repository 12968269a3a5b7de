"""The one door through which a job's state moves.

Every move is a guarded UPDATE (`WHERE state = :expected`, and the dispatcher or
attempt that believes it holds the job) whose row count must be what was asked
for, with a history row in the same transaction. Nothing else writes `job.state`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Text, cast, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from track.states import MOVES, State
from track.tables import asset, history, job


class IllegalMove(Exception):
    """The state table knows no such move; this is an error of ours, never of a specimen."""


class StaleMove(Exception):
    """The job was not in the state, or not in the hands, that the caller believed.

    Somebody else moved it first. Read it again; never repeat the move blindly.
    """


@dataclass(frozen=True)
class Guard:
    """What must still hold of a job for a move to be the caller's to make."""

    dispatcher_id: UUID | None = None
    attempt_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL; a field that is None guards nothing."""
        found: list[ColumnElement[bool]] = []
        if self.dispatcher_id is not None:
            found.append(job.c.dispatcher_id == self.dispatcher_id)
        if self.attempt_id is not None:
            found.append(job.c.attempt_id == self.attempt_id)
        return found


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

    Raises IllegalMove for a move that the table lacks, StaleMove when the job is
    not there any more.
    """
    moved = await move_all(tx, [job_id], expected, new, actor=actor, why=why, guard=guard, **values)
    if moved != [job_id]:
        raise StaleMove(f"job {job_id} is not {expected} in the caller's hands; wanted {new}")


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

    Taking a job out of a dispatcher's hands clears `dispatcher_id` unless given.
    """
    if new not in MOVES[expected]:
        raise IllegalMove(f"{expected} → {new} (jobs {list(job_ids)[:5]})")
    if not job_ids:
        return []
    row = {"reason": why or None, "dispatcher_id": None} | values
    moved = (
        update(job)
        .where(job.c.id.in_(job_ids), job.c.state == expected, *guard.conditions())
        .values(state=new, updated_at=func.now(), **row)
        .returning(job.c.id, job.c.asset_guid, job.c.attempt_id)
        .cte("moved")
    )
    remembered = _remember(moved, expected, new, actor, why).cte("remembered")
    ids = select(moved.c.id).add_cte(remembered).order_by(moved.c.id)
    return list((await tx.execute(ids)).scalars())


def _remember(moved: CTE, old: State, new: State, actor: str, why: str) -> ReturningInsert[Any]:
    """One history row per moved job, with the asset and session it belongs to.

    Part of the moving statement itself: it is the hottest of all.
    """
    columns = ["actor", "what", "session_id", "asset_guid", "job_id", "attempt_id"]
    source = (
        select(
            *(cast(text, Text) for text in (actor, "job.state")),
            asset.c.session_id,
            asset.c.guid,
            moved.c.id,
            moved.c.attempt_id,
            *(cast(text, Text) for text in (old.value, new.value, why)),
        )
        .join(asset, asset.c.guid == moved.c.asset_guid)
        .order_by(moved.c.id)
    )
    written = insert(history).from_select([*columns, "old", "new", "why"], source)
    return written.returning(history.c.id)


async def lock(tx: AsyncConnection, job_ids: Sequence[int]) -> None:
    """Lock jobs in the one order everybody uses, before a second statement judges them."""
    ordered = select(job.c.id).where(job.c.id.in_(job_ids)).order_by(job.c.id)
    await tx.execute(ordered.with_for_update(key_share=True))
