"""Rules of how long temporary copies stay after their asset's end, and which others must exist.

A rule is of a kind of copy, for every pipeline or for one. Where the database has none, the
constants here count. A changed rule moves the copies that stand in the due table as well; none
of them goes without the proof that prune takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.tables import pipeline

KEEP = {"ndrive": timedelta(days=7), "store": timedelta(days=1), "site": timedelta(hours=1)}
"""How long each kind of temporary copy outlives the end of its asset, unless a rule says."""

REQUIRES = ("erda",)
"""Which copies must exist before a temporary one goes, unless a rule says."""

DAY_S = 86_400.0

RULES = text("""
    SELECT r.kind, p.name AS pipeline, r.keep_days, r.requires
    FROM track.retention_rule r LEFT JOIN track.pipeline p ON p.id = r.pipeline_id
    ORDER BY r.kind, p.name NULLS FIRST
""")
FORGET = text("""
    DELETE FROM track.retention_rule
    WHERE kind = :kind AND pipeline_id IS NOT DISTINCT FROM CAST(:pipeline_id AS bigint)
""")
WRITE = text("""
    INSERT INTO track.retention_rule (kind, pipeline_id, keep_days, requires)
    VALUES (:kind, :pipeline_id, :keep_days, :requires)
""")
STANDING = """
    track.retention r JOIN track.asset a ON a.guid = r.asset_guid
    CROSS JOIN LATERAL (
        SELECT a.finalised_at + make_interval(secs => CAST(:keep_s AS double precision))
    ) n(due_at)
    WHERE r.kind = :kind AND r.done_at IS NULL AND a.finalised_at IS NOT NULL
      AND (CAST(:pipeline_id AS bigint) IS NULL OR a.pipeline_id = :pipeline_id)
      AND (CAST(:pipeline_id AS bigint) IS NOT NULL OR NOT EXISTS (
            SELECT 1 FROM track.retention_rule own
            WHERE own.kind = r.kind AND own.pipeline_id = a.pipeline_id))
      AND (r.due_at <> n.due_at AND (n.due_at > now() OR r.due_at > now() AND r.outcome IS NULL)
           OR r.requires <> CAST(:requires AS text[]))
"""
"""The copies that a rule would move. One that was looked at already, and was kept or is tried
again later, has had its time: it moves only to a time to come."""

EFFECT = text(f"""
    SELECT count(*) FILTER (WHERE n.due_at > r.due_at) AS later,
           count(*) FILTER (WHERE n.due_at < r.due_at) AS earlier,
           count(*) FILTER (WHERE n.due_at < r.due_at AND n.due_at <= now()) AS at_once,
           count(*) AS copies, coalesce(sum(a.size_mb), 0) AS mb
    FROM {STANDING}
""")
MOVED = text(f"SELECT r.id FROM {STANDING} ORDER BY r.id")
MOVE = text("""
    UPDATE track.retention r
    SET requires = CAST(:requires AS text[]),
        due_at = CASE WHEN n.due_at > now() OR r.due_at > now() AND r.outcome IS NULL
                      THEN n.due_at ELSE r.due_at END
    FROM (
        SELECT guid, finalised_at + make_interval(secs => CAST(:keep_s AS double precision))
        FROM track.asset WHERE finalised_at IS NOT NULL
    ) n(guid, due_at)
    WHERE r.id = ANY(:ids) AND r.done_at IS NULL AND n.guid = r.asset_guid
""")


@dataclass(frozen=True)
class RetentionRule:
    """How long copies of a kind stay, of one pipeline or (None) of all that have no rule."""

    kind: str
    pipeline: str | None
    keep: timedelta
    requires: tuple[str, ...] = REQUIRES

    def __str__(self) -> str:
        """As a person reads it: time, then what must exist."""
        days = self.keep.total_seconds() / DAY_S
        kept = f"{days:g} d" if days >= 1 or not days else f"{days * 24:g} h"
        return f"{kept}, once in {' and '.join(self.requires)}"


@dataclass(frozen=True)
class Effect:
    """Copies that a rule would move, and what their assets take in MB.

    `at_once`: those of the earlier ones that are due then.
    """

    later: int
    earlier: int
    at_once: int
    copies: int
    mb: int


async def read_rules(tx: AsyncConnection) -> list[RetentionRule]:
    """The rules that count: of each kind the one of every pipeline, and those of single ones."""
    found = [
        RetentionRule(row.kind, row.pipeline, timedelta(days=row.keep_days), tuple(row.requires))
        for row in await tx.execute(RULES)
    ]
    said = {rule.kind for rule in found if rule.pipeline is None}
    given = [RetentionRule(kind, None, keep) for kind, keep in KEEP.items() if kind not in said]
    return sorted([*found, *given], key=lambda rule: (rule.kind, rule.pipeline or ""))


async def rule_for(tx: AsyncConnection, kind: str, pipeline_name: str | None) -> RetentionRule:
    """The rule that counts for copies of a kind, under the name it was asked for."""
    rules = {(rule.kind, rule.pipeline): rule for rule in await read_rules(tx)}
    found = rules.get((kind, pipeline_name)) or rules[kind, None]
    return replace(found, pipeline=pipeline_name)


async def lock_rules(tx: AsyncConnection) -> None:
    """Let rules be changed by one transaction at a time."""
    await tx.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended("retention rules", 0)))
    )


async def write_rule(tx: AsyncConnection, rule: RetentionRule) -> None:
    """Have a rule count from now on."""
    given = await _values(tx, rule)
    await tx.execute(FORGET, given)
    await tx.execute(WRITE, {**given, "keep_days": rule.keep.total_seconds() / DAY_S})


async def forget_rule(tx: AsyncConnection, kind: str, pipeline_name: str | None) -> None:
    """Have the wider rule count again: that of every pipeline, or the constants."""
    await tx.execute(FORGET, await _values(tx, RetentionRule(kind, pipeline_name, timedelta())))


async def effect(tx: AsyncConnection, rule: RetentionRule) -> Effect:
    """What a rule would move of the copies that stand in the due table."""
    row = (await tx.execute(EFFECT, await _values(tx, rule))).one()
    return Effect(row.later, row.earlier, row.at_once, row.copies, int(row.mb))


async def moved_by(tx: AsyncConnection, rule: RetentionRule) -> list[int]:
    """The rows of the due table that a rule moves."""
    return list((await tx.execute(MOVED, await _values(tx, rule))).scalars())


async def move_copies(tx: AsyncConnection, rule: RetentionRule, ids: Sequence[int]) -> None:
    """Have these rows of the due table go by a rule; again changes nothing."""
    await tx.execute(MOVE, {**await _values(tx, rule), "ids": list(ids)})


async def _values(tx: AsyncConnection, rule: RetentionRule) -> dict[str, object]:
    named = select(pipeline.c.id).where(pipeline.c.name == rule.pipeline)
    return {
        "kind": rule.kind,
        "pipeline_id": None if rule.pipeline is None else (await tx.execute(named)).scalar_one(),
        "keep_s": rule.keep.total_seconds(),
        "requires": list(rule.requires),
    }
