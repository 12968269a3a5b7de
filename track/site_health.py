"""How sites do: degraded sites get no new work, and what waits for them may go elsewhere.

Every change is recorded and announced once, however often a driver says it.
"""

from uuid import uuid4

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import events
from track.history import record
from track.inbox import Received, applied, receive
from track.jobs import move_site
from track.sites import NoSite, choose_site
from track.states import State
from track.switches import AT_SITES, wake_where
from track.tables import attempt, job, site


async def degrade(tx: AsyncConnection, name: str, why: str) -> bool:
    """Note that a site cannot work, and announce it; False when that was known."""
    row = select(site.c.degraded).where(site.c.name == name).with_for_update(key_share=True)
    before = (await tx.execute(row)).scalar_one_or_none()
    if before is not None:
        return False
    await tx.execute(update(site).where(site.c.name == name).values(degraded=why))
    await record(tx, actor=f"driver:{name}", what="site.degraded", old=None, new=why)
    await _announce(tx, events.SITE_DEGRADED, name, why)
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
    await _announce(tx, events.SITE_RECOVERED, name, before)
    await wake_where(tx, AT_SITES)
    return True


async def leave(tx: AsyncConnection, name: str, *, why: str, limit: int = 200) -> int:
    """Move queued jobs that no batch holds to the next site that may take them; how many.

    Those no other site may take stay; no job loses a try.
    """
    mine = (
        select(job.c.id)
        .join(attempt, attempt.c.id == job.c.attempt_id)
        .where(job.c.state == State.QUEUED, attempt.c.site == name)
        .where(attempt.c.batch_id.is_(None), attempt.c.cancel_requested_at.is_(None))
        .order_by(job.c.id)
        .limit(limit)
        .with_for_update(key_share=True, of=job, skip_locked=True)
    )
    moved = 0
    for job_id in (await tx.execute(mine)).scalars().all():
        try:
            target = await choose_site(tx, job_id)
        except NoSite:
            continue
        if target != name:
            await move_site(tx, job_id, target, actor=f"driver:{name}", why=why)
            await tx.execute(text("SELECT pg_notify('refinery_site', :site)"), {"site": target})
            moved += 1
    return moved


async def _announce(tx: AsyncConnection, event: str, name: str, why: str) -> None:
    letter = Received(f"{event}|{uuid4()}", f"/sites/{name}", "site", {"site": name, "why": why})
    row = await receive(tx, letter)
    if row is not None:
        body = events.system_event(event, "site", name, payload={"site": name, "why": why})
        await applied(tx, row, "applied", body)
