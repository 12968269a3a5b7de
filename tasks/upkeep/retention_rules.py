"""Showing and changing for an operator how long temporary copies stay."""

from dataclasses import dataclass, replace
from datetime import timedelta

from prefect.client.schemas.objects import State
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.yaml_lines import nearest
from tasks.archive.configured import open_tier
from tasks.upkeep.operator import answer, operating
from track.commands.operations import ResultRow
from track.commands.selection import CannotDo, pipeline_row
from track.records import retention_rules as rules
from track.records.retention_rules import Effect, RetentionRule
from track.schema.database import transact
from track.schema.history import record

PAGE = 1000
"""Copies of one transaction, whose rows it holds."""


@dataclass(frozen=True)
class RuleChange:
    """What is asked of the rule of a kind of copy, of one pipeline or of all without their own.

    `requires` empty: as it is; `reset`: the wider rule counts again.
    """

    kind: str | None
    pipeline: str | None
    days: float | None
    requires: tuple[str, ...]
    reset: bool

    @property
    def asks(self) -> bool:
        """Whether anything is to change."""
        return self.reset or self.days is not None or bool(self.requires)


async def change_retention(by: str, asked: RuleChange, *, dry_run: bool, why: str) -> State:
    """Show the rules, or change one from now on, and answer. Raises CannotDo.

    The rule counts at once; copies that stand are moved in pages. Cut off, asked again goes on.
    """
    await _check(asked)
    async with operating(by) as (engine, actor):
        if not asked.asks:
            return await answer("retention", await transact(engine, _shown, asked))
        row, rule = await transact(engine, _decide, asked, actor=actor, dry_run=dry_run, why=why)
        if not dry_run:
            await _move_standing(engine, rule)
        return await answer("retention", [row], dry_run=dry_run)


async def _check(asked: RuleChange) -> None:
    if asked.kind is None and (asked.asks or asked.pipeline):
        raise CannotDo("kind: say which copies the rule is of: ndrive, store or site")
    if asked.reset and (asked.days is not None or asked.requires):
        raise CannotDo("reset: it goes back to the wider rule; leave days and requires out")
    if not asked.requires:
        return
    async with open_tier() as tier:
        known = tier.durable_name.lower()
    for each in asked.requires:
        if each != known:
            hint = f"did you mean {known!r}?" if nearest(each, [known]) else f"there is {known!r}"
            raise CannotDo(f"requires: nobody can prove a copy of kind {each!r}; {hint}")


async def _shown(tx: AsyncConnection, asked: RuleChange) -> list[ResultRow]:
    if asked.kind is not None and asked.pipeline is not None:
        await pipeline_row(tx, asked.pipeline)
        found = [await rules.rule_for(tx, asked.kind, asked.pipeline)]
    else:
        found = await rules.read_rules(tx)
    shown = [rule for rule in found if asked.kind in (None, rule.kind)]
    return [ResultRow(_name(rule), "", str(rule), str(rule)) for rule in shown]


async def _decide(
    tx: AsyncConnection, asked: RuleChange, *, actor: str, dry_run: bool, why: str
) -> tuple[ResultRow, RetentionRule]:
    """Write the rule unless it is only tried; what it was and is, and what it moves."""
    kind = str(asked.kind)
    if asked.pipeline is not None:
        await pipeline_row(tx, asked.pipeline)
    await rules.lock_rules(tx)
    old = await rules.rule_for(tx, kind, asked.pipeline)
    new = await _wanted(tx, asked, old)
    moves = await rules.effect(tx, new)
    row = ResultRow(_name(new), "", str(old), str(new), _words(moves))
    if not dry_run:
        if asked.reset:
            await rules.forget_rule(tx, kind, asked.pipeline)
        else:
            await rules.write_rule(tx, new)
        if row.changed:
            reason = f"{_name(new)}{f': {why}' if why else ''}"
            await record(
                tx, actor=actor, what="retention.rule", old=row.was, new=row.now, why=reason
            )
    return row, new


async def _wanted(tx: AsyncConnection, asked: RuleChange, old: RetentionRule) -> RetentionRule:
    if asked.reset and asked.pipeline is not None:
        return replace(await rules.rule_for(tx, old.kind, None), pipeline=asked.pipeline)
    if asked.reset:
        return RetentionRule(old.kind, None, rules.KEEP[old.kind])
    keep = old.keep if asked.days is None else timedelta(days=asked.days)
    return replace(old, keep=keep, requires=asked.requires or old.requires)


async def _move_standing(engine: AsyncEngine, rule: RetentionRule) -> None:
    ids = await transact(engine, rules.moved_by, rule)
    for first in range(0, len(ids), PAGE):
        await transact(engine, rules.move_copies, rule, ids[first : first + PAGE])


def _name(rule: RetentionRule) -> str:
    return f"{rule.kind} copies of {rule.pipeline or 'every pipeline'}"


def _words(moves: Effect) -> str:
    if not moves.copies:
        return "no copy that stands falls due at another time"
    now = f", {moves.at_once} of them now" if moves.at_once else ""
    return (
        f"of the copies that stand, {moves.later} fall due later and {moves.earlier} earlier{now}; "
        f"{moves.mb / 1000:.1f} GB in all"
    )
