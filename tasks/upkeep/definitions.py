"""Loading pipelines' definitions for an operator."""

import asyncio
from pathlib import Path

from prefect.client.schemas.objects import State

from hpc.runner.registry import names
from schemas.pipeline.load import Pipeline, load_pipelines
from tasks.upkeep.operator import answer, operating
from track.commands import pipelines
from track.commands.back_fill import back_fill
from track.commands.operations import ResultRow
from track.commands.selection import CannotDo
from track.schema.database import transact


async def load_definitions(by: str, path: Path) -> State:
    """Make the pipelines of a file, or of a folder's `*.yaml` files, those in use.

    Pipelines that are not in it stay as they are. Specimens that are here already are brought in
    line in pages; after a kill the next call, or reconcile, goes on with it. Raises CannotDo, and
    PipelineError with file, line and the nearest known word of everything that is wrong.
    """
    async with operating(by) as (engine, actor):
        given = await asyncio.to_thread(_read_definitions, path)
        changed = await transact(engine, pipelines.edit_pipelines, given, actor=actor)
        await back_fill(engine)
        lines = [
            ResultRow(each.name, "", "", "loaded" if each.name in changed else "",
                      f"{len(each.stages)} stages")
            for each in given
        ]  # fmt: skip
        return await answer("pipeline", lines)


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
