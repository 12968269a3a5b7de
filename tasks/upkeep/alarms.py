"""Looking for what is wrong with parts of the system, once a minute.

Overdue jobs, failing stages, an archive that is away, sites, services, disks that fill up: each
is told of when it begins, once a day while it lasts, and when it ends. What follows from another
trouble that is told of is not told of itself.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Mapping
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.ndrive import NDrive
from blocks.store import LocalStore
from blocks.tier import NoTier, Tier
from schemas.alarm_patience import DEFAULT_PATIENCE, AlarmPatience
from tasks.archive.configured import open_tier
from tasks.upkeep.silence import DRIVERS, watch_agents, watch_services
from tasks.upkeep.unannounced import send_unannounced
from track.commands.resuming import AT_ONCE, resume, try_one
from track.reports.alarm_messages import Subject
from track.reports.alarms import ON, is_on, said_of, services_heard, set_alarms
from track.reports.degraded import watch_sites
from track.reports.durable import takes_no_files
from track.reports.failing import watch_stages
from track.reports.overdue import announce_overdue, watch_overdue
from track.schema.database import transact

log = logging.getLogger(__name__)

WELL_AGAIN = 1.25
"""So many times the least free room must be free before a disk counts as well again."""


async def raise_alarms(
    engine: AsyncEngine, free_gb: float, patience: AlarmPatience = DEFAULT_PATIENCE
) -> list[str]:
    """Have everything told that changed since the last look; a line for each.

    A look that fails keeps none of the others from being told of: its error is logged, and the
    first such is raised at the end.
    """
    failed: list[Exception] = []

    async def tried(look: Awaitable[list[str]]) -> list[str]:
        try:
            return await look
        except Exception as error:  # it is raised when all have looked
            log.exception("a look for alarms failed")
            failed.append(error)
            return []

    lines = await transact(engine, announce_overdue)
    drivers_away = await transact(engine, _drivers_away, patience)
    # At the same time, for each may have to look again before it is sure.
    found = await asyncio.gather(
        tried(watch_services(engine, patience)),
        tried(watch_storage(engine, free_gb)),
        tried(watch_archive(engine, patience)),
    )
    lines += [line for each in found for line in each]
    # Then what may follow from what these found: agents from their sites, jobs from theirs.
    lines += await tried(transact(engine, watch_sites, drivers_away=drivers_away))
    lines += await tried(watch_agents(engine, patience))
    lines += await tried(transact(engine, watch_overdue))
    lines += await tried(transact(engine, watch_stages))
    await send_unannounced(engine)
    if failed:
        raise failed[0]
    return lines


async def _drivers_away(tx: AsyncConnection, patience: AlarmPatience) -> bool:
    """Whether the service of the sites' drivers is away, or may have come back just now."""
    said = (await said_of(tx, "service")).get(DRIVERS)
    if said is None or said == ON:
        return said == ON  # where it was never heard of, its silence is not told either
    heard = {each.name: each.silent_s for each in await services_heard(tx)}
    return heard.get(DRIVERS, patience.silent_s) >= patience.silent_s / 6


async def watch_archive(
    engine: AsyncEngine, patience: AlarmPatience = DEFAULT_PATIENCE
) -> list[str]:
    """Ask the parts of the archive for their health; several silences in a row are one.

    When it is seen to be well again, the work that waited for it goes on.
    """
    try:
        async with open_tier() as tier:
            subject = Subject("archive", tier.name.lower())
            durable = Subject("archive", tier.durable_name.lower())
            trouble = await _trouble(engine, tier, subject, patience)
    except NoTier:
        return []
    remedy = "nothing is lost and no try is used: work goes on when it is back; tell its keepers"
    if trouble is not None:  # what is behind it cannot be judged, and is no trouble of its own
        return await set_alarms(engine, {subject: trouble}, remedy)
    away = await transact(engine, takes_no_files)
    if away is not None:
        await transact(engine, try_one)
    # Before it is told, or a look that is killed in between would leave the work waiting.
    elif await transact(engine, is_on, subject) or await transact(engine, is_on, durable):
        while await transact(engine, resume) == AT_ONCE:
            pass
    return await set_alarms(engine, {subject: None, durable: away}, remedy)


async def _trouble(
    engine: AsyncEngine, tier: Tier, subject: Subject, patience: AlarmPatience
) -> str | None:
    known = await transact(engine, is_on, subject)
    trouble = await tier.trouble()
    for _ in range(0 if known else patience.looks - 1):
        if trouble is None:
            break
        await asyncio.sleep(patience.pause_s)
        trouble = await tier.trouble()
    return trouble


async def watch_storage(engine: AsyncEngine, free_gb: float) -> list[str]:
    """Look at the room under the store and the N-Drive."""
    store: LocalStore = await LocalStore.aload("default")
    drive: NDrive = await NDrive.aload("default")
    places = {"store": store.root, "n-drive": drive.root}
    free = await asyncio.to_thread(_free, places)
    raised = await transact(engine, said_of, "storage")
    troubles: dict[Subject, str | None] = {}
    for name, gigabytes in free.items():
        enough = free_gb * (WELL_AGAIN if raised.get(name) == ON else 1)
        trouble = f"only {gigabytes:.1f} GB are free under {places[name]} ({name})"
        subject = Subject("storage", name)
        troubles[subject] = trouble if gigabytes < enough else None
    remedy = (
        "make room: prune/hourly says what it keeps and why; fewer assets_in_flight hold less; "
        "the setting store may name a larger disk"
    )
    return await set_alarms(engine, troubles, remedy)


def _free(places: Mapping[str, Path]) -> dict[str, float]:
    """GB free under each place, one place for each disk; a place that is away is left out."""
    seen: set[int] = set()
    found: dict[str, float] = {}
    for name, path in places.items():
        try:
            disk, free = path.stat().st_dev, shutil.disk_usage(path).free
        except OSError:
            continue
        if disk not in seen:
            seen.add(disk)
            found[name] = free / 1e9
    return found
