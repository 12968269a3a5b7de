"""What operators ask for: who asks, what is done, and the answer they read.

The answer is a table in the Prefect UI and a line in the run's state; what was done is in
the history under `operator:<by>`.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prefect.artifacts import Artifact, acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.storable import why_not_storable
from tasks.upkeep.database import open_database
from track.commands.agents import allow_joining
from track.commands.operations import ResultRow
from track.commands.selection import CannotDo
from track.jobs.moves import StaleMove
from track.schema.database import transact

MAX_LINES = 1000
"""Lines of an answer that are shown; the history has them all."""

PAGE = 250
"""Jobs of one transaction, which holds their rows and those of what follows from them."""


@asynccontextmanager
async def operating(by: str) -> AsyncIterator[tuple[AsyncEngine, str]]:
    """The database, and how history names `by`. Raises CannotDo without a name."""
    name = by.strip()
    if not name or why_not_storable(name) or not name.isprintable():
        raise CannotDo("by: write your name or initials; the history names you by it")
    async with open_database() as engine:
        yield engine, f"operator:{name}"


async def do_once(
    verb: str,
    by: str,
    work: Callable[..., Awaitable[ResultRow | list[ResultRow]]],
    *args: Any,
    **named: Any,
) -> State:
    """Do something in one transaction, and answer. Raises CannotDo."""
    async with operating(by) as (engine, actor):
        lines = await transact(engine, work, *args, actor=actor, **named)
        return await answer(verb, lines if isinstance(lines, list) else [lines])


async def do_to_jobs(
    verb: str,
    by: str,
    choose: Callable[[AsyncConnection], Awaitable[Sequence[int]]],
    work: Callable[..., Awaitable[ResultRow]],
    *args: Any,
    why: str,
) -> State:
    """Do something to each job chosen, in a transaction of its own, and answer.

    Raises CannotDo.
    """
    async with operating(by) as (engine, actor):
        lines = []
        for job_id in await transact(engine, choose):
            try:
                lines.append(await transact(engine, work, job_id, *args, actor=actor, why=why))
            except StaleMove as error:
                lines.append(ResultRow(f"job {job_id}", "", "", "", f"it moved meanwhile: {error}"))
        return await answer(verb, lines)


async def do_to_pages(
    verb: str,
    by: str,
    choose: Callable[[AsyncConnection], Awaitable[Sequence[int]]],
    work: Callable[..., Awaitable[list[ResultRow]]],
    *,
    why: str,
) -> State:
    """Do something to the jobs chosen, a page in each transaction, and answer.

    Cut off, it has done the pages it told of; asked again, it goes on. Raises CannotDo.
    """
    async with operating(by) as (engine, actor):
        chosen = await transact(engine, choose)
        lines: list[ResultRow] = []
        for first in range(0, len(chosen), PAGE):
            page = chosen[first : first + PAGE]
            lines += await transact(engine, work, page, actor=actor, why=why)
            get_run_logger().info("%s: %d of %d jobs", verb, len(lines), len(chosen))
        return await answer(verb, lines)


async def answer(verb: str, lines: Sequence[ResultRow], *, dry_run: bool = False) -> State:
    """Show what was done, or would be, and leave one line of it as the run's state."""
    run_log = get_run_logger()
    for line in lines[:MAX_LINES]:
        run_log.info("%s %s: %s → %s %s", line.guid, line.stage, line.was, line.now, line.note)
    changed = sum(line.changed for line in lines)
    summary = f"{verb}: {changed} changed, {len(lines) - changed} left as they were"
    if len(lines) == 1:
        (line,) = lines
        did = f"{line.was or '–'} → {line.now or '–'}" if line.changed else "left as it was"
        note = f" ({line.note})" if line.note else ""
        summary = f"{verb} {line.guid} {line.stage}: {did}{note}".replace(" :", ":")
    if dry_run:
        summary = f"nothing was done; {summary}"
    shown = [
        {
            "what": each.guid,
            "stage": each.stage,
            "was": each.was,
            "now": each.now,
            "note": each.note,
        }
        for each in lines[:MAX_LINES]
    ]
    key = f"operate-{verb}"
    await Artifact(type="table", key=key, description=summary, data=shown).acreate()
    return Completed(message=summary)


async def let_join(by: str, site: str, machines: int, hours: float) -> State:
    """Make a token with which machines join a site. Raises CannotDo.

    It is shown in an artifact and nowhere else: good for so many machines, and not for long.
    """
    token = secrets.token_urlsafe(32)
    async with operating(by) as (engine, actor):
        line = await transact(engine, allow_joining, site, token, machines, hours, actor=actor)
        shown = (
            f"Join token of site `{site}`, for {machines} machine(s) within {hours:g} h:\n\n"
            f"    {token}\n\n"
            f"On the machine: `refinery-agent join --site {site} …`, which asks for it."
        )
        await acreate_markdown_artifact(key="operate-agent-join", markdown=shown)
        return await answer("agent", [line])
