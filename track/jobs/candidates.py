"""Candidates: the ready jobs of a session that may be claimed next, read in the order of claims.

Ready jobs lie in piles: of one stage, priority and site that holds their files. An index
(`job_claim`) keeps each pile in order, so that any number of jobs costs no more than those that
are read: what is put off lies behind what is due, and a pile that is switched off, or that no site
takes, is passed over as a whole.

What a read meets and cannot be claimed is left aside, once: a job that is held for a person is
marked `held`, until `set_attention` lets its asset go on; one whose files are at a site that takes
nothing is `bound_to` that site, and so lies in another pile. Either mark is set only together with
a lock on the row it follows from, so whoever changes that row sees the mark, or is seen.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.room import RESERVED
from track.jobs.sites import BOUND, SERVES, WITHOUT_SITE

MIN_WINDOW = 320
"""How many jobs of a pile that lets specimens in are read at least, however few may be claimed:
one that is too large for what is free must not hide a smaller one."""

MIN_READ = 32
"""How many of any other pile are read at least."""

MAX_READ = 20_000
"""How many are read at most, after what had to be left aside."""

PILES = """
    pile AS (
        (SELECT j.stage_id, j.bound_to, j.priority FROM track.job j
          WHERE j.session_id = :session AND j.state = 'ready' AND NOT j.held
          ORDER BY j.stage_id, j.bound_to, j.priority LIMIT 1)
        UNION ALL
        SELECT following.* FROM pile CROSS JOIN LATERAL (
            SELECT j.stage_id, j.bound_to, j.priority FROM track.job j
             WHERE j.session_id = :session AND j.state = 'ready' AND NOT j.held
               AND (j.stage_id, j.bound_to, j.priority)
                 > (pile.stage_id, pile.bound_to, pile.priority)
             ORDER BY j.stage_id, j.bound_to, j.priority LIMIT 1) following
    )
"""
"""A session's piles, each found by its first job; the rest of it is not looked at."""

SHUT = f"""(s.kind <> 'builtin' AND NOT EXISTS (
    SELECT 1 FROM track.site t
     WHERE {SERVES} AND (pile.bound_to = '' OR NOT {BOUND} OR t.name = pile.bound_to)))"""
"""Whether no site takes any job of a pile."""

ATTENTION = """(a.attention IS NOT NULL OR (
    SELECT up.attention FROM track.asset up WHERE up.guid = a.parent_guid) IS NOT NULL)"""
"""Not by EXISTS, which may be answered by reading every asset there is."""

COLUMNS = f"""
    r.id, r.bound_to, r.priority, r.available_at, a.guid, a.parent_guid, a.size_mb, a.reserved_mb,
    s.id AS stage_id, s.key AS stage, s.kind, s.run, s.position, s.wave,
    p.id AS pipeline_id, p.name AS pipeline, s.judged_to IS NOT NULL AS unjudged,
    a.admitted_at IS NULL AND a.parent_guid IS NULL
    AND NOT (s.kind = 'builtin' AND s.run IN ('finalise', 'close_share')) AS enters,
    s.kind = 'builtin' AND s.run = 'synchronise' AS synchronises, {ATTENTION} AS by_person
"""

MINE = f"""
    s.active AND p.active AND (CAST(:pipelines AS bigint[]) IS NULL OR p.id = ANY(:pipelines)
                               OR p.name = '{RESERVED}')
    AND (CAST(:builtins AS text[]) IS NULL OR s.kind = 'builtin' AND s.run = ANY(:builtins))
"""


def _of_piles(when: str, *, shut: bool = False) -> TextClause:
    """The first jobs of each pile for which `when` is true; of those that are shut, or are not."""
    return text(f"""
        WITH RECURSIVE {PILES}, chosen AS (
            SELECT pile.*, {BOUND} AS bound, CASE WHEN EXISTS (
                SELECT 1 FROM track.edge e WHERE e.stage_id = s.id
            ) THEN CAST(:few AS bigint) ELSE CAST(:window AS bigint) END AS most
            FROM pile
            JOIN track.stage s ON s.id = pile.stage_id
            JOIN track.pipeline p ON p.id = s.pipeline_id
            WHERE {MINE} AND {"" if shut else "NOT"} {SHUT}
        )
        SELECT {COLUMNS}, chosen.most,
               {"false" if shut else f"chosen.bound AND {WITHOUT_SITE}"} AS without_site
        FROM chosen
        CROSS JOIN LATERAL (
            SELECT j.* FROM track.job j
            WHERE j.session_id = :session AND j.stage_id = chosen.stage_id
              AND j.bound_to = chosen.bound_to AND j.state = 'ready' AND NOT j.held AND {when}
              AND j.id <> ALL(CAST(:without AS bigint[]))
            ORDER BY j.priority, j.available_at, j.id LIMIT chosen.most
        ) r
        JOIN track.asset a ON a.guid = r.asset_guid
        JOIN track.stage s ON s.id = chosen.stage_id
        JOIN track.pipeline p ON p.id = s.pipeline_id
    """)


