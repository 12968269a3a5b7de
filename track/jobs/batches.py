"""Batches: what a driver sends in one go, committed before any I/O and immutable after.

A batch in doubt is sent again under its key with the same members; the start grant
makes sure that nothing of it is done twice.
"""

import json
import math
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Row, bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.arrays import any_of
from track.schema.tables import attempt, batch, stage

QUEUED = text("""
    SELECT t.id AS attempt, j.stage_id, s.kind,
           CASE WHEN t.n > 1 THEN ARRAY(
               SELECT CASE WHEN p.exit_code = 138 AND p.outcome = 'failed' THEN 'timeout'
                           ELSE coalesce(p.outcome, '') END
               FROM track.attempt p WHERE p.job_id = t.job_id AND p.n < t.n ORDER BY p.n
           ) ELSE '{}' END AS outcomes
    FROM track.attempt t
    JOIN track.job j ON j.attempt_id = t.id AND j.state = 'queued'
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    WHERE t.site = :site AND t.closed_at IS NULL AND t.batch_id IS NULL
      AND t.cancel_requested_at IS NULL AND j.stage_id <> ALL(:resting)
    ORDER BY a.priority DESC, s.position DESC, t.id
    LIMIT :limit
    FOR NO KEY UPDATE OF t SKIP LOCKED
""").bindparams(bindparam("resting", type_=ARRAY(BigInteger)))
# 138: ended by SIGUSR1, the scheduler's warning shortly before the time limit, as runners
# of earlier versions told it themselves.

