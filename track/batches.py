"""Batches: what a driver sends in one go, committed before any I/O and immutable after.

A batch in doubt is sent again under its key with the same members; the start grant
makes sure that nothing of it is done twice.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.tables import batch

QUEUED = text("""
    SELECT t.id AS attempt, j.stage_id, s.resources
    FROM track.attempt t
    JOIN track.job j ON j.attempt_id = t.id AND j.state = 'queued'
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    WHERE t.site = :site AND t.closed_at IS NULL AND t.batch_id IS NULL
      AND t.cancel_requested_at IS NULL
    ORDER BY a.priority DESC, s.position DESC, t.id
    LIMIT :limit
    FOR NO KEY UPDATE OF t SKIP LOCKED
""")

MEMBERS = text("""
    SELECT t.id AS attempt, t.fence, t.member, t.started_by, t.nonce, t.batch_id,
           t.closed_at IS NULL AND j.attempt_id = t.id AS open,
           t.cancel_requested_at IS NOT NULL AS cancelled,
           a.guid, s.key AS stage, s.kind, s.run, j.state
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    WHERE t.batch_id = ANY(:batches)
    ORDER BY t.batch_id, t.member
""")


@dataclass(frozen=True)
class Member:
    """One attempt of a batch, at its line of the manifest."""

    attempt: int
    fence: int
    line: int
    guid: str
    stage: str
    run: str
    open: bool
    started: bool
    cancelled: bool


@dataclass(frozen=True)
class Batch:
    """One submission: its key, its members in the manifest's order, how far it got."""

    id: int
    key: str
    site: str
    state: str
    external_id: str | None
    resources: dict[str, Any]
    members: tuple[Member, ...]


async def take_batches(tx: AsyncConnection, site: str, *, batches: int, size: int) -> list[int]:
    """Put queued attempts of a site into at most `batches` batches of one stage each.

    A batch holds at most `size` members, fewer when that lets more batches run side by
    side. The ids of the new batches, most urgent first.
    """
    rows = (await tx.execute(QUEUED, {"site": site, "limit": batches * size})).all()
    groups: dict[int, list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.stage_id, []).append(row)
    share = min(size, math.ceil(len(rows) / batches))
    pieces = [
        (stage_id, members[first : first + share])
        for stage_id, members in groups.items()
        for first in range(0, len(members), share)
    ]
    return [await _intend(tx, site, stage_id, members) for stage_id, members in pieces[:batches]]


async def _intend(
    tx: AsyncConnection, site: str, stage_id: int, members: Sequence[Row[Any]]
) -> int:
    ids = [row.attempt for row in members]
    row = {
        "key": f"b{secrets.token_hex(6)}",
        "site": site,
        "stage_id": stage_id,
        "resources": members[0].resources,
        "members": ids,
    }
    batch_id = (await tx.execute(insert(batch).values(row).returning(batch.c.id))).scalar_one()
    await tx.execute(NUMBER, {"batch": batch_id, "ids": ids})
    return int(batch_id)


NUMBER = text("""
    UPDATE track.attempt t SET batch_id = :batch, member = m.line - 1
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS m(id, line) WHERE t.id = m.id
""")


async def read_batches(tx: AsyncConnection, ids: Sequence[int]) -> list[Batch]:
    """Batches with their members as they stand now."""
    rows = (await tx.execute(MEMBERS, {"batches": list(ids)})).all()
    found = await tx.execute(select(batch).where(batch.c.id.in_(ids)).order_by(batch.c.id))
    return [
        Batch(
            each.id,
            each.key,
            each.site,
            each.state,
            each.external_id,
            each.resources,
            tuple(_member(row) for row in rows if row.batch_id == each.id),
        )
        for each in found
    ]


def _member(row: Row[Any]) -> Member:
    return Member(
        attempt=row.attempt,
        fence=row.fence,
        line=row.member,
        guid=row.guid,
        stage=row.stage,
        run=row.run,
        open=row.open,
        started=row.started_by is not None,
        cancelled=row.cancelled,
    )


async def open_batches(tx: AsyncConnection, site: str) -> list[int]:
    """The ids of a site's batches whose end nobody has noted."""
    mine = select(batch.c.id).where(batch.c.site == site, batch.c.ended_at.is_(None))
    return list((await tx.execute(mine.order_by(batch.c.id))).scalars())


async def mark_submitted(tx: AsyncConnection, batch_id: int, external_id: str) -> None:
    """Note the id that the site gave to a batch."""
    values = {"state": "submitted", "external_id": external_id}
    once = func.coalesce(batch.c.submitted_at, func.now())
    mine = update(batch).where(batch.c.id == batch_id, batch.c.ended_at.is_(None))
    await tx.execute(mine.values(values | {"submitted_at": once}))


async def mark_ended(tx: AsyncConnection, batch_id: int) -> None:
    """Note that nothing of a batch can come any more."""
    mine = update(batch).where(batch.c.id == batch_id)
    await tx.execute(mine.values(state="ended", ended_at=func.now()))