# In the terms of the index that keeps a pile in order: no other one can be taken for it.
DUE = _of_piles("""
    j.priority >= chosen.priority AND (j.priority, j.available_at) <= (chosen.priority, now())
""")
LATER = _of_piles("""
    (j.priority, j.available_at) > (chosen.priority, now()) AND j.priority <= chosen.priority
""")
NOWHERE = _of_piles("j.priority = chosen.priority", shut=True)

DUE_OF_ASSET = text(f"""
    SELECT {COLUMNS}, 0 AS most, {WITHOUT_SITE} AS without_site
    FROM track.job r
    JOIN track.asset a ON a.guid = r.asset_guid
    JOIN track.stage s ON s.id = r.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE r.asset_guid = :guid AND r.session_id = :session AND r.state = 'ready'
      AND (r.asset_guid, r.available_at) <= (:guid, now())
      AND r.id <> ALL(CAST(:without AS bigint[])) AND {MINE}
""")

DUE_IN_FLIGHT = text(f"""
    SELECT found.* FROM unnest(CAST(:stages AS bigint[])) AS of(stage_id)
    CROSS JOIN LATERAL (
        SELECT {COLUMNS}, 0 AS most, {WITHOUT_SITE} AS without_site
        FROM track.stage s
        JOIN track.pipeline p ON p.id = s.pipeline_id
        CROSS JOIN LATERAL (
            SELECT f.guid FROM track.asset f
            WHERE f.pipeline_id = p.id AND f.session_id = :session
              AND f.admitted_at IS NOT NULL AND f.released_at IS NULL
            UNION ALL
            SELECT child.guid FROM track.stage maker
            JOIN track.asset f ON f.pipeline_id = maker.pipeline_id AND f.session_id = :session
             AND f.admitted_at IS NOT NULL AND f.released_at IS NULL
            JOIN track.asset child ON child.parent_guid = f.guid
            WHERE maker.emits = p.name
        ) let_in
        JOIN track.asset a ON a.guid = let_in.guid AND a.pipeline_id = p.id
        JOIN track.job r ON r.asset_guid = a.guid AND r.stage_id = s.id
        WHERE s.id = of.stage_id AND r.state = 'ready' AND NOT r.held
          AND (r.asset_guid, r.available_at) <= (a.guid, now())
          AND r.id <> ALL(CAST(:without AS bigint[]))
          AND NOT {ATTENTION} AND NOT {WITHOUT_SITE}
        ORDER BY r.priority DESC, r.available_at, r.id
        LIMIT :few
    ) found
""")

HOLD = text("""
    WITH met AS (
        SELECT j.id FROM track.job j
        JOIN track.asset a ON a.guid = j.asset_guid
        JOIN track.asset h ON h.guid = ANY(ARRAY[a.guid, a.parent_guid])
         AND h.attention IS NOT NULL
        WHERE j.id = ANY(:jobs) AND j.state = 'ready' AND NOT j.held
        ORDER BY j.id
        FOR NO KEY UPDATE OF j SKIP LOCKED FOR SHARE OF h SKIP LOCKED
    )
    UPDATE track.job j SET held = true FROM met WHERE j.id = met.id RETURNING j.id
""")
BIND = text("""
    WITH met AS (
        SELECT j.id, f.site FROM track.job j
        JOIN track.file f ON f.id = (
            SELECT o.id FROM track.file o WHERE o.asset_guid = j.asset_guid AND o.site IS NOT NULL
             ORDER BY o.id LIMIT 1)
        WHERE j.id = ANY(:jobs) AND j.state = 'ready' AND j.bound_to <> f.site
        ORDER BY j.id
        FOR NO KEY UPDATE OF j SKIP LOCKED FOR SHARE OF f SKIP LOCKED
    )
    UPDATE track.job j SET bound_to = met.site FROM met WHERE j.id = met.id RETURNING j.id
""")
"""Neither waits for anybody: what is locked is left aside another time."""