MEMBERS = text("""
    SELECT t.id AS attempt, t.fence, t.member, t.started_by, t.nonce, t.batch_id,
           CAST(extract(epoch FROM now() - t.started_at) AS double precision) AS runs_s,
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


ALONE = "alone"
"""The key among a batch's resources that says so."""


@dataclass(frozen=True)
class Manners:
    """What of a site's stages is to be minded, by their ids: the largest arrays (0: each job
    alone), those left alone for now, and those of which one batch is to be tried first."""

    sizes: Mapping[int, int] = field(default_factory=dict)
    resting: Collection[int] = ()
    trying: Collection[int] = ()


NO_MANNERS = Manners()


Shape = Callable[[dict[str, Any], Sequence[str]], dict[str, Any]]
"""From a stage's resources and the outcomes of earlier attempts: what the next one asks for."""


def _as_asked(stage: dict[str, Any], _: Sequence[str]) -> dict[str, Any]:
    return stage


async def take_batches(
    tx: AsyncConnection, site: str, *, batches: int, size: int, shape: Shape = _as_asked
) -> list[int]:
    """Put queued attempts of a site into at most `batches` batches of one stage each.

    A batch holds at most `size` members that ask for the same, fewer when that lets more
    batches run side by side, and one where it is a script of the site's own. The ids of the
    new batches, most urgent first.
    """
    rows = (await tx.execute(QUEUED, {"site": site, "limit": batches * size, "resting": []})).all()
    wanted = await _resources(tx, {row.stage_id for row in rows})
    groups: dict[tuple[int, str, int | None], list[Row[Any]]] = {}
    for row in rows:
        asked = json.dumps(shape(wanted[row.stage_id], row.outcomes), sort_keys=True)
        alone = row.attempt if row.kind == "script" else None
        groups.setdefault((row.stage_id, asked, alone), []).append(row)
    share = min(size, math.ceil(len(rows) / batches))
    pieces = [
        (stage_id, members[first : first + share], json.loads(asked))
        for (stage_id, asked, _), members in groups.items()
        for first in range(0, len(members), share)
    ]
    return [
        await _intend(tx, site, stage_id, members, asked)
        for stage_id, members, asked in pieces[:batches]
    ]


async def take_arrays(
    tx: AsyncConnection,
    site: str,
    *,
    members: int,
    size: int,
    shape: Shape,
    running: int | None = None,
    manners: Manners = NO_MANNERS,
) -> list[int]:
    """Put at most `members` queued attempts of a site into batches, as few as can be.

    One batch holds attempts of one stage that ask for the same resources, at most `size`
    (0: one, and no array) and what `manners` say; an attempt that runs a script of the site's
    own is a batch by itself. Most urgent first.
    Of all batches together `running` may run at a time, which their `throttle` sees to.
    """
    given = {"site": site, "limit": members, "resting": list(manners.resting)}
    rows = (await tx.execute(QUEUED, given)).all()
    wanted = await _resources(tx, {row.stage_id for row in rows})
    shapes: dict[tuple[object, ...], str] = {}
    groups: dict[tuple[object, ...], list[Row[Any]]] = {}
    for row in rows:
        like = (row.stage_id, *row.outcomes)
        if like not in shapes:
            shapes[like] = json.dumps(shape(wanted[row.stage_id], row.outcomes), sort_keys=True)
        alone = row.attempt if row.kind == "script" else None
        groups.setdefault((row.stage_id, shapes[like], alone), []).append(row)
    taken: list[int] = []
    tried: set[int] = set()
    for (_, shaped, _), group in groups.items():
        asked: dict[str, Any] = json.loads(str(shaped))
        stage_id = group[0].stage_id
        largest = min(size, manners.sizes.get(stage_id, size))
        if largest == 0 and group[0].kind != "script":
            asked |= {ALONE: True}
        for first in range(0, len(group), max(1, largest)):
            if stage_id in tried:
                break
            if stage_id in manners.trying:
                tried.add(stage_id)
            piece = group[first : first + max(1, largest)]
            if running is not None:
                if running <= 0:
                    return taken
                asked |= {"throttle": min(running, len(piece))}
                running -= asked["throttle"]
            taken.append(await _intend(tx, site, stage_id, piece, asked))
    return taken


async def _resources(tx: AsyncConnection, stages: set[int]) -> dict[int, dict[str, Any]]:
    """What stages ask for: read once each, for with every row it costs a third of a submission."""
    rows = await tx.execute(select(stage.c.id, stage.c.resources).where(any_of(stage.c.id, stages)))
    return {row.id: row.resources for row in rows}


async def _intend(
    tx: AsyncConnection,
    site: str,
    stage_id: int,
    members: Sequence[Row[Any]],
    resources: dict[str, Any],
) -> int:
    ids = [row.attempt for row in members]
    row = {
        "key": f"b{secrets.token_hex(6)}",
        "site": site,
        "stage_id": stage_id,
        "resources": resources,
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
    found = await tx.execute(select(batch).where(any_of(batch.c.id, ids)).order_by(batch.c.id))
    return [
        Batch(
            each.id,
            each.key,
            each.site,
            each.stage_id,
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
        kind=row.kind,
        run=row.run,
        open=row.open,
        started_by=row.started_by,
        cancelled=row.cancelled,
        runs_s=row.runs_s,
    )


async def open_batches(tx: AsyncConnection, site: str) -> list[int]:
    """The ids of a site's batches whose end nobody has noted."""
    mine = select(batch.c.id).where(batch.c.site == site, batch.c.ended_at.is_(None))
    return list((await tx.execute(mine.order_by(batch.c.id))).scalars())


async def open_arrays(tx: AsyncConnection, site: str) -> dict[int, tuple[str, str]]:
    """Key and array id of a site's submitted batches that are not over, by the batch's id.

    Scripts are none: what they submit has names of its own.
    """
    mine = (
        select(batch.c.id, batch.c.key, batch.c.external_id)
        .join(stage, stage.c.id == batch.c.stage_id)
        .where(batch.c.site == site, batch.c.state == "submitted", batch.c.ended_at.is_(None))
        .where(stage.c.kind != "script")
    )
    rows = await tx.execute(mine.order_by(batch.c.id))
    return {row.id: (row.key, row.external_id) for row in rows if row.external_id}


async def doubtful_batches(tx: AsyncConnection, site: str) -> list[int]:
    """Batches that were meant to be sent and of which no id is known."""
    mine = select(batch.c.id).where(
        batch.c.site == site, batch.c.state == "intended", batch.c.ended_at.is_(None)
    )
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


NAME_MEMBERS = text("""
    UPDATE track.attempt SET submitted_at = now(),
           external_id = CAST(:native AS text)
               || CASE WHEN CAST(:alone AS boolean) THEN '' ELSE '_' || member END
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
      AND j.attempt_id = t.id AND j.state = 'queued'
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


async def mark_refused(tx: AsyncConnection, batch_id: int) -> None:
    """Note that the site did not take a batch, and never will under its key."""
    mine = update(batch).where(batch.c.id == batch_id)
    await tx.execute(mine.values(state="refused", ended_at=func.now()))


@dataclass(frozen=True)
class Load:
    """What a site has of ours: attempts waiting there, running there, and not sent yet.

    `throttled` is how many may run at a time by what its open batches were given.
    """

    waiting: int
    running: int
    unsent: int
    throttled: int

    @property
    def sent(self) -> int:
        """Attempts over there."""
        return self.waiting + self.running


LOAD = text("""
    SELECT count(*) FILTER (WHERE batch_id IS NOT NULL AND started_by IS NULL) AS waiting,
           count(*) FILTER (WHERE batch_id IS NOT NULL AND started_by IS NOT NULL) AS running,
           count(*) FILTER (WHERE batch_id IS NULL) AS unsent,
           (SELECT CAST(coalesce(sum(least(
                       CAST(b.resources ->> 'throttle' AS bigint),
                       (SELECT count(*) FROM track.attempt m
                         WHERE m.batch_id = b.id AND m.closed_at IS NULL))), 0) AS integer)
              FROM track.batch b WHERE b.site = :site AND b.ended_at IS NULL) AS throttled
    FROM track.attempt WHERE site = :site AND closed_at IS NULL
""")


async def read_load(tx: AsyncConnection, site: str) -> Load:
    """How much of ours is at a site."""
    return Load(**(await tx.execute(LOAD, {"site": site})).one()._mapping)


NEWS = text("""
    SELECT extract(epoch FROM now() - max(greatest(t.submitted_at, t.started_at, t.finished_at)))
    FROM track.attempt t JOIN track.batch b ON b.id = t.batch_id
    WHERE b.site = :site AND b.ended_at IS NULL
""")


async def silent_for(tx: AsyncConnection, site: str) -> float | None:
    """Seconds since a site's open batches were last heard of; None when there are none."""
    found = (await tx.execute(NEWS, {"site": site})).scalar_one()
    return None if found is None else float(found)


LATE_RESULTS_S = 900.0
"""How long a batch is kept open of which an attempt ended without the result it should have.

Its results are read on meanwhile: one that shows only then is told on its job.
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
    spent = await tx.execute(SPENT, {"site": site, "late": LATE_RESULTS_S})
    return list(spent.scalars())


async def still_open(tx: AsyncConnection, attempts: Collection[int]) -> set[int]:
    """Those of these attempts that nothing has ended."""
    mine = any_of(attempt.c.id, attempts) & attempt.c.closed_at.is_(None)
    return set((await tx.execute(select(attempt.c.id).where(mine))).scalars())


@dataclass(frozen=True)
class Unwanted:
    """An attempt that need not run, and its native job.

    `told_at`: by when a script had told that job's id, in seconds since 1970; None where we
    named it ourselves, by its batch's `key`.
    """

    attempt: int
    external_id: str
    key: str
    started: bool
    open: bool
    told_at: float | None = None


async def unwanted(tx: AsyncConnection, site: str) -> list[Unwanted]:
    """Attempts over there that somebody asked to stop, or that nobody waits for any more.

    Of those declared lost something may be left, also when it once was started.
    """
    statement = text("""
        SELECT t.id, n.native AS external_id, b.key, t.started_by IS NOT NULL AS started,
               t.closed_at IS NULL AS open,
               CASE WHEN s.kind = 'script' THEN CAST(extract(epoch FROM coalesce(
                   greatest(t.submitted_at, t.started_at, b.submitted_at), now()))
                   AS double precision) END AS told_at
        FROM track.attempt t
        JOIN track.batch b ON b.id = t.batch_id AND b.ended_at IS NULL
        JOIN track.stage s ON s.id = b.stage_id
        CROSS JOIN LATERAL (
            SELECT t.external_id WHERE t.external_id IS NOT NULL
            UNION SELECT t.started_by WHERE s.kind = 'script' AND t.started_by IS NOT NULL
            UNION SELECT unnest(string_to_array(b.external_id, ','))  -- what a script said
             WHERE s.kind = 'script' AND b.external_id ~ '^[0-9]+(,[0-9]+)*$') n(native)
        WHERE t.site = :site
          AND (t.closed_at IS NULL AND t.cancel_requested_at IS NOT NULL
               -- A script's job that is done without having told its start is at its last lines.
               OR t.closed_at IS NOT NULL AND t.outcome IS DISTINCT FROM 'done'
                  AND (t.started_by IS NULL OR t.outcome = 'declared'))
        ORDER BY t.id
    """)
    rows = await tx.execute(statement, {"site": site})
    return [
        Unwanted(row.id, row.external_id, row.key, row.started, row.open, row.told_at)
        for row in rows
    ]
