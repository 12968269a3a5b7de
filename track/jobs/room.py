"""Room: what the throttles of pipelines, and that of the archive as a whole, still leave free.

An asset is admitted once, at its root, with the megabytes its children will need; children
and closing stages are never held, so nothing can dead-lock. Shares count as they are.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.load import Throttle
from track.schema.history import record
from track.schema.tables import pipeline

RESERVED = "UNREADABLE"
"""The pipeline of unreadable assets, which is there always and is nobody's: the bound of the
archive as a whole stands in its row, so that it is locked and counted with the pipelines'.
`track.commands.pipelines` makes it."""

IN_FLIGHT = text("""
    WITH share AS (
        SELECT coalesce(parent_guid, guid) AS root, sum(share_mb) AS mb
        FROM track.asset WHERE share_mb IS NOT NULL GROUP BY 1
    ), loose AS (
        -- Open though their specimen does not count: it has failed, or is to be let in again.
        SELECT a.pipeline_id, jsonb_object_agg(a.guid, share.mb) AS mb
        FROM share JOIN track.asset a ON a.guid = share.root
        WHERE a.admitted_at IS NULL OR a.released_at IS NOT NULL GROUP BY a.pipeline_id
    )
    SELECT p.id, p.throttle,
           count(a.guid) AS assets,
           coalesce(sum(a.size_mb), 0) AS new_mb,
           coalesce(sum(a.reserved_mb), 0) AS derivatives_mb,
           coalesce(sum(greatest(a.size_mb + a.reserved_mb, share.mb)), 0) AS shares_mb,
           coalesce((SELECT loose.mb FROM loose WHERE loose.pipeline_id = p.id), '{}') AS loose,
           (SELECT count(*) FROM track.job j JOIN track.stage s ON s.id = j.stage_id
             WHERE s.pipeline_id = p.id AND s.kind = 'builtin' AND s.run = 'synchronise'
               AND j.state = 'claimed') AS synchronising
    FROM track.pipeline p
    LEFT JOIN LATERAL (
        SELECT f.guid, f.size_mb, f.reserved_mb FROM track.asset f
        WHERE f.pipeline_id = p.id
          AND f.admitted_at IS NOT NULL AND f.released_at IS NULL AND f.parent_guid IS NULL
          -- Where nothing bounds how many there are, they may be any number: not counted.
          AND (CAST(:pipelines AS bigint[]) IS NULL
               OR jsonb_strip_nulls(p.throttle) - 'synchronising' <> '{}')
        OFFSET 0
    ) a ON true
    LEFT JOIN share ON share.root = a.guid
    WHERE CAST(:pipelines AS bigint[]) IS NULL OR p.id = ANY(:pipelines)
    GROUP BY p.id
