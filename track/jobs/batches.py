"""Batches: what a driver sends in one go, committed before any I/O and immutable after.

A batch of which no id is known is sent again under its key with the same members; the start
grant makes sure that nothing of it is done twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.arrays import any_of
from track.schema.tables import attempt, batch, stage

MEMBERS = text("""
    SELECT t.id AS attempt, t.fence, t.member AS line, t.started_by, t.batch_id,
           CAST(extract(epoch FROM now() - t.started_at) AS double precision) AS runs_s,
           t.closed_at IS NULL AND j.attempt_id = t.id AS open,
           t.cancel_requested_at IS NOT NULL AS cancelled,
           a.guid, s.key AS stage, s.kind, s.run
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    WHERE t.batch_id = ANY(:batches)
    ORDER BY t.batch_id, t.member
""")


@dataclass(frozen=True)
class Member:
    """One attempt of a batch, at its line of the manifest; `runs_s` seconds since its start."""

    attempt: int
    fence: int
    line: int
    guid: str
    stage: str
    kind: str
    run: str
    open: bool
    started_by: str | None
    cancelled: bool
    runs_s: float | None = None

    @property
    def started(self) -> bool:
        """Whether a native job was granted its start."""
        return self.started_by is not None


@dataclass(frozen=True)
class Batch:
    """One submission: its key, its members in the manifest's order, how far it got."""

    id: int
    key: str
    site: str
    stage_id: int
    state: str
    external_id: str | None
    resources: dict[str, Any]
    members: tuple[Member, ...]

    @property
    def alone(self) -> bool:
        """Whether it is one job that is no array."""
        return bool(self.resources.get(ALONE))

    @property
    def is_script(self) -> bool:
        """Whether it is one run of a script of the site's own."""
        return self.members[0].kind == "script"


ALONE = "alone"
"""The key among a batch's resources that says so."""


async def read_batches(tx: AsyncConnection, ids: Sequence[int]) -> list[Batch]:
    """Batches with their members as they stand now."""
    members: dict[int, list[Member]] = {each: [] for each in ids}
    for row in (await tx.execute(MEMBERS, {"batches": list(ids)})).mappings():
        fields = dict(row)
        members[fields.pop("batch_id")].append(Member(**fields))
    columns = (batch.c[each] for each in Batch.__annotations__ if each != "members")
    found = await tx.execute(select(*columns).where(any_of(batch.c.id, ids)).order_by(batch.c.id))
    return [Batch(**each._mapping, members=tuple(members[each.id])) for each in found]


def _open(site: str, *columns: ColumnElement[Any], state: str | None = None) -> Select[Any]:
    """Of a site's batches whose end nobody has noted, in order; of those in a state."""
    mine = select(*columns).where(batch.c.site == site, batch.c.ended_at.is_(None))
    return mine.where(batch.c.state == state if state else true()).order_by(batch.c.id)


async def open_batches(tx: AsyncConnection, site: str) -> list[int]:
    """The ids of a site's batches whose end nobody has noted."""
    return list((await tx.execute(_open(site, batch.c.id))).scalars())


async def open_keys(tx: AsyncConnection, site: str) -> set[str]:
    """The keys of a site's batches whose end nobody has noted."""
    return set((await tx.execute(_open(site, batch.c.key))).scalars())


async def open_arrays(tx: AsyncConnection, site: str) -> dict[int, tuple[str, str]]:
    """Key and array id of a site's submitted batches that are not over, by the batch's id.

    Scripts are none: what they submit has names of its own.
    """
    mine = _open(site, batch.c.id, batch.c.key, batch.c.external_id, state="submitted")
    native = mine.join(stage, stage.c.id == batch.c.stage_id).where(stage.c.kind != "script")
    rows = await tx.execute(native)
    return {row.id: (row.key, row.external_id) for row in rows if row.external_id}


async def unconfirmed_batches(tx: AsyncConnection, site: str) -> list[int]:
    """The ids of batches that were meant to be sent and of which no native id is known."""
    return list((await tx.execute(_open(site, batch.c.id, state="intended"))).scalars())


async def stages_at(tx: AsyncConnection, site: str) -> set[int]:
    """The stages of which a site has jobs of ours that it took."""
    return set((await tx.execute(_open(site, batch.c.stage_id, state="submitted"))).scalars())


async def mark_submitted(tx: AsyncConnection, batch_id: int, external_id: str) -> None:
    """Note the id that the site gave to a batch."""
    once = func.coalesce(batch.c.submitted_at, func.now())
    mine = update(batch).where(batch.c.id == batch_id, batch.c.ended_at.is_(None))
    await tx.execute(mine.values(state="submitted", external_id=external_id, submitted_at=once))


