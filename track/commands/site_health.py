"""How sites do: those that cannot work get no new work, and what waits there goes elsewhere.

A site that lacks a library cannot run the modules that need it, and gets none of their jobs.
After a pause that grows, one job may try it again: its success, or a person who prepares the
site, takes the note back. Every change is recorded and announced once, however often a driver
reports it.
"""

from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import events
from schemas.backoff import Backoff
from schemas.sites import CAPABILITIES, KINDS_HERE
from track.commands.switches import AT_SITES, wake_where
from track.jobs.edges import lock_edges
from track.jobs.sites import DRIVEN, PATIENCE, TAKES, NoSite, choose_site
from track.jobs.verbs import move_site
from track.records.outbox import put
from track.schema.arrays import any_of, array_of
from track.schema.history import record
from track.schema.tables import site, stage

SEEN = text(f"""
    WITH before AS (SELECT t.name, {DRIVEN} AS driven FROM track.site t WHERE t.name = :site)
    UPDATE track.site SET seen_at = now() FROM before WHERE site.name = before.name
    RETURNING before.driven
""")

SILENT = text(f"""
    SELECT t.name, t.kind, t.degraded, t.seen_at, t.definition ->> 'block' AS block
    FROM track.site t
    WHERE t.open AND NOT {DRIVEN} AND t.expected_at < now() - {PATIENCE}
    ORDER BY t.rank
""")

MOVABLE = text(f"""
    SELECT j.id
    FROM track.attempt n
    JOIN track.job j ON j.id = n.job_id AND j.attempt_id = n.id AND j.state = 'queued'
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.site here ON here.name = n.site
    LEFT JOIN track.batch b ON b.id = n.batch_id
    WHERE n.site = :site AND n.closed_at IS NULL AND n.started_by IS NULL
      AND n.cancel_requested_at IS NULL
      AND (b.id IS NULL OR (
          -- Meant to be sent, and no id is known. Whatever may be there asks for its start,
          -- and is not given it. A script does not ask, and where nodes cannot ask us the
          -- shared disk grants.
          b.state = 'intended' AND s.kind <> 'script'
          AND (here.kind = ANY({array_of(KINDS_HERE)})
               OR here.definition ->> 'callback' IS NOT NULL)))
      AND (CAST(:run AS text) IS NULL OR s.kind = 'module' AND s.run = :run)
      AND EXISTS (SELECT 1 FROM track.site t WHERE t.name <> n.site AND {TAKES})
    ORDER BY j.id LIMIT :limit
    FOR NO KEY UPDATE OF j, n SKIP LOCKED
""")

# A queued job finds its attempt by its id. Joined, and by statistics from a quiet hour, every
# queued job is held against every open attempt.
STUCK = text("""
    UPDATE track.job j SET reason = :why
    WHERE j.state = 'queued' AND j.reason IS DISTINCT FROM :why
      AND (SELECT n.site = :site AND n.closed_at IS NULL AND n.batch_id IS NULL
             FROM track.attempt n WHERE n.id = j.attempt_id)
""")

STUCK_NO_MORE = text("""
    UPDATE track.job j SET reason = NULL
    WHERE j.state = 'queued' AND starts_with(j.reason, :why)
      AND (SELECT n.site = :site AND n.closed_at IS NULL
             FROM track.attempt n WHERE n.id = j.attempt_id)
""")

PAUSES = Backoff(300.0, 3600.0)

NOTE_LACK = text("""
    UPDATE track.site SET lacks = lacks || jsonb_build_object(CAST(:run AS text),
        jsonb_build_object('why', CAST(:why AS text), 'times', CAST(:times AS integer),
                           'until', now() + make_interval(secs => :pause)))
    WHERE name = :site
""")
KNOWN_LACK = text("""
    SELECT CAST(lacks -> CAST(:run AS text) ->> 'times' AS integer) AS times,
           CAST(lacks -> CAST(:run AS text) ->> 'until' AS timestamptz) > now() AS in_force
    FROM track.site WHERE name = :site FOR NO KEY UPDATE
""")
LAPSED = text("""
    SELECT EXISTS (SELECT 1 FROM track.site t, jsonb_each(t.lacks) l
                    WHERE t.open AND CAST(l.value ->> 'until' AS timestamptz) < now())
""")

WAITS = "it waits for site"


async def seen(tx: AsyncConnection, name: str) -> None:
    """Note that a site's driver is at work; after a silence, wake what waited for a site."""
    if (await tx.execute(SEEN, {"site": name})).scalar_one_or_none() is False:
        await wake_where(tx, AT_SITES)


async def note_silence(tx: AsyncConnection, *, actor: str) -> list[str]:
    """Degrade the sites that nobody drives, and move what waits there; a line for each change.

    A site's driver takes it back with its first good turn.
    """
    lines = []
    for row in (await tx.execute(SILENT)).all():
        why = row.degraded or _nobody(row)
        if await degrade(tx, row.name, why, actor=actor):
            lines.append(f"site {row.name}: {why}")
        if moved := await leave(tx, row.name, why=f"site {row.name}: {why}", actor=actor):
            lines.append(f"site {row.name}: {moved} queued jobs moved elsewhere")
    return lines