LOCK_PIPELINES = text(f"""
    WITH RECURSIVE {PILES}
    SELECT p.id FROM track.pipeline p
    WHERE p.id IN (SELECT s.pipeline_id FROM pile JOIN track.stage s ON s.id = pile.stage_id)
      AND p.name <> '{RESERVED}'  -- it is locked after all others
    ORDER BY p.id FOR NO KEY UPDATE
""")


async def lock_pipelines(tx: AsyncConnection, session_id: UUID) -> list[int]:
    """Lock the pipelines that a session has ready jobs of, but for the reserved one; their ids."""
    return list((await tx.execute(LOCK_PIPELINES, {"session": session_id})).scalars())


class Candidates:
    """Reads the ready jobs of a session; rows of `COLUMNS`.

    `limit` is how many are wanted. `pipelines`, the reserved one always among them, and `builtins`
    narrow the choice; `without` are jobs to leave out.
    """

    def __init__(
        self,
        tx: AsyncConnection,
        session_id: UUID,
        *,
        limit: int = 1,
        pipelines: Sequence[int] | None = None,
        builtins: Iterable[str] | None = None,
        without: Iterable[int] = (),
    ) -> None:
        self._tx = tx
        self._few = max(MIN_READ, limit)
        self._window = max(MIN_WINDOW, limit * 4 + 64)
        self._given: dict[str, Any] = {
            "session": session_id,
            "pipelines": pipelines,
            "builtins": None if builtins is None else sorted(builtins),
            "without": list(without),
        }
        self._crowded: set[int] = set()

    async def due(self) -> list[Row[Any]]:
        """Those that may be claimed now, the most urgent and furthest along first."""
        found = await self._read(DUE, self._few, self._window)
        piles = Counter((row.stage_id, row.bound_to, row.priority) for row in found)
        self._crowded = {
            row.stage_id
            for row in found
            if row.enters and piles[row.stage_id, row.bound_to, row.priority] >= row.most
        }
        return _in_order(found)

    async def in_flight(self) -> list[Row[Any]]:
        """Those of specimens let in before, of stages where so many wait to be let in that `due`
        may not have come to the others. What holds these must not hide those."""
        if not self._crowded:
            return []
        given = {**self._given, "stages": sorted(self._crowded), "few": self._few}
        return _in_order((await self._tx.execute(DUE_IN_FLIGHT, given)).all())

    async def of_asset(self, guid: str) -> list[Row[Any]]:
        """Those of one asset."""
        found = await self._tx.execute(DUE_OF_ASSET, self._given | {"guid": guid})
        return _in_order(row for row in found if not (row.by_person or row.without_site))

    async def later(self) -> list[Row[Any]]:
        """The first of those that may be claimed at a later time."""
        return await self._read(LATER)

    async def nowhere(self) -> list[Row[Any]]:
        """The first of those that no site takes now."""
        return await self._read(NOWHERE)

    async def _read(
        self, statement: TextClause, few: int = MIN_READ, window: int = MIN_READ
    ) -> list[Row[Any]]:
        """The first of each pile, after what could not be taken has been left aside."""
        while True:
            given = self._given | {"few": few, "window": window}
            found = (await self._tx.execute(statement, given)).all()
            held = [row.id for row in found if row.by_person]
            bound = [row.id for row in found if row.without_site and not row.by_person]
            if not (await self._aside(HOLD, held) + await self._aside(BIND, bound)):
                return [row for row in found if not (row.by_person or row.without_site)]
            few, window = (min(MAX_READ, each * 4) for each in (few, window))

    async def _aside(self, statement: TextClause, jobs: Collection[int]) -> int:
        if not jobs:
            return 0
        return len((await self._tx.execute(statement, {"jobs": list(jobs)})).all())


def _in_order(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    later_last = sorted(rows, key=attrgetter("available_at", "id"))
    return sorted(later_last, key=lambda row: (-row.priority, -row.position))
