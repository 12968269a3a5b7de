"""Making batches: which of a site's queued attempts are sent together, and what each asks for."""

import json
import math
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Row, bindparam, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.agent_uploads import LIES_ELSEWHERE, UPLOADS
from track.jobs.batches import ALONE
from track.schema.arrays import any_of
from track.schema.tables import batch, stage

QUEUED = text(f"""
    SELECT t.id AS attempt, j.id AS job, j.stage_id, j.kind,
           CASE WHEN t.n > 1 THEN ARRAY(
               SELECT CASE WHEN p.exit_code = 138 AND p.outcome = 'failed' THEN 'timeout'
                           ELSE coalesce(p.outcome, '') END
               FROM track.attempt p WHERE p.job_id = t.job_id AND p.n < t.n ORDER BY p.n
           ) ELSE '{{}}' END AS outcomes
    FROM track.attempt t
    CROSS JOIN LATERAL (
        SELECT k.id, k.attempt_id, k.state, k.stage_id, k.asset_guid, s.kind, {UPLOADS} AS uploads
        FROM track.job k JOIN track.stage s ON s.id = k.stage_id WHERE k.id = t.job_id
        OFFSET 0  -- one job after another by its id, until there are enough
    ) j
    WHERE t.site = :site AND t.closed_at IS NULL AND t.batch_id IS NULL
      AND t.cancel_requested_at IS NULL
      AND j.attempt_id = t.id AND j.state = 'queued' AND j.stage_id <> ALL(:paused)
      AND (CAST(:agent AS bigint) IS NULL OR NOT {LIES_ELSEWHERE})
    ORDER BY t.priority DESC, t.position DESC, t.id
    LIMIT :limit
    FOR NO KEY UPDATE OF t SKIP LOCKED
""").bindparams(bindparam("paused", type_=ARRAY(BigInteger)))
# 138: ended by SIGUSR1, the scheduler's warning shortly before the time limit, as runners
# of earlier versions reported it themselves.

NUMBER = text("""
    UPDATE track.attempt t SET batch_id = :batch, member = m.line - 1
    FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS m(id, line) WHERE t.id = m.id
""")


@dataclass(frozen=True)
class StageLimits:
    """What is to be minded of a site's stages, by their ids: the largest arrays (0: each job
    alone), those left alone for now, and those of which one batch is tried before others."""

    max_sizes: Mapping[int, int] = field(default_factory=dict)
    paused: Collection[int] = ()
    probing: Collection[int] = ()


NO_LIMITS = StageLimits()

Shape = Callable[[dict[str, Any], Sequence[str]], dict[str, Any]]
"""From a stage's resources and the outcomes of earlier attempts: what the next one asks for."""

Queued = Sequence[Row[Any]]


def _as_asked(stage: dict[str, Any], _: Sequence[str]) -> dict[str, Any]:
    return stage


async def take_batches(
    tx: AsyncConnection,
    site: str,
    *,
    members: int,
    size: int,
    shape: Shape = _as_asked,
    batches: int | None = None,
    running: int | None = None,
    limits: StageLimits = NO_LIMITS,
) -> list[int]:
    """Put at most `members` queued attempts of a site into batches, as few as can be.

    A batch holds attempts of one stage that ask for the same resources, at most `size` (0: one,
    which is no array) and what `limits` say; an attempt that runs a script of the site's own is
    a batch by itself. With `batches` there are at most so many, and the work is spread evenly
    over them. Of all batches together `running` may run at a time, which their `throttle` sees
    to. The ids of the new batches, most urgent first.
    """
    given = {"site": site, "limit": members, "paused": list(limits.paused), "agent": None}
    rows = (await tx.execute(QUEUED, given)).all()
    if batches is not None:
        size = min(size, math.ceil(len(rows) / batches))
    taken: list[int] = []
    for piece, asked in _pieces(_groups(rows, await shapes(tx, rows, shape)), size, limits):
        if len(taken) == batches or (running is not None and running <= 0):
            break
        if running is not None:
            asked = asked | {"throttle": min(running, len(piece))}
            running -= asked["throttle"]
        taken.append(await insert_batch(tx, site, piece, asked))
    return taken


async def shapes(tx: AsyncConnection, rows: Queued, shape: Shape) -> list[str]:
    """What each of these attempts asks for, as JSON."""
    # Read once per stage: with every row it costs a third of a submission.
    stages = any_of(stage.c.id, {row.stage_id for row in rows})
    found = await tx.execute(select(stage.c.id, stage.c.resources).where(stages))
    wanted = {row.id: row.resources for row in found}
    known: dict[tuple[object, ...], str] = {}
    for row in rows:
        like = (row.stage_id, *row.outcomes)
        if like not in known:
            known[like] = json.dumps(shape(wanted[row.stage_id], row.outcomes), sort_keys=True)
    return [known[(row.stage_id, *row.outcomes)] for row in rows]


def _groups(rows: Queued, asked: Sequence[str]) -> list[tuple[Queued, str]]:
    """The attempts that may share a batch, and what each of them asks for, as JSON."""
    groups: dict[tuple[object, ...], list[Row[Any]]] = {}
    for row, like in zip(rows, asked, strict=True):
        alone = row.attempt if row.kind == "script" else None
        groups.setdefault((row.stage_id, like, alone), []).append(row)
    return [(group, str(key[1])) for key, group in groups.items()]


def _pieces(
    groups: Sequence[tuple[Queued, str]], size: int, limits: StageLimits
) -> Iterator[tuple[Queued, dict[str, Any]]]:
    """What each batch may hold; of a stage that is probed, one batch."""
    probed: set[int] = set()
    for group, shaped in groups:
        asked: dict[str, Any] = json.loads(shaped)
        stage_id = group[0].stage_id
        largest = min(size, limits.max_sizes.get(stage_id, size))
        if largest == 0 and group[0].kind != "script":
            asked |= {ALONE: True}
        step = max(1, largest)
        for first in range(0, len(group), step):
            if stage_id in probed:
                break
            if stage_id in limits.probing:
                probed.add(stage_id)
            yield group[first : first + step], asked


async def insert_batch(
    tx: AsyncConnection, site: str, members: Queued, resources: dict[str, Any], **taken_by: Any
) -> int:
    """Make a batch of attempts that the caller has locked; `taken_by` are further columns."""
    ids = [row.attempt for row in members]
    row = {"site": site, "stage_id": members[0].stage_id, "resources": resources, "members": ids}
    new = insert(batch).values(row | {"key": f"b{secrets.token_hex(6)}"} | taken_by)
    batch_id = (await tx.execute(new.returning(batch.c.id))).scalar_one()
    await tx.execute(NUMBER, {"batch": batch_id, "ids": ids})
    return int(batch_id)
