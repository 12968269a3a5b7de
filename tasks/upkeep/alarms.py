"""Looking for what is wrong with parts of the system, once a minute.

Overdue jobs, failing stages, an archive that is away, services that are silent, disks that
fill up: each is announced when it begins, and what can end, when it ends.
"""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import PrefectException
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.ndrive import NDrive
from blocks.store import LocalStore
from blocks.tier import NoTier
from schemas.events import ARCHIVE_DOWN, ARCHIVE_UP, SERVICE_SILENT, STORAGE_FILLING
from tasks.archive.configured import open_tier
from track.jobs.agents import present_agents
from track.reports.alarms import (
    ON,
    WORKER,
    Heard,
    Subject,
    last_said,
    note_known,
    said_of,
    services_heard,
    set_alarm,
)
from track.reports.failing import watch_stages
from track.reports.overdue import announce_overdue
from track.schema.database import transact

LOOKS = 3
PAUSE_S = 10.0
"""What is not there is looked for again: a service that is just being started, a dropped call."""

SILENT_S = 180.0
"""Every service asks the database something every few seconds."""

WELL_AGAIN = 1.25
"""So many times the least free room must be free before a disk counts as well again."""


async def raise_alarms(engine: AsyncEngine, free_gb: float) -> list[str]:
    """Announce whatever changed since the last look; a line for each."""
    lines = await transact(engine, announce_overdue)
    lines += await transact(engine, watch_stages)
    # At the same time, for each may have to look again before it is sure.
    found = await asyncio.gather(
        watch_services(engine),
        watch_storage(engine, free_gb),
        watch_archive(engine),
        watch_agents(engine),
    )
    return lines + [line for each in found for line in each]


async def watch_archive(engine: AsyncEngine) -> list[str]:
    """Ask the parts of the archive for their health; three silences in a row are one."""
    try:
        async with open_tier() as tier:
            subject = Subject("archive", tier.name.lower(), ARCHIVE_DOWN, ARCHIVE_UP)
            known = await transact(engine, last_said, subject)
            trouble = await tier.trouble()
            for _ in range(0 if known == ON else LOOKS - 1):
                if trouble is None:
                    break
                await asyncio.sleep(PAUSE_S)
                trouble = await tier.trouble()
    except NoTier:
        return []
    remedy = "nothing is lost and no try is used: work goes on when it is back; tell its keepers"
    return await _announce(engine, {subject: trouble}, remedy)


async def watch_services(engine: AsyncEngine) -> list[str]:
    """Look for services and workers that were heard of and are silent.

    A driver that is silent is announced as the trouble of its site.
    """
    silent = await _silent(engine)
    for _ in range(LOOKS - 1):
        known = await transact(engine, said_of, "service")
        if all(trouble is None or known.get(name) == ON for name, trouble in silent.items()):
            break
        await asyncio.sleep(PAUSE_S)
        silent = await _silent(engine)
    troubles = {_service(name): why for name, why in silent.items()}
    return await _announce(
        engine, troubles, "refinery doctor says what runs, refinery logs why not"
    )


async def watch_agents(engine: AsyncEngine) -> list[str]:
    """Look for agents that are silent, or whose machine can begin nothing; one that was declared
    gone is no trouble any more."""

    async def read(tx: AsyncConnection) -> dict[Subject, str | None]:
        found: dict[Subject, str | None] = {}
        for name, said in (await said_of(tx, "agent")).items():
            if said == ON:
                found[_agent(name)] = None
        for row in await present_agents(tx):
            what = f"agent {row.id} ({row.name}) of site {row.site}"
            trouble = _trouble(row.silent_s, (row.load or {}).get("trouble"))
            found[_agent(str(row.id))] = f"{what} {trouble}" if trouble else None
        return found

    remedy = "look at its machine; who knows that it is gone says operate/agent order=gone"
    return await _announce(engine, await transact(engine, read), remedy)


def _trouble(silent_s: float, said: str | None) -> str:
    if silent_s >= SILENT_S:
        return f"was last heard of {round(silent_s / 60)} min ago"
    return f"takes no work: {said}" if said else ""


def _agent(name: str) -> Subject:
    return Subject("agent", name, SERVICE_SILENT)


async def _silent(engine: AsyncEngine) -> dict[str, str | None]:
    """Every service that was ever heard of, and what is wrong with it, if anything."""

    async def read(tx: AsyncConnection) -> dict[str, str | None]:
        services = await services_heard(tx)
        for each in services:
            await note_known(tx, _service(each.name))
        found = {each.name: _silence(each) for each in services}
        for name in (await said_of(tx, "service")).keys() - found.keys():
            if not name.startswith(WORKER):
                found[name] = f"{name} has no connection to the database"
        return found

    found = await transact(engine, read)
    try:
        async with get_client() as client:
            return found | await _workers(client)
    except (httpx.HTTPError, PrefectException):
        return found


def _service(name: str) -> Subject:
    return Subject("service", name, SERVICE_SILENT)


def _silence(heard: Heard) -> str | None:
    if heard.silent_s < SILENT_S:
        return None
    return f"{heard.name} was last heard of {round(heard.silent_s / 60)} min ago"


async def _workers(client: PrefectClient) -> dict[str, str | None]:
    """The work pools that our deployments use, and which of them no worker serves."""
    deployments = await client.read_deployments()
    found: dict[str, str | None] = {}
    for pool in sorted({each.work_pool_name for each in deployments if each.work_pool_name}):
        workers = await client.read_workers_for_work_pool(work_pool_name=pool)
        alive = any(each.status == WorkerStatus.ONLINE for each in workers)
        found[f"{WORKER}{pool}"] = None if alive else f"no worker of pool {pool} is alive"
    return found


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
        subject = Subject("storage", name, STORAGE_FILLING)
        troubles[subject] = trouble if gigabytes < enough else None
    remedy = (
        "make room: prune/hourly says what it keeps and why; fewer assets_in_flight hold less; "
        "the setting store may name a larger disk"
    )
    return await _announce(engine, troubles, remedy)


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


async def _announce(
    engine: AsyncEngine, troubles: Mapping[Subject, str | None], remedy: str
) -> list[str]:
    lines = []
    for subject, trouble in troubles.items():
        if await transact(engine, set_alarm, subject, trouble, remedy):
            lines.append(f"{subject.kind} {subject.name}: {trouble or 'it is well again'}")
    return lines
