"""Agents: rows of those who take work at sites that nobody drives, and what they may show.

An agent draws its own token; here is only its digest. Two are valid at once while it changes
them, until the new one is first used.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, insert, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.agents import AgentState, Join, Order
from schemas.launchers import LAUNCHERS, Units
from track.schema.history import record
from track.schema.tables import agent

SILENT_S = 60.0
"""An agent that was not heard of for so long counts as unavailable."""


class JoinRefused(Exception):
    """The join token is none of the site's, is too old, or is used up."""


class UnknownAgent(Exception):
    """No agent has this number and this token."""


class AgentGone(Exception):
    """The agent was declared gone: it joins again, or ends."""


@dataclass(frozen=True)
class Agent:
    """One agent as its row has it; `prefixes` are paths of ours and what they are called there."""

    id: int
    site: str
    name: str
    order: Order
    rotate: bool
    capacity: Units
    labels: frozenset[str]
    prefixes: Mapping[str, str]

    @property
    def actor(self) -> str:
        """How history calls it."""
        return f"agent:{self.id}"


COLUMNS = [agent.c[name] for name in Agent.__annotations__]


def _agent(row: Row[Any]) -> Agent:
    fields = {name: row._mapping[name] for name in Agent.__annotations__}
    more = {"capacity": Units(**row.capacity), "labels": frozenset(row.labels)}
    return Agent(**fields | more)


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


JOINS = text("""
    SELECT CAST(joins -> CAST(:token AS text) ->> 'uses' AS integer) AS uses,
           CAST(joins -> CAST(:token AS text) ->> 'until' AS timestamptz) > now() AS in_time
    FROM track.site WHERE name = :site FOR NO KEY UPDATE
""")

ALLOW = text("""
    UPDATE track.site SET joins = jsonb_build_object(CAST(:token AS text), jsonb_build_object(
        'uses', CAST(:uses AS integer), 'until', now() + make_interval(secs => :seconds)))
        || coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each(joins)
                      WHERE CAST(value ->> 'until' AS timestamptz) > now()), '{}')
    WHERE name = :site
""")


async def allow_join(tx: AsyncConnection, name: str, token: str, uses: int, seconds: float) -> None:
    """Let so many machines become agents of a site with this token, for so many seconds."""
    row = {"site": name, "token": digest(token), "uses": uses, "seconds": seconds}
    await tx.execute(ALLOW, row)


async def join(tx: AsyncConnection, name: str, shown: str, body: Join) -> Agent:
    """Make a machine that shows a join token an agent of site `name`.

    One that comes again with the same token of its own is the same agent. Raises JoinRefused.
    """
    join_id = digest(shown)
    allowed = (await tx.execute(JOINS, {"site": name, "token": join_id})).one_or_none()
    if allowed is None or allowed.uses is None:
        raise JoinRefused(f"not a join token of site {name}")
    by_token = select(*COLUMNS, agent.c.tokens).where(agent.c.joined_by == join_id)
    known = (await tx.execute(by_token.order_by(agent.c.id))).all()
    for row in known:
        if digest(body.token) in row.tokens:
            return _agent(row)
    if not allowed.in_time:
        raise JoinRefused("the join token is too old: ask for another one")
    if len(known) >= allowed.uses:
        raise JoinRefused("the join token is used up: ask for another one")
    new = {
        "site": name,
        "name": body.name,
        "joined_by": join_id,
        "tokens": [digest(body.token)],
        "capacity": body.capacity.model_dump(),
        "labels": sorted(set(body.labels)),
        "facts": body.facts,
        "version": body.version,
        "seen_at": func.now(),
    }
    made = (await tx.execute(insert(agent).values(new).returning(*COLUMNS))).one()
    found = _agent(made)
    why = f"agent {found.name} of site {name}"
    await record(tx, actor=found.actor, what="agent.joined", new=str(found.id), why=why)
    return found


