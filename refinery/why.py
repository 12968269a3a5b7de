"""What stands still and why, at a terminal: one specimen, one session, or everything at once."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from refinery.addresses import of_running
from refinery.settings import Settings
from track import waiting
from track.database import make_engine, transact
from track.selection import CannotDo, asset_row, session_row
from track.waiting_words import Waits

MOST_LINES = 40
"""Jobs that are shown one by one; more are counted by what they wait for."""


def show(settings: Settings, what: str) -> None:
    """Print why what is named does not move. Raises NotRunning, and ValueError for a name that
    nothing has."""
    try:
        found = asyncio.run(ask(of_running(settings).database, what))
    except CannotDo as error:
        raise ValueError(str(error)) from error
    Console(highlight=False).print(told(found))


async def ask(database_url: str, what: str) -> list[Waits]:
    """The jobs of an asset by its guid, of a session by its id, or (empty) those anywhere.

    Raises CannotDo when there is no such asset or session, or nothing is known of it yet.
    """
    engine = make_engine(database_url, pool=1)
    try:
        return await transact(engine, lambda tx: _read(tx, what))
    finally:
        await engine.dispose()


async def _read(tx: AsyncConnection, what: str) -> list[Waits]:
    if not what:
        return await waiting.anywhere(tx)
    try:
        session_id = UUID(what)
    except ValueError:
        await asset_row(tx, what)
        return await waiting.of_asset(tx, what)
    session = await session_row(tx, session_id)
    if session.registered_at is None:
        raise CannotDo(
            f"session {what}: its specimens are not registered yet; its first dispatcher does "
            "that: are the workers up, and can its folder be read (refinery doctor)?"
        )
    return await waiting.of_session(tx, session_id)


def told(found: list[Waits]) -> Table | str:
    """A line for each job, or, of many, for each thing that they wait for, the most first."""
    if not found:
        return "nothing stands still: all of it is over"
    if len(found) <= MOST_LINES:
        table = _table("specimen", "stage", "state", "waits for", "since", "why")
        for each in found:
            table.add_row(each.guid, each.stage, each.state, each.kind, _clock(each), _why(each))
        return table
    table = _table("jobs", "stage", "state", "waits for", "longest since", "why, as of one of them")
    for group in _groups(found):
        first = min(group, key=lambda each: each.since)
        stage = f"{first.pipeline}/{first.stage}"
        count = str(len(group))
        table.add_row(count, stage, first.state, first.kind, _clock(first), _why(first))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("since", "longest since"))
    return table


def _groups(found: Iterable[Waits]) -> list[list[Waits]]:
    groups: dict[tuple[str, ...], list[Waits]] = {}
    for each in found:
        groups.setdefault((each.pipeline, each.stage, each.state, each.kind), []).append(each)
    return sorted(groups.values(), key=lambda group: (group[0].moves, -len(group)))


def _clock(each: Waits) -> str:
    return f"{each.since.astimezone():%Y-%m-%d %H:%M}"


def _why(each: Waits) -> str:
    until = f" (at {each.until.astimezone():%H:%M:%S})" if each.until else ""
    return each.reason + until
