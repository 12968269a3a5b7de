"""What is decided about agents: by operators, by their leases, and by evidence that one is gone.

Silence is no evidence: what a silent agent holds waits for it, longer each time, before another
gets it. Somebody who knows that it is gone says so, and its work is given on at once.
"""

from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.agents import Order
from schemas.backoff import Backoff
from schemas.launchers import LAUNCHERS, Units
from schemas.sites import CAPABILITIES
from track.commands.attention import hold
from track.commands.messages import Ending, end_without_result, take
from track.commands.operations import ResultRow
from track.commands.selection import CannotDo, site_row
from track.commands.site_health import recover, seen
from track.jobs.agent_leases import expired, held_by, outputs_at
from track.jobs.agent_uploads import make_again
from track.jobs.agents import allow_join
from track.jobs.attempts import lock_attempt, note_reason
from track.jobs.outputs import note_retrieved
from track.records.inbox import Received
from track.records.wake import notify_driver
from track.schema.history import record
from track.schema.tables import agent

GRACE = Backoff(300.0, 3600.0)
"""How long after its lease ran out an attempt is left to its agent, by how often in a row its job
was lost."""

LOSSES = 5
"""After so many in a row a person is asked: it may be the job that brings its machines down."""

ACTOR = "leases"
AT_ONCE = 200

SEEN_LATELY = text("""
    SELECT seen_at > now() - interval '15 seconds' AND degraded IS NULL
    FROM track.site WHERE name = :site
""")


async def note_at_work(tx: AsyncConnection, site: str) -> None:
    """Note that somebody takes a site's work; one that had nobody is in use again."""
    if not (await tx.execute(SEEN_LATELY, {"site": site})).scalar_one_or_none():
        await seen(tx, site)
        await recover(tx, site)


async def reap(tx: AsyncConnection) -> list[str]:
    """Look after attempts whose leases ran out, a line for each that is given on.

    Until its time has come a job says for whom it waits; then its attempt is lost, without a try.
    """
    lines = []
    for row in await expired(tx, AT_ONCE):
        grace_s = GRACE.pause_s(row.losses + 1)
        silent = f"agent {row.agent} was not heard of since {row.seen_at:%Y-%m-%d %H:%M} UTC"
        if row.over_s < grace_s:
            left_min = round((grace_s - row.over_s) / 60)
            why = f"{silent}; in {left_min} min its work is given to another"
            await note_reason(tx, row.id, why)
        elif await _lose(tx, row.id, silent, actor=ACTOR):
            lines.append(f"attempt {row.id}: {silent}")
            await _ask_about(tx, row.id, row.losses + 1)
    return lines


async def _ask_about(tx: AsyncConnection, attempt_id: int, losses: int) -> None:
    """Have a person look at an asset whose job is lost again and again."""
    of = await lock_attempt(tx, attempt_id)
    if of is not None and losses >= LOSSES:
        note = f"{of.attempt.stage} was lost {LOSSES} times in a row: does it end its machines?"
        await hold(tx, of.attempt.guid, [note], actor=ACTOR)


async def _lose(tx: AsyncConnection, attempt_id: int, why: str, *, actor: str) -> bool:
    """End an attempt as lost, without a try; False when it has ended meanwhile."""
    of = await lock_attempt(tx, attempt_id)
    if of is None or not of.attempt.current:
        return False
    found = of.attempt
    path = f"/attempts/{found.id}/lost"
    entry = Received(f"lost|{found.id}", path, "lost", {"why": why}, found.guid, found.id)
    ending = Ending("lost", why, uses_try=False, delay_s=0.0, actor=actor)

    async def work(tx: AsyncConnection, _: Any) -> None:
        await end_without_result(tx, of, ending)

    await take(tx, entry, of, work, kind="lost")
    return True


async def gone(tx: AsyncConnection, agent_id: int, *, evidence: str, actor: str) -> ResultRow:
    """Declare an agent gone: its token counts no more, what it holds is lost at once, without a
    try, and outputs and derivatives that only it has are made again.

    Raises CannotDo without evidence.
    """
    if not evidence.strip():
        raise CannotDo("why: say how it is known that the agent is gone")
    was = await _locked(tx, agent_id)
    if was.gone_at is not None:
        return _line(was, "gone", "gone", "it was declared gone before")
    mine = update(agent).where(agent.c.id == agent_id)
    await tx.execute(mine.values(gone_at=func.now(), gone_why=evidence))
    await record(tx, actor=actor, what="agent.gone", old=was.name, new="gone", why=evidence)
    why = f"agent {was.name} is gone: {evidence}"
    held = await held_by(tx, agent_id)
    lost = [each for each in held if await _lose(tx, each, why, actor=actor)]
    for each in await outputs_at(tx, agent_id):
        await note_retrieved(tx, each, why)
    # After its attempts are closed: a result that was on its way is here now, or never counts.
    again = await make_again(tx, agent_id, actor=actor, why=why)
    await notify_driver(tx, was.site)
    return _line(was, was.order, "gone", _given_on(len(lost), again))


