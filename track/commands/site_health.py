"""How sites do: those that cannot work get no new work, and what waits there goes elsewhere.

Every change is recorded and announced once, however often a driver says it.
"""

from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import events
from schemas.sites import CAPABILITIES, KINDS_HERE
from track.commands.switches import AT_SITES, wake_where
from track.jobs.edges import lock_edges
from track.jobs.sites import DRIVEN, PATIENCE, TAKES, NoSite, choose_site
from track.jobs.verbs import move_site
from track.records.outbox import put
from track.schema.arrays import array_of
from track.schema.history import record
from track.schema.tables import site

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
    JOIN track.job j ON j.attempt_id = n.id AND j.state = 'queued'
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
          b.state = 'intended' AND s.kind = 'module'
          AND (here.kind = ANY({array_of(KINDS_HERE)})
               OR here.definition ->> 'callback' IS NOT NULL)))
      AND (CAST(:run AS text) IS NULL OR s.kind = 'module' AND s.run = :run)
      AND EXISTS (SELECT 1 FROM track.site t WHERE t.name <> n.site AND {TAKES})
    ORDER BY j.id LIMIT :limit
    FOR NO KEY UPDATE OF j, n SKIP LOCKED
""")

STUCK = text("""
    UPDATE track.job j SET reason = :why FROM track.attempt n
    WHERE n.id = j.attempt_id AND n.site = :site AND n.closed_at IS NULL
      AND n.batch_id IS NULL AND j.state = 'queued' AND j.reason IS DISTINCT FROM :why
""")

STUCK_NO_MORE = text("""
    UPDATE track.job j SET reason = NULL FROM track.attempt n
    WHERE n.id = j.attempt_id AND n.site = :site AND n.closed_at IS NULL
      AND j.state = 'queued' AND starts_with(j.reason, :why)
""")

WAITS = "it waits for site"


async def seen(tx: AsyncConnection, name: str) -> None:
    """Note that a site's driver is at work; after a silence, wake what waited for a site."""
    if (await tx.execute(SEEN, {"site": name})).scalar_one_or_none() is False:
        await wake_where(tx, AT_SITES)


async def note_silence(tx: AsyncConnection, *, actor: str) -> list[str]:
    """Degrade the sites that nobody drives, and move what waits there; what was found, in words.

    Only what is news is told. A site's driver takes it back with its first good turn.
    """
    news = []
    for row in (await tx.execute(SILENT)).all():
        why = row.degraded or _nobody(row)
        if await degrade(tx, row.name, why, actor=actor):
            news.append(f"site {row.name}: {why}")
        if moved := await leave(tx, row.name, why=f"site {row.name}: {why}", actor=actor):
            news.append(f"site {row.name}: {moved} queued jobs moved elsewhere")
    return news


def _nobody(row: Row[Any]) -> str:
    can = CAPABILITIES[row.kind]
    if not can.driven:
        return "nobody drives it: no agent of it was ever seen, and nothing here can reach it"
    since = "ever" if row.seen_at is None else f"since {row.seen_at:%Y-%m-%d %H:%M} UTC"
    needs = f", and is its block slurm-site/{row.block} saved" if can.over_ssh else ""
    return f"nobody drives it: no driver was seen {since}; is `refinery sites` running{needs}?"


async def degrade(
    tx: AsyncConnection, name: str, why: str, *, actor: str = "", renew: bool = False
) -> bool:
    """Note that a site cannot work, and announce it; False when that was known.

    With `renew` another reason than the one known is news as well.
    """
    row = select(site.c.degraded).where(site.c.name == name).with_for_update(key_share=True)
    before = (await tx.execute(row)).scalar_one_or_none()
    if before is not None and (before == why or not renew):
        return False
    await tx.execute(update(site).where(site.c.name == name).values(degraded=why))
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
    await tx.execute(update(site).where(site.c.name == name).values(degraded=None))
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


async def announce(tx: AsyncConnection, event: str, name: str, why: str) -> None:
    """Have an event of a site announced, when this transaction commits."""
    payload = {"site": name, "why": why}
    await put(tx, events.system_event(event, "site", name, payload=payload))