""")
"""What counts against the throttles; a specimen in flight has at least what was reserved for it."""


COUNTED = ("assets", "new_mb", "derivatives_mb", "shares_mb", "synchronising")
"""What of it adds up over pipelines."""


@dataclass
class Room:
    """What a throttle still leaves free: a pipeline's, or that of the archive as a whole.

    `loose` are the MB of open shares by specimens that do not count as in flight. A pipeline's
    room may be part of a `whole` that has to have room as well.
    """

    throttle: Throttle
    assets: int = 0
    new_mb: int = 0
    derivatives_mb: int = 0
    shares_mb: int = 0
    synchronising: int = 0
    loose: dict[str, int] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)
    whole: "Room | None" = None

    def admits(self, candidate: Any) -> bool:
        """Whether this candidate may start now; counts it when it may."""
        rooms = [self] if self.whole is None else [self, self.whole]
        if not all(room._has_room(candidate) for room in rooms):
            return False
        for room in rooms:
            room._take(candidate)
        return True

    def _has_room(self, candidate: Any) -> bool:
        limit = self.throttle.synchronising
        if candidate.synchronises and not _fits(self.synchronising + 1, limit):
            return False
        return not self._enters(candidate) or self._lets_in(candidate)

    def _enters(self, candidate: Any) -> bool:
        """Whether it lets a specimen in: once, whichever of its first stages comes first."""
        return candidate.enters and candidate.guid not in self.entered

    def _lets_in(self, candidate: Any) -> bool:
        """One that is larger than the whole allowance is let in when it is alone.

        So is one whose share is open: others that wait with theirs open would wait for ever.
        """
        limit, own, children = self.throttle, candidate.size_mb, candidate.reserved_mb
        elsewhere = sum(mb for guid, mb in self.loose.items() if guid != candidate.guid)
        shares_mb = self.shares_mb + elsewhere
        if not self.assets and (not elsewhere or candidate.guid in self.loose):
            return True
        return (
            _fits(self.assets + 1, limit.assets_in_flight)
            and _fits(self.new_mb + own, limit.new_assets_mb)
            and _fits(self.derivatives_mb + children, limit.derivatives_mb)
            and _fits(shares_mb + self._needs(candidate), limit.open_shares_mb)
        )

    def _needs(self, candidate: Any) -> int:
        """MB of shares that it will have; one whose share is open has these already."""
        promised: int = candidate.size_mb + candidate.reserved_mb
        return max(promised, self.loose.get(candidate.guid, 0))

    def _take(self, candidate: Any) -> None:
        self.synchronising += candidate.synchronises
        if self._enters(candidate):
            self.entered.add(candidate.guid)
            self.assets += 1
            self.new_mb += candidate.size_mb
            self.derivatives_mb += candidate.reserved_mb
            self.shares_mb += self._needs(candidate)
            self.loose.pop(candidate.guid, None)


def _fits(value: int, limit: int | None) -> bool:
    return limit is None or value <= limit


async def rooms_of(
    tx: AsyncConnection, pipelines: set[int], *, to_count: bool = False
) -> dict[int, Room]:
    """What the throttles of these pipelines, and that of the archive, leave free.

    `to_count` locks the archive's bound until the transaction ends: all claims that let
    somebody in, or synchronise, wait for one another where there is one.
    """
    bound = await archive_throttle(tx, to_count=to_count)
    found = await tx.execute(IN_FLIGHT, {"pipelines": None if bound else sorted(pipelines)})
    rooms = {row.id: _room(row) for row in found}
    if bound is not None:
        parts = rooms.values()
        counted = {name: sum(getattr(each, name) for each in parts) for name in COUNTED}
        whole = Room(bound, **counted)
        for room in parts:
            whole.loose |= room.loose
            room.whole = whole
    return rooms


def _room(row: Any) -> Room:
    counted = {name: getattr(row, name) for name in COUNTED}
    return Room(Throttle.model_validate(row.throttle), **counted, loose=row.loose)


async def set_archive_throttle(tx: AsyncConnection, bound: Throttle, *, actor: str) -> bool:
    """Bound what all pipelines together, derivatives' included, have in the archive.

    Whether that is another bound than before.
    """
    new = bound.model_dump(mode="json", exclude_none=True)
    mine = select(pipeline.c.throttle).where(pipeline.c.name == RESERVED)
    held = (await tx.execute(mine.with_for_update(key_share=True))).scalar_one()
    old = {name: value for name, value in held.items() if value is not None}
    if new == old:
        return False
    row = update(pipeline).where(pipeline.c.name == RESERVED)
    await tx.execute(row.values(throttle=new))
    await record(tx, actor=actor, what="archive.throttle", old=str(old), new=str(new))
    return True


async def archive_throttle(tx: AsyncConnection, *, to_count: bool = False) -> Throttle | None:
    """The bound, or None without one. `to_count` keeps others from counting until the end."""
    mine = select(pipeline.c.throttle).where(pipeline.c.name == RESERVED)
    found = Throttle.model_validate((await tx.execute(mine)).scalar_one_or_none() or {})
    if found == Throttle():
        return None
    if to_count:
        held = mine.with_for_update(key_share=True)
        found = Throttle.model_validate((await tx.execute(held)).scalar_one())
    return found