def _nobody(row: Row[Any]) -> str:
    can = CAPABILITIES[row.kind]
    if not can.driven:
        return "nobody drives it: no agent of it was ever seen, and nothing here can reach it"
    since = "ever" if row.seen_at is None else f"since {row.seen_at.astimezone():%Y-%m-%d %H:%M %Z}"
    needs = f", and is its block slurm-site/{row.block} saved" if can.over_ssh else ""
    return f"nobody drives it: no driver was seen {since}; is `refinery sites` running{needs}?"


async def degrade(
    tx: AsyncConnection, name: str, why: str, *, actor: str = "", renew: bool = False
) -> bool:
    """Note that a site cannot work, and announce it; False when that was known.

    With `renew` another reason than the one known counts as well.
    """
    row = select(site.c.degraded).where(site.c.name == name).with_for_update(key_share=True)
    before = (await tx.execute(row)).scalar_one_or_none()
    if before is not None and (before == why or not renew):
        return False
    since = func.now() if before is None else site.c.degraded_at
    change = update(site).where(site.c.name == name)
    await tx.execute(change.values(degraded=why, degraded_at=since))
    who = actor or f"driver:{name}"
    await record(tx, actor=who, what="site.degraded", old=before, new=why)
    await announce(tx, events.SITE_DEGRADED, name, why)
    return True


async def recover(tx: AsyncConnection, name: str) -> bool:
    """Note that a site works again, and announce it; False when it was not degraded.

    Sessions whose jobs waited for a site are woken.
    """
    row = select(site.c.degraded).where(site.c.name == name)
    if (await tx.execute(row)).scalar_one_or_none() is None:
        return False  # asked every turn: no lock, and no write, while all is well
    before = (await tx.execute(row.with_for_update(key_share=True))).scalar_one_or_none()
    if before is None:
        return False
    await tx.execute(
        update(site).where(site.c.name == name).values(degraded=None, degraded_at=None)
    )
    await record(tx, actor=f"driver:{name}", what="site.degraded", old=before, new=None)
    await tx.execute(STUCK_NO_MORE, {"site": name, "why": f"{WAITS} {name}: "})
    await announce(tx, events.SITE_RECOVERED, name, before)
    await wake_where(tx, AT_SITES)
    return True


async def leave(
    tx: AsyncConnection,
    name: str,
    *,
    why: str,
    limit: int = 200,
    run: str | None = None,
    actor: str = "",
) -> int:
    """Move queued jobs that the site surely has not begun to the next that may take them.

    `run`: only those of one module. How many went; the others' `reason` says why they wait,
    and no job loses a try.
    """
    await lock_edges(tx)
    given = {"site": name, "limit": limit, "run": run}
    moved, who = 0, actor or f"driver:{name}"
    for job_id in (await tx.execute(MOVABLE, given)).scalars().all():
        try:
            target = await choose_site(tx, job_id)
        except NoSite:
            continue
        if target != name:
            await move_site(tx, job_id, target, actor=who, why=why)
            moved += 1
    if run is None:
        reason = f"{WAITS} {name}: {why.removeprefix(f'site {name}: ')}"
        await tx.execute(STUCK, {"site": name, "why": reason})
    return moved


async def note_lack(tx: AsyncConnection, name: str, run: str, why: str) -> None:
    """Give a site no more jobs of a module, and move those that wait there.

    Reported again by the jobs that were under way there, it changes nothing.
    """
    row = (await tx.execute(KNOWN_LACK, {"site": name, "run": run})).one_or_none()
    if row is None or row.in_force:
        return
    times = (row.times or 0) + 1
    given = {"site": name, "run": run, "why": why, "times": times}
    await tx.execute(NOTE_LACK, given | {"pause": PAUSES.pause_s(times)})
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
    new = f"it runs module {', '.join(gone)} again"
    await record(tx, actor=actor, what="site.lacks", old=str(lacks[gone[0]]["why"]), new=new)
    await announce(tx, events.SITE_RECOVERED, name, new)
    await wake_where(tx, (stage.c.kind == "module") & any_of(stage.c.run, gone))


async def wake_for_probes(tx: AsyncConnection) -> None:
    """Where a site's pause is over, wake those of whose jobs one may try it again."""
    if (await tx.execute(LAPSED)).scalar_one():
        lacking = select(text("1")).select_from(site).where(site.c.lacks.has_key(stage.c.run))
        await wake_where(tx, (stage.c.kind == "module") & lacking.correlate(stage).exists())


async def announce(tx: AsyncConnection, event: str, name: str, why: str) -> None:
    """Have an event of a site announced, when this transaction commits."""
    payload = {"site": name, "why": why}
    await put(tx, events.system_event(event, "site", name, payload=payload))
