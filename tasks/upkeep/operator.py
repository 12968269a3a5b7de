"""An operator's request: who asks, on which database, and the answer they read.

The answer is a table in the Prefect UI and a line in the run's state; what was done is in
the history under `operator:<by>`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.database import RefineryDatabase
from blocks.tier import Tier, TierError
from hpc.runner.registry import names
from schemas.pipeline.load import Pipeline, load_pipelines
from schemas.storable import why_not_storable
from tasks.archive.configured import open_tier
from tasks.archive.metadata import push_pending
from track.commands import pipelines
from track.commands.back_fill import back_fill
from track.commands.operations import ResultRow, choose_to_push
from track.commands.selection import CannotDo
from track.jobs.moves import StaleMove
from track.schema.database import make_engine, transact

T = TypeVar("T")

MOST_LINES = 1000
"""Lines of an answer that are shown; the history has them all."""

OneJob = Callable[[AsyncConnection, int], Awaitable[ResultRow]]


@dataclass(frozen=True)
class OperatorRequest:
    """Where one operator's request is worked on; `actor` is who history names."""

    engine: AsyncEngine
    actor: str

    async def once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do something in one transaction."""
        return await transact(self.engine, work)

    async def each(self, job_ids: Sequence[int], work: OneJob) -> list[ResultRow]:
        """Do something to each job, in a transaction of its own; a line for each."""
        lines = []
        for job_id in job_ids:
            try:
                lines.append(await transact(self.engine, work, job_id))
            except StaleMove as error:
                lines.append(ResultRow(f"job {job_id}", "", "", "", f"it moved meanwhile: {error}"))
        return lines


@asynccontextmanager
async def operating(by: str) -> AsyncIterator[OperatorRequest]:
    """A desk for the person `by`. Raises CannotDo when they do not say who they are."""
    name = by.strip()
    if not name or why_not_storable(name) or not name.isprintable():
        raise CannotDo("by: write your name or initials; the history names you by it")
    database: RefineryDatabase = await RefineryDatabase.aload("default")
    engine = make_engine(database.address(), pool=2, overflow=2)
    try:
        yield OperatorRequest(engine, f"operator:{name}")
    finally:
        await engine.dispose()


async def answer(verb: str, lines: Sequence[ResultRow]) -> State:
    """Show what was done, and leave one line of it as the run's state."""
    run_log = get_run_logger()
    for line in lines[:MOST_LINES]:
        run_log.info("%s %s: %s → %s %s", line.guid, line.stage, line.was, line.now, line.note)
    changed = sum(line.changed for line in lines)
    summary = f"{verb}: {changed} changed, {len(lines) - changed} left as they were"
    if len(lines) == 1:
        (line,) = lines
        did = f"{line.was or '–'} → {line.now or '–'}" if line.changed else "left as it was"
        note = f" ({line.note})" if line.note else ""
        summary = f"{verb} {line.guid} {line.stage}: {did}{note}".replace(" :", ":")
    await Artifact(
        type="table",
        key=f"operate-{verb}",
        description=summary,
        data=[_shown(line) for line in lines[:MOST_LINES]],
    ).acreate()
    return Completed(message=summary)


def _shown(line: ResultRow) -> dict[str, str]:
    return {
        "what": line.guid,
        "stage": line.stage,
        "was": line.was,
        "now": line.now,
        "note": line.note,
    }


async def load_definitions(request: OperatorRequest, path: Path) -> list[ResultRow]:
    """Make the pipelines of a file, or of a folder's `*.yaml` files, those in use.

    Pipelines that are not in it stay as they are. Specimens that are here already are brought in
    line in pages; after a kill the next call, or reconcile, goes on with it. Raises CannotDo, and
    PipelineError with file, line and the nearest known word of everything that is wrong.
    """
    given = await asyncio.to_thread(_read_definitions, path)

    changed = await request.once(
        lambda tx: pipelines.edit_pipelines(tx, given, actor=request.actor)
    )
    await back_fill(request.engine)
    return [
        ResultRow(each.name, "", "", "loaded" if each.name in changed else "", _stages(each))
        for each in given
    ]


def _stages(found: Pipeline) -> str:
    return f"{len(found.stages)} stages"


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


async def push_again(
    request: OperatorRequest, guid: str | None, session_id: UUID | None, *, everything: bool
) -> list[ResultRow]:
    """Push metadata to the archive: what it is owed, or, with `everything`, all we know again.

    An asset that it does not know yet gets its metadata when it is created there.
    """
    guids = await request.once(
        lambda tx: choose_to_push(tx, guid, session_id, everything=everything, actor=request.actor)
    )
    async with open_tier() as tier:
        return [await _push(request, tier, each) for each in guids]


async def _push(request: OperatorRequest, tier: Tier, guid: str) -> ResultRow:
    try:
        number = await push_pending(request.engine, tier, guid)
    except TierError as error:
        return ResultRow(guid, "", "owed", "owed", f"the archive: {error}")
    if number is None:
        return ResultRow(guid, "", "", "", "the archive has it")
    return ResultRow(guid, "", "owed", "pushed", f"revision {number}")
