"""Which jobs wait and for what, at a terminal: of one specimen, of one session, or of all."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncConnection

from refinery import connections
from refinery.addresses import of_running
from refinery.old_records import left
from refinery.settings import Settings
from schemas.quarantine import REPEATED
from track.commands.selection import CannotDo, asset_row, session_row
from track.reports import waiting
from track.reports.printed import PrintedEnd, printed_ends
from track.reports.waiting_words import Waits
from track.schema.database import transact

MAX_LINES = 40
"""Jobs that are shown one by one; more are counted by what they wait for."""


def show(settings: Settings, what: str) -> None:
    """Print why what is named does not move. Raises NotRunning, and ValueError for a name that
    nothing has."""
    url = of_running(settings).database
    try:
        found = asyncio.run(ask(url, what))
        printed = asyncio.run(ask_printed(url, found))
    except CannotDo as error:
        raise ValueError(str(error)) from error
    console = Console(highlight=False)
    console.print(explained(found, printed))
    for folder in asyncio.run(left(url, what)):
        console.print(f"its records until then: {settings.records / folder}", soft_wrap=True)


async def ask(database_url: str, what: str) -> list[Waits]:
    """The jobs of an asset by its guid, of a session by its id, or (empty) those anywhere.

    Raises CannotDo when there is no such asset or session, or nothing is known of it yet.
    """
    async with connections.database(database_url, pool=1) as engine:
        return await transact(engine, _read, what)


async def ask_printed(database_url: str, found: Sequence[Waits]) -> dict[int, PrintedEnd]:
    """What was printed last for those of these jobs whose last attempt did not go well, by job.

    Asked for the jobs of one specimen only: of many it would bury the answer.
    """
    if len({each.guid for each in found}) != 1:
        return {}
    jobs = [each.job_id for each in found]
    async with connections.database(database_url, pool=1) as engine:
        ends = await transact(engine, printed_ends, jobs)
    return {job: end for job, end in ends.items() if end.outcome != "done"}


async def _read(tx: AsyncConnection, what: str) -> list[Waits]:
    if not what:
        return await waiting.anywhere(tx)
    try:
        await asset_row(tx, what)
    except CannotDo as no_asset:
        try:
            session_id = UUID(what)
        except ValueError:
            raise no_asset from None
    else:  # a guid may be read as a session's id too, and is not if there is such an asset
        return await waiting.of_asset(tx, what)
    session = await session_row(tx, session_id)
    if session.registered_at is None:
        raise CannotDo(
            f"session {what}: its specimens are not registered yet; its first dispatcher does "
            "that: are the workers up, and can its folder be read (refinery doctor)?"
        )
    return await waiting.of_session(tx, session_id)


def explained(
    found: Sequence[Waits], printed: Mapping[int, PrintedEnd] | None = None
) -> RenderableType:
    """Two lines for each job and what it `printed`, or, of many, for each thing that they wait for,
    the most first."""
    found = [each for each in found if not each.reason.startswith(REPEATED)]
    if not found:
        return "nothing stands still: all of it is over"
    if len(found) <= MAX_LINES:
        return Group(*_one_by_one(found, printed or {}))
    entries = []
    for group in _groups(found):
        first = min(group, key=lambda each: each.since)
        stage = f"{first.pipeline}/{first.stage}"
        entries.append(_entry(f"{len(group)} jobs", stage, first, "the longest since"))
    return Group(*entries)


def _one_by_one(
    found: Iterable[Waits], printed: Mapping[int, PrintedEnd]
) -> Iterator[RenderableType]:
    for each in found:
        yield _entry(each.guid, each.stage, each, "since")
        if end := printed.get(each.job_id):
            yield Padding(Text(end.words, overflow="fold"), (0, 0, 0, 4))


def _entry(whose: str, stage: str, each: Waits, since: str) -> RenderableType:
    clock = f"{each.since.astimezone():%Y-%m-%d %H:%M}"
    head = Text.assemble(
        (whose, "bold"), f"  {stage}  {each.state} ({each.kind}), {since} {clock}", overflow="fold"
    )
    until = f" (at {each.until.astimezone():%H:%M:%S})" if each.until else ""
    return Group(head, Padding(Text(each.reason + until, overflow="fold"), (0, 0, 0, 4)))


def _groups(found: Iterable[Waits]) -> list[list[Waits]]:
    groups: dict[tuple[str, ...], list[Waits]] = {}
    for each in found:
        groups.setdefault((each.pipeline, each.stage, each.state, each.kind), []).append(each)
    return sorted(groups.values(), key=lambda group: (group[0].moves, -len(group)))
