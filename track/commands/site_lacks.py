"""Modules that a site cannot run, since a library is missing there.

Such a site gets none of their jobs. After a pause that grows, one job may try it again: its
success, or a person who prepares the site, takes the note back.
"""

from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import events
from schemas.backoff import Backoff
from track.commands.site_health import announce, leave
from track.commands.switches import wake_where
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.tables import site, stage

PAUSES = Backoff(300.0, 3600.0)

NOTE = text("""
    UPDATE track.site SET lacks = lacks || jsonb_build_object(CAST(:run AS text),
        jsonb_build_object('why', CAST(:why AS text), 'times', CAST(:times AS integer),
                           'until', now() + make_interval(secs => :pause)))
    WHERE name = :site
""")
HOLDS = text("""
    SELECT CAST(lacks -> CAST(:run AS text) ->> 'times' AS integer) AS times,
           CAST(lacks -> CAST(:run AS text) ->> 'until' AS timestamptz) > now() AS in_force
    FROM track.site WHERE name = :site FOR NO KEY UPDATE
""")
LAPSED = text("""
    SELECT EXISTS (SELECT 1 FROM track.site t, jsonb_each(t.lacks) l
                    WHERE t.open AND CAST(l.value ->> 'until' AS timestamptz) < now())
""")


async def note_lack(tx: AsyncConnection, name: str, run: str, why: str) -> None:
    """Give a site no more jobs of a module, and move those that wait there.

    Said again by the jobs that were under way there it changes nothing.
    """
    row = (await tx.execute(HOLDS, {"site": name, "run": run})).one_or_none()
    if row is None or row.in_force:
        return
    times = (row.times or 0) + 1
    given = {"site": name, "run": run, "why": why, "times": times}
    given["pause"] = PAUSES.pause_s(times)
    await tx.execute(NOTE, given)
    why_not = f"it cannot run module {run}: {why}"
    if times == 1:
        await record(tx, actor=f"driver:{name}", what="site.lacks", old=None, new=why_not)
        await announce(tx, events.SITE_DEGRADED, name, why_not)
    await leave(tx, name, why=f"site {name}: {why_not}", run=run)


async def forget_lacks(tx: AsyncConnection, name: str, *, actor: str, run: str = "") -> None:
    """A site runs a module after all, or every module: what waited for that is woken."""
    row = select(site.c.lacks).where(site.c.name == name).with_for_update(key_share=True)
    lacks: dict[str, Any] = (await tx.execute(row)).scalar_one_or_none() or {}
    gone = sorted({run} & set(lacks) if run else lacks)
    if not gone:
        return
    left = {each: lack for each, lack in lacks.items() if each not in gone}
    await tx.execute(update(site).where(site.c.name == name).values(lacks=left))
    news = f"it runs module {', '.join(gone)} again"
    await record(tx, actor=actor, what="site.lacks", old=str(lacks[gone[0]]["why"]), new=news)
    await announce(tx, events.SITE_RECOVERED, name, news)
    await wake_where(tx, (stage.c.kind == "module") & any_of(stage.c.run, gone))


async def wake_for_probes(tx: AsyncConnection) -> None:
    """Where a site's pause is over, wake those of whose jobs one may try it again."""
    if (await tx.execute(LAPSED)).scalar_one():
        lacking = select(text("1")).select_from(site).where(site.c.lacks.has_key(stage.c.run))
        await wake_where(tx, (stage.c.kind == "module") & lacking.correlate(stage).exists())