def _given_on(lost: int, again: int) -> str:
    note = f"{lost} attempts are given to others"
    return note + (f", derivatives of {again} assets are made again" if again else "")


async def allow_joining(
    tx: AsyncConnection, name: str, token: str, machines: int, hours: float, *, actor: str
) -> ResultRow:
    """Let so many machines become agents of a site with a token. Raises CannotDo."""
    row = await site_row(tx, name)
    if CAPABILITIES[row.kind].driven:
        raise CannotDo(f"site: {name} is of kind {row.kind}; agents take the work of kind pull")
    await allow_join(tx, name, token, machines, hours * 3600.0)
    new = f"{machines} may join"
    await record(tx, actor=actor, what="site.join", new=new, why=f"site {name}, for {hours:g} h")
    return ResultRow(f"site {name}", "", "", new, f"within {hours:g} h")


async def set_order(tx: AsyncConnection, agent_id: int, order: Order, *, actor: str) -> ResultRow:
    """Have an agent take work, take no more of it, or end once it holds nothing."""
    was = await _present(tx, agent_id)
    note = {
        "run": "",
        "drain": "what it has goes on; it gets nothing new from now on",
        "stop": "it ends when it holds nothing any more",
    }[order]
    return await _set(tx, was, "order", was.order, order, actor, note, order=order)


async def set_capacity(
    tx: AsyncConnection, agent_id: int, changes: dict[str, int], *, actor: str
) -> ResultRow:
    """Change an agent's units by launcher; what runs goes on. Raises CannotDo."""
    was = await _present(tx, agent_id)
    if not changes or set(changes) - {*LAUNCHERS}:
        raise CannotDo(f"capacity: give units for {' or '.join(LAUNCHERS)}")
    try:
        new = Units.model_validate(was.capacity | changes)
    except ValueError as error:
        raise CannotDo(f"capacity: {error}") from None
    words = (_units(Units(**was.capacity)), _units(new))
    note = "it hears of it with its next heartbeat"
    return await _set(tx, was, "capacity", *words, actor, note, capacity=new.model_dump())


async def set_prefixes(
    tx: AsyncConnection, agent_id: int, prefixes: dict[str, str], *, actor: str
) -> ResultRow:
    """Say what an agent's machine calls paths that begin so; of parameters that are paths."""
    was = await _present(tx, agent_id)
    words = (_pairs(was.prefixes), _pairs(prefixes))
    return await _set(tx, was, "prefixes", *words, actor, "", prefixes=prefixes)


async def rotate(tx: AsyncConnection, agent_id: int, *, actor: str) -> ResultRow:
    """Have an agent change its token; the old one ends with the first use of the new one."""
    was = await _present(tx, agent_id)
    words = ("asked for" if was.rotate else "", "asked for")
    note = "it changes it with its next heartbeat"
    return await _set(tx, was, "token", *words, actor, note, rotate=True)


async def revoke(tx: AsyncConnection, agent_id: int, *, actor: str) -> ResultRow:
    """Have no token of an agent count any more; what it holds waits for `gone`."""
    was = await _present(tx, agent_id)
    words = ("valid" if was.tokens else "revoked", "revoked")
    return await _set(tx, was, "token", *words, actor, "it can do nothing now", tokens=[])


async def _set(
    tx: AsyncConnection,
    was: Row[Any],
    what: str,
    old: str,
    new: str,
    actor: str,
    note: str,
    **values: Any,
) -> ResultRow:
    if old == new:
        return _line(was, old, new, note)
    await tx.execute(update(agent).where(agent.c.id == was.id).values(values))
    why = f"agent {was.name} of site {was.site}"
    await record(tx, actor=actor, what=f"agent.{what}", old=old, new=new, why=why)
    await notify_driver(tx, was.site)
    return _line(was, old, new, note)


def _line(of: Row[Any], was: str, now: str, note: str) -> ResultRow:
    return ResultRow(f"agent {of.id} ({of.name} at {of.site})", "", was, now, note)


async def _locked(tx: AsyncConnection, agent_id: int) -> Row[Any]:
    mine = select(agent).where(agent.c.id == agent_id).with_for_update(key_share=True)
    row = (await tx.execute(mine)).one_or_none()
    if row is None:
        known = (await tx.execute(select(agent.c.id).where(agent.c.gone_at.is_(None)))).scalars()
        there = ", ".join(map(str, sorted(known))) or "none yet"
        raise CannotDo(f"agent: there is no agent {agent_id} (there are: {there})")
    return row


async def _present(tx: AsyncConnection, agent_id: int) -> Row[Any]:
    row = await _locked(tx, agent_id)
    if row.gone_at is not None:
        raise CannotDo(f"agent: {agent_id} is gone since {row.gone_at:%Y-%m-%d %H:%M} UTC")
    return row


def _units(units: Units) -> str:
    return ", ".join(f"{name} {units.of(name)}" for name in LAUNCHERS)


def _pairs(prefixes: dict[str, str]) -> str:
    return ", ".join(f"{ours} as {theirs}" for ours, theirs in sorted(prefixes.items()))
