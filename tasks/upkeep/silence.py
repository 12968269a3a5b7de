"""Looking for services, workers, dispatchers and agents that are silent."""

import asyncio

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import PrefectException
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.alarm_patience import AlarmPatience
from track.jobs.agents import present_agents
from track.reports.alarm_messages import Subject
from track.reports.alarms import (
    DISPATCHERS,
    ON,
    UNCONNECTED,
    WORKER,
    Heard,
    note_known,
    said_of,
    services_heard,
    set_alarms,
)
from track.reports.unattended import unattended
from track.schema.database import transact

DRIVERS = "sites"
"""The service of the sites' drivers."""


async def watch_services(engine: AsyncEngine, patience: AlarmPatience) -> list[str]:
    """Look for services and workers that were heard of and are silent, and for dispatchers that
    do not come.

    A driver that is silent is told of as the trouble of its site.
    """
    silent = await _silent(engine, patience)
    for _ in range(patience.looks - 1):
        known = await transact(engine, said_of, "service")
        if all(trouble is None or known.get(name) == ON for name, trouble in silent.items()):
            break
        await asyncio.sleep(patience.pause_s)
        silent = await _silent(engine, patience)
    troubles = {Subject("service", name): why for name, why in silent.items()}
    remedy = "refinery doctor says what runs, refinery logs why not"
    return await set_alarms(engine, troubles, remedy)


async def _silent(engine: AsyncEngine, patience: AlarmPatience) -> dict[str, str | None]:
    """Every service that was ever heard of, and what is wrong with it, if anything."""

    async def read(tx: AsyncConnection) -> dict[str, str | None]:
        services = await services_heard(tx)
        for each in services:
            await note_known(tx, Subject("service", each.name))
        found = {each.name: _silence(each, patience) for each in services}
        for name in (await said_of(tx, "service")).keys() - found.keys():
            # Who looks at reconcile is not reconcile.
            if not name.startswith(WORKER) and name not in UNCONNECTED:
                found[name] = f"{name} has no connection to the database"
        found[DISPATCHERS] = await unattended(tx)
        return found

    found = await transact(engine, read)
    try:
        async with get_client() as client:
            workers = await _workers(client)
    except (httpx.HTTPError, PrefectException):
        return found
    if any(workers.values()):
        del found[DISPATCHERS]  # nobody starts them: that is told of already
    gone = (await transact(engine, said_of, "service")).keys() - workers.keys()
    retired = {name: None for name in gone if name.startswith(WORKER)}
    return found | workers | retired


def _silence(heard: Heard, patience: AlarmPatience) -> str | None:
    if heard.silent_s < patience.silent_s:
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


async def watch_agents(engine: AsyncEngine, patience: AlarmPatience) -> list[str]:
    """Look for agents that are silent, or whose machine can begin nothing; one that was declared
    gone is no trouble any more, and of the silent ones of a degraded site the site's alarm tells.
    """

    async def read(tx: AsyncConnection) -> dict[Subject, str | None]:
        found: dict[Subject, str | None] = {}
        for name, said in (await said_of(tx, "agent")).items():
            if said == ON:
                found[Subject("agent", name)] = None
        sites = await said_of(tx, "site")
        for row in await present_agents(tx):
            what = f"agent {row.id} ({row.name}) of site {row.site}"
            trouble = _agents_trouble(row.silent_s, (row.load or {}).get("trouble"), patience)
            subject = Subject("agent", str(row.id))
            found[subject] = f"{what} {trouble}" if trouble else None
            if row.silent_s >= patience.silent_s and sites.get(row.site) == ON:
                del found[subject]
        return found

    remedy = "look at its machine; who knows that it is gone says operate/agent order=gone"
    return await set_alarms(engine, await transact(engine, read), remedy)


def _agents_trouble(silent_s: float, said: str | None, patience: AlarmPatience) -> str:
    if silent_s >= patience.silent_s:
        return f"was last heard of {round(silent_s / 60)} min ago"
    return f"takes no work: {said}" if said else ""
