"""Sites' queues and agents at a terminal."""

import asyncio

from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from refinery import connections
from refinery.addresses import of_running
from refinery.settings import Settings
from track.reports.agents import AgentSeen, agents_seen, site_queues
from track.schema.database import transact


def show(settings: Settings) -> None:
    """Print every site's queue and every agent. Raises NotRunning."""
    queues, agents = asyncio.run(ask(of_running(settings).database))
    console = Console(highlight=False)
    console.print(queues)
    console.print(agents)


async def ask(database_url: str) -> tuple[Table, Table]:
    """The two tables."""
    async with connections.database(database_url, pool=1) as engine:
        return await transact(engine, tables)


async def tables(tx: AsyncConnection) -> tuple[Table, Table]:
    """Sites with what waits for them, and the agents that are not gone."""
    queues = Table("site", "kind", "waiting", "oldest", "state")
    for row in await site_queues(tx):
        state = row.degraded or ("in use" if row.open else "switched off")
        queues.add_row(row.site, row.kind, str(row.jobs), _age(row.oldest_s, row.jobs), state)
    agents = Table("agent", "name", "site", "state", "order", "units", "heard of", "version")
    for each in await agents_seen(tx):
        agents.add_row(*_cells(each))
    if not agents.row_count:
        agents.caption = "no agent has joined: `prefect deployment run operate/agent` with `join`"
    return queues, agents


def _cells(of: AgentSeen) -> tuple[str, ...]:
    state = f"{of.state}, {of.overdue} overdue" if of.overdue else of.state
    state += f"; {of.trouble}" if of.trouble else ""
    heard = f"{_age(of.silent_s)} ago"
    return (str(of.id), of.name, of.site, state, of.order, of.units, heard, of.version or "?")


def _age(seconds: float, of: int = 1) -> str:
    if not of:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
