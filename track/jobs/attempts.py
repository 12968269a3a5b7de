"""Attempts: one row each time a job is given to a site, fenced by its number.

An attempt is current while the job points at it and it is not closed; whatever
arrives for another one is recorded and changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    func,
    insert,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.edges import HELD
from track.schema.arrays import any_of
from track.schema.states import AT_SITE, State
from track.schema.tables import asset, attempt, job, pipeline, site, stage


@dataclass(frozen=True)
class Attempt:
    """What everybody who meets an attempt needs to know of it."""

    id: int
    job_id: int
    n: int
    site: str
    fence: int
    guid: str
    stage_id: int
    stage: str
    started_by: str | None
    nonce: str | None
    current: bool
    cancel_requested: bool
    external_id: str | None = None
    agent_id: int | None = None

    @property
    def native_id(self) -> str | None:
        """The site's own job: the one that was granted the start, else the first one reported."""
        return self.started_by or self.external_id

    @property
    def actor(self) -> str:
        """How history calls it."""
        return f"attempt:{self.id}"

    @property
    def about(self) -> dict[str, object]:
        """What a line of a log is about that tells of it."""
        return {"guid": self.guid, "stage": self.stage, "attempt": self.id, "site": self.site}


@dataclass(frozen=True)
class LockedAttempt:
    """An attempt under its lock, with all that a message about it needs, read at once.

    `module` is empty when it runs something else; `lacked`: its site was not able to run it;
    `emits` names the pipeline of the derivatives that its stage makes.
    """

    attempt: Attempt
    state: State
    writes: Sequence[str]
    emits: str | None
    session: str
    pipeline: str
    module: str
    lacked: bool


EVERY = true()


async def open_attempts(
    tx: AsyncConnection, job_ids: Sequence[int], site: str, which: ColumnElement[bool] = EVERY
) -> dict[int, int]:
    """Insert the next attempt of each of these jobs, whose rows the caller has locked; their ids.

    `which` narrows the choice.
    """
    last = select(func.coalesce(func.max(attempt.c.n), 0)).where(attempt.c.job_id == job.c.id)
    n = last.scalar_subquery() + 1
    mine = (
        select(job.c.id, n, n, literal(site), job.c.priority, stage.c.position)
        .join(stage, stage.c.id == job.c.stage_id)
        .where(any_of(job.c.id, job_ids), which)
    )
    columns = ["job_id", "n", "fence", "site", "priority", "position"]
    new = insert(attempt).from_select(columns, mine.order_by(job.c.id))
    rows = await tx.execute(new.returning(attempt.c.job_id, attempt.c.id))
    return {row.job_id: row.id for row in rows}


DECLARED = "declared"
"""The outcome of an attempt that a person declared over."""


async def close_attempt(tx: AsyncConnection, attempt_id: int, outcome: str, **values: Any) -> None:
    """End an attempt; ending one twice keeps the first outcome."""
    row = {"outcome": outcome, "closed_at": func.now()} | values
    still = (attempt.c.id == attempt_id) & attempt.c.closed_at.is_(None)
    await tx.execute(update(attempt).where(still).values(**row))


_CURRENT = (job.c.attempt_id == attempt.c.id) & attempt.c.closed_at.is_(None)


def _read(*more: ColumnElement[Any]) -> Select[Any]:
    """The columns of an Attempt, by its names, and more."""
    return (
        select(
            *(attempt.c[name] for name in ("id", "job_id", "n", "site", "fence")),
            asset.c.guid,
            stage.c.id.label("stage_id"),
            stage.c.key.label("stage"),
            attempt.c.started_by,
            attempt.c.nonce,
            attempt.c.external_id,
            attempt.c.agent_id,
            _CURRENT.label("current"),
            attempt.c.cancel_requested_at.is_not(None).label("cancel_requested"),
            *more,
        )
        .join(job, job.c.id == attempt.c.job_id)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .join(stage, stage.c.id == job.c.stage_id)
    )


def _attempt(row: Any) -> Attempt:
    return Attempt(**{each.name: row._mapping[each.name] for each in fields(Attempt)})


async def find_attempt(
    tx: AsyncConnection, attempt_id: int, *, lock: bool = False
) -> Attempt | None:
    """Read an attempt with its job; `lock` holds both rows for the caller's move."""
    statement = _read().where(attempt.c.id == attempt_id)
    if lock:
        statement = statement.where(HELD).with_for_update(key_share=True, of=[job, attempt])
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _attempt(row)


HOLD = (
    _read(
        job.c.state,
        *(stage.c[name] for name in ("writes", "emits", "kind", "run")),
        func.coalesce(site.c.lacks.has_key(stage.c.run), False).label("lacked"),
        asset.c.session_id,
        pipeline.c.name.label("pipeline"),
    )
    .join(pipeline, pipeline.c.id == asset.c.pipeline_id)
    .outerjoin(site, site.c.name == attempt.c.site)
    .where(attempt.c.id == bindparam("attempt"), HELD)
    .with_for_update(key_share=True, of=[job, attempt])
)


async def lock_attempt(tx: AsyncConnection, attempt_id: int) -> LockedAttempt | None:
    """Lock an attempt and its job, and read them; None when there is none.

    Both are locked: after a wait PostgreSQL reads anew only what it locks, and a message
    would be taken for an attempt that was closed meanwhile.
    """
    row = (await tx.execute(HOLD, {"attempt": attempt_id})).one_or_none()
    if row is None:
        return None
    return LockedAttempt(
        attempt=_attempt(row),
        state=State(row.state),
        writes=row.writes,
        emits=row.emits,
        session=str(row.session_id),
        pipeline=row.pipeline,
        module=row.run if row.kind == "module" else "",
        lacked=row.lacked,
    )


async def note_native_id(tx: AsyncConnection, of: LockedAttempt, native_id: str) -> None:
    """Note the scheduler's id of an attempt and that it was submitted, unless both are known."""
    known = {
        "external_id": func.coalesce(attempt.c.external_id, native_id),
        "submitted_at": func.coalesce(attempt.c.submitted_at, func.now()),
    }
    await tx.execute(update(attempt).where(attempt.c.id == of.attempt.id).values(known))


async def note_first_id(tx: AsyncConnection, attempt_id: int, native_id: str) -> None:
    """Keep the first id that was reported, so that a later attempt does not take it for its own."""
    unknown = attempt.c.external_id.is_(None) & attempt.c.started_by.is_(None)
    mine = update(attempt).where(attempt.c.id == attempt_id, unknown)
    await tx.execute(mine.values(external_id=native_id))


async def ended_before(tx: AsyncConnection, attempt_id: int, days: int) -> bool:
    """Whether an attempt ended more than so many days ago."""
    age = func.now() - func.make_interval(0, 0, 0, days)
    long_ago = select(attempt.c.id).where(attempt.c.id == attempt_id, attempt.c.closed_at < age)
    return (await tx.execute(long_ago)).first() is not None


REASON = text("""
    UPDATE track.job SET reason = :why
    WHERE id = (SELECT job_id FROM track.attempt WHERE id = :attempt) AND attempt_id = :attempt
      AND state = ANY(:states) AND reason IS DISTINCT FROM :why
""")


async def note_reason(
    tx: AsyncConnection, attempt_id: int, why: str, states: Collection[State] = AT_SITE
) -> None:
    """Say what the job of a current attempt waits for; its next move says something else."""
    row = {"attempt": attempt_id, "why": why, "states": sorted(map(str, states))}
    await tx.execute(REASON, row)