async def mark_ended(tx: AsyncConnection, batch_id: int, *, refused: bool = False) -> None:
    """Note that nothing of a batch can come any more; `refused`: its site will never take it."""
    mine = update(batch).where(batch.c.id == batch_id)
    await tx.execute(mine.values(state="refused" if refused else "ended", ended_at=func.now()))


NAME_MEMBERS = text("""
    UPDATE track.attempt SET submitted_at = now(),
           external_id = CASE WHEN strpos(CAST(:native AS text), '[]') > 0  -- as TORQUE has it
               THEN replace(CAST(:native AS text), '[]', '[' || member || ']')
               ELSE CAST(:native AS text)
                    || CASE WHEN CAST(:alone AS boolean) THEN '' ELSE '_' || member END END
    WHERE batch_id = :batch AND closed_at IS NULL AND submitted_at IS NULL
""")


async def mark_array(
    tx: AsyncConnection, batch_id: int, array_id: str, *, alone: bool = False
) -> None:
    """Note an array's id, on its batch and on each attempt the id of its task; `alone`: it is
    one job, which has no tasks."""
    await mark_submitted(tx, batch_id, array_id)
    await tx.execute(NAME_MEMBERS, {"batch": batch_id, "native": array_id, "alone": alone})


PENDING = text("""
    UPDATE track.job j SET reason = CAST(:why AS text) FROM track.attempt t
    WHERE t.batch_id = :batch AND t.closed_at IS NULL AND t.started_by IS NULL
      AND j.id = t.job_id AND j.attempt_id = t.id AND j.state = 'queued'
      AND j.reason IS DISTINCT FROM CAST(:why AS text)
""")


async def note_pending(tx: AsyncConnection, batch_id: int, why: str | None) -> None:
    """Say on a batch's jobs why they have not begun; None: nothing holds them any more."""
    await tx.execute(PENDING, {"batch": batch_id, "why": why})


async def went_well(tx: AsyncConnection, batch_id: int) -> bool:
    """Whether every attempt of a batch brought its result."""
    others = select(attempt.c.id).where(
        attempt.c.batch_id == batch_id, attempt.c.outcome.is_distinct_from("done")
    )
    return (await tx.execute(others.limit(1))).first() is None


LATE_RESULTS_S = 900.0
"""How long a batch is kept open of which an attempt ended without the result it should have.

Its results are read on meanwhile: one that shows only then is noted on its job.
"""

SPENT = text("""
    SELECT b.id FROM track.batch b WHERE b.site = :site AND b.ended_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM track.attempt t
                     WHERE t.batch_id = b.id
                       AND (t.closed_at IS NULL
                            OR t.outcome IN ('lost', 'interrupted')
                               AND t.closed_at > now() - make_interval(secs => :late)))
""")


async def spent_batches(tx: AsyncConnection, site: str) -> list[int]:
    """Open batches of which no attempt is open any more, and of which nothing can come."""
    return list((await tx.execute(SPENT, {"site": site, "late": LATE_RESULTS_S})).scalars())


async def still_open(tx: AsyncConnection, attempts: Collection[int]) -> set[int]:
    """Those of these attempts that nothing has ended."""
    mine = any_of(attempt.c.id, attempts) & attempt.c.closed_at.is_(None)
    return set((await tx.execute(select(attempt.c.id).where(mine))).scalars())


LOCK_MEMBERS = text("""
    SELECT id, started_by IS NOT NULL AS started,
           closed_at IS NULL AND cancel_requested_at IS NOT NULL AS unwanted
    FROM track.attempt WHERE batch_id = :batch
    ORDER BY id FOR NO KEY UPDATE
""")
RELEASE_MEMBERS = text("""
    UPDATE track.attempt SET batch_id = NULL, member = NULL
    WHERE batch_id = :batch AND closed_at IS NULL
""")


async def release_declined(tx: AsyncConnection, batch_id: int, why: str) -> list[int] | None:
    """Close a batch that its site did not take; its attempts are queued as before, and say why.

    It must be known that no job exists. Returned are those attempts of which somebody asked that
    they stop: nobody else ends them now. None, and nothing is changed, when one was started
    after all.
    """
    rows = (await tx.execute(LOCK_MEMBERS, {"batch": batch_id})).all()
    if any(row.started for row in rows):
        return None
    await note_pending(tx, batch_id, why)
    await tx.execute(RELEASE_MEMBERS, {"batch": batch_id})
    await mark_ended(tx, batch_id, refused=True)
    return [row.id for row in rows if row.unwanted]
