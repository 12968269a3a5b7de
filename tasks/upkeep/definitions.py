"""Loading pipelines' definitions for an operator, who sees first what it will do."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.runner.registry import names
from schemas.pipeline.load import Pipeline, load_pipelines
from tasks.upkeep.operator import MAX_LINES, answer, operating
from track.commands import pipelines
from track.commands.back_fill import back_fill
from track.commands.operations import ResultRow
from track.commands.pipeline_plan import PipelinePlan, definition_hashes, plan_pipelines
from track.commands.selection import CannotDo
from track.schema.database import transact


async def load_definitions(by: str, path: Path, *, dry_run: bool) -> State:
    """Make the pipelines of a file, or of a folder's `*.yaml` files, those in use.

    What it will do is shown first, in the log and as an artifact. Pipelines that are not in it
    stay as they are. Specimens that are here already are brought in line in pages; after a kill the
    next call, or reconcile, goes on with it. Raises CannotDo, and PipelineError with file, line and
    the nearest known word of everything that is wrong.
    """
    async with operating(by) as (engine, actor):
        given = await asyncio.to_thread(_read_definitions, path)
        plan = await transact(engine, _plan, given)
        await _show(plan, [each.name for each in given])
        if not dry_run:
            await transact(engine, _load, given, plan, actor=actor)
            await back_fill(engine)
        return await answer("pipeline", [_line(each, plan) for each in given], dry_run=dry_run)


async def _plan(tx: AsyncConnection, given: Sequence[Pipeline]) -> PipelinePlan:
    await pipelines.check_pipelines(tx, given)
    return await plan_pipelines(tx, given)


async def _load(
    tx: AsyncConnection, given: Sequence[Pipeline], plan: PipelinePlan, *, actor: str
) -> None:
    """Load them if they still are what the plan was made from. Raises CannotDo."""
    await pipelines.lock_pipelines(tx)
    if await definition_hashes(tx, list(plan.made_from)) != plan.made_from:
        raise CannotDo("path: somebody loaded these pipelines meanwhile; run it again to see why")
    await pipelines.edit_pipelines(tx, given, actor=actor)


async def _show(plan: PipelinePlan, names: Sequence[str]) -> None:
    for each in plan.changes:
        get_run_logger().info(
            "plan: %s %s %s: %s → %s, %d jobs %s", each.pipeline, each.stage or "itself", each.what,
            each.was or "–", each.now or "–", each.jobs, each.note,
        )  # fmt: skip
    if not plan.changes:
        get_run_logger().info("plan: nothing changes")
    page = plan_page(plan, names)
    await acreate_markdown_artifact(key="operate-pipeline-plan", markdown=page)


def plan_page(plan: PipelinePlan, names: Sequence[str]) -> str:
    """The plan as a person reads it."""
    unchanged = [name for name in names if not plan.of(name)]
    parts = ["## Plan"]
    if plan.changes:
        rows = [
            f"| {_cell(each.pipeline)} | {_cell(each.stage)} | {each.what} | {_cell(each.was)} "
            f"| {_cell(each.now)} | {each.jobs:,} | {_cell(each.note)} |"
            for each in plan.changes[:MAX_LINES]
        ]
        head = [
            "| pipeline | stage | what | was | now | jobs | which |",
            "|---|---|---|---|---|---|---|",
        ]
        parts += ["\n".join([*head, *rows])]
    if unchanged:
        parts.append(f"Unchanged: {', '.join(unchanged)}.")
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _line(new: Pipeline, plan: PipelinePlan) -> ResultRow:
    changes = plan.of(new.name)
    if not changes:
        return ResultRow(new.name, "", "", "", f"unchanged, {len(new.stages)} stages")
    counted = Counter(each.what for each in changes)
    words = ", ".join(f"{number} {what}" for what, number in counted.items())
    to_come = sum(each.jobs for each in changes if each.what == "added")
    jobs = f"; {to_come:,} jobs to come" if to_come else ""
    return ResultRow(new.name, "", "", "loaded", f"{len(new.stages)} stages: {words}{jobs}")


def _read_definitions(path: Path) -> list[Pipeline]:
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise CannotDo(f"path: {path} holds no .yaml file; name the folder of the pipelines")
    found: list[Pipeline] = []
    for each in files:
        try:
            text = each.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CannotDo(
                f"path: {each} cannot be read ({error}); it is looked for on the worker's host"
            ) from error
        found += load_pipelines(text, str(each), names())
    return found
