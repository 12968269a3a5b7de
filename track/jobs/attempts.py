"""Attempts: one row each time a job is handed to a site, fenced by its number.

An attempt is current while the job points at it and it is not closed; whatever
arrives for another one is recorded and changes nothing.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.edges import HELD
from track.schema.tables import asset, attempt, job, stage


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

    @property
    def native_id(self) -> str | None:
        """The site's own job: the one that was granted the start, else the last one told."""
        return self.started_by or self.external_id


async def open_attempt(tx: AsyncConnection, job_id: int, site: str) -> tuple[int, int]:
    """Insert the next attempt of a job whose row the caller holds; its id and number."""
    last = select(func.coalesce(func.max(attempt.c.n), 0)).where(attempt.c.job_id == job_id)
    n = int((await tx.execute(last)).scalar_one()) + 1
    row = insert(attempt).values(job_id=job_id, n=n, fence=n, site=site)
    return int((await tx.execute(row.returning(attempt.c.id))).scalar_one()), n


DECLARED = "declared"
"""The outcome of an attempt that a person declared over."""


async def close_attempt(tx: AsyncConnection, attempt_id: int, outcome: str, **values: Any) -> None:
    """End an attempt; ending one twice keeps the first outcome."""
    row = {"outcome": outcome, "closed_at": func.now()} | values
    still = (attempt.c.id == attempt_id) & attempt.c.closed_at.is_(None)
    await tx.execute(update(attempt).where(still).values(**row))


async def find_attempt(
    tx: AsyncConnection, attempt_id: int, *, lock: bool = False
) -> Attempt | None:
    """Read an attempt with its job; `lock` holds both rows for the caller's move."""
    statement = _read().where(attempt.c.id == attempt_id)
    if lock:
        statement = statement.where(HELD).with_for_update(key_share=True, of=[job, attempt])
    return _attempt((await tx.execute(statement)).one_or_none())


def _read() -> Any:
    current = (job.c.attempt_id == attempt.c.id) & attempt.c.closed_at.is_(None)
    return (
        select(
            *(attempt.c[name] for name in ("id", "job_id", "n", "site", "fence")),
            asset.c.guid,
            stage.c.id.label("stage_id"),
            stage.c.key.label("stage"),
            attempt.c.started_by,
            attempt.c.nonce,
            attempt.c.external_id,
            current.label("current"),
            attempt.c.cancel_requested_at.is_not(None).label("cancel_requested"),
        )
        .join(job, job.c.id == attempt.c.job_id)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .join(stage, stage.c.id == job.c.stage_id)
    )


def _attempt(row: Any) -> Attempt | None:
    return None if row is None else Attempt(**row._mapping)
