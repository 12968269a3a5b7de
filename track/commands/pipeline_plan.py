"""What loading a definition would do: stages added, taken out, re-parented or changed, and to how
many jobs. It is counted once, before an operator's load, and changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.load import Pipeline
from track.schema.arrays import array_of
from track.schema.states import IN_HAND, State
from track.schema.tables import pipeline

ASSETS = text("""
    SELECT count(*) AS assets,
           count(*) FILTER (WHERE finalised_at IS NOT NULL OR released_at IS NOT NULL) AS over
    FROM track.asset WHERE pipeline_id = (SELECT id FROM track.pipeline WHERE name = :name)
""")
JOBS = text(f"""
    SELECT s.key, coalesce(sum(c.jobs) FILTER (
               WHERE c.state IN ('waiting', 'ready', 'absent')), 0)::bigint AS not_begun,
           coalesce(sum(c.jobs) FILTER (
               WHERE c.state = ANY({array_of(sorted(IN_HAND))})), 0)::bigint AS in_hand,
           coalesce(sum(c.jobs) FILTER (WHERE c.state = '{State.DONE}'), 0)::bigint AS done
    FROM track.stage s
    LEFT JOIN LATERAL (  -- the index job_stage alone is read
        SELECT j.state, count(*) AS jobs FROM track.job j WHERE j.stage_id = s.id GROUP BY j.state
    ) c ON true
    WHERE s.archived_at IS NULL
      AND s.pipeline_id = (SELECT id FROM track.pipeline WHERE name = :name)
    GROUP BY s.key
""")


@dataclass(frozen=True)
class PlannedChange:
    """One thing that a load changes. `stage` is empty for the pipeline itself.

    `what` is added, taken out, re-parented or changed; `jobs` are those that come or go another
    way, and `note` says which, and what stays.
    """

    pipeline: str
    stage: str
    what: str
    was: str
    now: str
    jobs: int = 0
    note: str = ""


@dataclass(frozen=True)
class PipelinePlan:
    """All that a load changes, and the hashes of the definitions that it was made from."""

    changes: tuple[PlannedChange, ...]
    made_from: Mapping[str, str | None]

    def of(self, name: str) -> list[PlannedChange]:
        """The changes of one pipeline."""
        return [each for each in self.changes if each.pipeline == name]


async def plan_pipelines(tx: AsyncConnection, given: Sequence[Pipeline]) -> PipelinePlan:
    """What loading these pipelines would do to those that are loaded."""
    rows = await tx.execute(select(pipeline.c.name, pipeline.c.definition))
    known = {row.name: row.definition for row in rows}
    changes = [
        change
        for new in given
        for change in await _changes(tx, new, known.get(new.name) or {"stages": []})
    ]
    return PipelinePlan(tuple(changes), await definition_hashes(tx, [new.name for new in given]))


async def definition_hashes(tx: AsyncConnection, names: Sequence[str]) -> dict[str, str | None]:
    """The hashes of these pipelines' definitions as they are loaded; None: it is not there."""
    rows = await tx.execute(select(pipeline.c.name, pipeline.c.definition_hash))
    known = {row.name: row.definition_hash for row in rows}
    return {name: known.get(name) for name in sorted(names)}


async def _changes(
    tx: AsyncConnection, new: Pipeline, old: Mapping[str, Any]
) -> list[PlannedChange]:
    wanted = new.definition()
    if wanted == old:
        return []
    assets = (await tx.execute(ASSETS, {"name": new.name})).one()
    jobs = {row.key: row for row in await tx.execute(JOBS, {"name": new.name})}
    before = {each["key"]: each for each in old["stages"]}
    after = {each["key"]: each for each in wanted["stages"]}
    changes = []
    for key, stage in after.items():
        if key not in before:
            again = f"; {assets.over} specimens that were over go on" if assets.over else ""
            note = f"one for each specimen of it, unless a rule leaves it out{again}"
            changes.append(
                PlannedChange(new.name, key, "added", "", _run(stage), assets.assets, note)
            )
        else:
            changes += _changed_stage(new.name, before[key], stage, jobs.get(key))
    changes += [
        _taken_out(new.name, before[key], jobs.get(key)) for key in before if key not in after
    ]
    order_old, order_new = [*before], [*after]
    if not changes and order_old != order_new:
        changes.append(
            PlannedChange(new.name, "", "changed", ", ".join(order_old), ", ".join(order_new))
        )
    return [*changes, *_changed_values(new.name, "", old, wanted, {"pipeline", "stages"}, 0, "")]


def _changed_stage(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], jobs: Any
) -> list[PlannedChange]:
    waiting = jobs.not_begun if jobs else 0
    found = []
    was, now = _needs(old), _needs(new)
    if was != now:
        note = "those that have not begun wait for it; what is done stays done"
        found.append(PlannedChange(name, new["key"], "re-parented", was, now, waiting, note))
    note = "from the next claim on; what is under way or done stays"
    return found + _changed_values(name, new["key"], old, new, {"key", "needs"}, waiting, note)


def _changed_values(
    name: str,
    stage: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    others: set[str],
    jobs: int,
    note: str,
) -> list[PlannedChange]:
    return [
        PlannedChange(
            name, stage, "changed", _shown(each, old), _shown(each, new), jobs, note
        )
        for each in sorted((old.keys() | new.keys()) - others)
        if old.get(each) != new.get(each)
    ]  # fmt: skip


def _taken_out(name: str, old: Mapping[str, Any], jobs: Any) -> PlannedChange:
    if jobs is None:
        return PlannedChange(name, old["key"], "taken out", _run(old), "")
    note = f"left out; {jobs.in_hand} under way go on to their end, {jobs.done} done stay"
    return PlannedChange(name, old["key"], "taken out", _run(old), "", jobs.not_begun, note)


def _run(stage: Mapping[str, Any]) -> str:
    needs = _needs(stage)
    return f"{stage['run']}{f', {needs}' if needs else ''}"


def _needs(stage: Mapping[str, Any]) -> str:
    """Whom a stage waits for, as a person reads it."""
    words = []
    for need in stage.get("needs", ()):
        of = need.get("of")
        whose = f" of {of if isinstance(of, str) else json.dumps(of)}" if of else ""
        accept = f" ({' or '.join(need['accept'])})" if "accept" in need else ""
        words.append(f"{need['stage']}{whose}{accept}")
    return f"needs {', '.join(words)}" if words else ""


def _shown(name: str, values: Mapping[str, Any]) -> str:
    if name not in values:
        return f"no {name}"
    return f"{name}: {json.dumps(values[name], ensure_ascii=False)}"