async def find_by_token(tx: AsyncConnection, agent_id: int, token: str) -> Agent:
    """The agent that shows this token; an older one of its tokens ends with the first use of the
    newest. Raises UnknownAgent and AgentGone."""
    statement = select(*COLUMNS, agent.c.tokens, agent.c.gone_at).where(agent.c.id == agent_id)
    row = (await tx.execute(statement)).one_or_none()
    shown = digest(token)
    if row is None or shown not in row.tokens:
        raise UnknownAgent("not the token of an agent")
    if row.gone_at is not None:
        raise AgentGone(f"agent {agent_id} was declared gone at {row.gone_at:%Y-%m-%d %H:%M} UTC")
    if len(row.tokens) > 1 and shown == row.tokens[-1]:
        mine = update(agent).where(agent.c.id == agent_id, agent.c.tokens == row.tokens)
        await tx.execute(mine.values(tokens=[shown]))
    return _agent(row)


async def add_token(tx: AsyncConnection, found: Agent, shown: str, new: str) -> None:
    """Let an agent use another token, beside the one that it shows now."""
    tokens = [digest(shown), digest(new)]
    mine = update(agent).where(agent.c.id == found.id).values(tokens=tokens, rotate=False)
    await tx.execute(mine)
    await record(tx, actor=found.actor, what="agent.token", new=str(found.id), why="it changed it")


async def lock_agent(tx: AsyncConnection, agent_id: int) -> Agent:
    """Hold an agent's row, and read it as it stands now. Raises AgentGone."""
    mine = _present(agent_id).with_for_update(key_share=True)
    row = (await tx.execute(mine)).one_or_none()
    if row is None:
        raise AgentGone(f"agent {agent_id} was declared gone")
    return _agent(row)


def _present(agent_id: int) -> Select[Any]:
    return select(*COLUMNS).where(agent.c.id == agent_id, agent.c.gone_at.is_(None))


async def note_seen(
    tx: AsyncConnection, agent_id: int, says: AgentState | None = None, **values: Any
) -> None:
    """Note that an agent was heard of, and what it says of itself."""
    if says is not None:
        values |= {"facts": says.facts} if says.facts else {}
        values |= {"version": says.version} if says.version else {}
    await tx.execute(
        update(agent).where(agent.c.id == agent_id).values(seen_at=func.now(), **values)
    )


async def prefixes_of(tx: AsyncConnection, agent_id: int | None) -> Mapping[str, str]:
    """What an agent's machine calls paths that begin so; None: nobody's."""
    if agent_id is None:
        return {}
    row = select(agent.c.prefixes).where(agent.c.id == agent_id)
    return (await tx.execute(row)).scalar_one_or_none() or {}


def silent_s() -> Any:
    """A column: for how many seconds an agent was not heard of."""
    return func.extract("epoch", func.now() - func.coalesce(agent.c.seen_at, agent.c.joined_at))


async def present_agents(tx: AsyncConnection, name: str | None = None) -> Sequence[Row[Any]]:
    """Every agent that is not gone, of one site or of all, with how long it has been silent."""
    rows = select(agent, silent_s().label("silent_s")).where(agent.c.gone_at.is_(None))
    if name is not None:
        rows = rows.where(agent.c.site == name)
    return (await tx.execute(rows.order_by(agent.c.site, agent.c.id))).all()


async def capacity_of_site(tx: AsyncConnection, name: str) -> Units:
    """Units of all agents of a site that take work and were heard of lately."""
    total = [
        func.coalesce(func.sum(agent.c.capacity[each].as_integer()), 0).label(each)
        for each in LAUNCHERS
    ]
    takes = (agent.c.order == "run") & (silent_s() < literal_column(str(SILENT_S)))
    mine = select(*total).where(agent.c.site == name, agent.c.gone_at.is_(None), takes)
    row = (await tx.execute(mine)).one()
    return Units(process=row.process, scheduler=row.scheduler)


def state_of(row: Row[Any]) -> str:
    """What a present agent is doing, in a word: unavailable, connected, idle or processing."""
    if row.silent_s > SILENT_S:
        return "unavailable"
    if row.load is None:
        return "connected"
    return "processing" if row.held else "idle"
