"""Sets up Prefect's server: work pools, automations, blocks and deployments.

Run by `refinery up` as a process of its own once the server answers; every step may be
repeated. Deploying imports every flow, so it is left out while nothing it reads changed.
"""

import asyncio
import hashlib
import sys
from contextlib import suppress
from pathlib import Path

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from pydantic import SecretStr

from blocks.alarm_addresses import AlarmAddresses
from blocks.database import RefineryDatabase
from blocks.issue_tracker import IssueTracker
from blocks.slurm_site import SlurmSite
from blocks.store import LocalStore
from refinery import connections
from refinery.addresses import Addresses, of_running
from refinery.local.automations import ensure_automations, read_automations
from refinery.local.deployments import deploy, remove_former
from refinery.settings import Settings
from refinery.waiting import Waiting

READ_BY_DEPLOY = ("flows", "tasks", "blocks", "hpc", "schemas", "track", "deployments")

ALARMS = "refinery-alarms"
"""The block that holds who is told of alarms; the automations' file names it."""


def main() -> None:
    """Set everything up for the system in this folder; exits with deploy's own code."""
    settings = Settings.load(Path.cwd())
    sys.exit(asyncio.run(set_up(settings, of_running(settings))))


async def set_up(settings: Settings, addresses: Addresses) -> int:
    """Work pools and automations, then blocks and deployments; deploy's exit code."""
    async with get_client() as client:
        await wait_for(client)
        for pool in (settings.work_pool, settings.housekeeping_pool):
            await ensure_work_pool(client, pool)
        await tell_people(client, settings, addresses)
        known = bool(await client.read_deployments(limit=1))
    stamp, now = settings.state / "run" / "deployed", fingerprint(settings)
    if known and stamp.is_file() and stamp.read_text(encoding="ascii") == now:
        await save_blocks(settings, addresses)
        return 0
    code, _ = await asyncio.gather(deploy(), save_blocks(settings, addresses))
    if code == 0:
        async with get_client() as client:
            await remove_former(client, settings.project_dir / "prefect.yaml")
        stamp.write_text(now, encoding="ascii")
    return code


async def wait_for(client: PrefectClient) -> None:
    """Wait until the server, which migrates its database first, is healthy.

    There is no timeout: `refinery up` ends this process when the server has died.
    """
    waiting = Waiting(f"Prefect at {client.api_url}", print, why="it migrates its database")
    while (trouble := await client.api_healthcheck()) is not None:
        waiting.go_on(f"it answered: {type(trouble).__name__}: {trouble}")
        await asyncio.sleep(0.1)


async def ensure_work_pool(client: PrefectClient, name: str) -> None:
    """A pool whose worker starts processes on this host."""
    try:
        await client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    except ObjectAlreadyExists:
        return


async def tell_people(client: PrefectClient, settings: Settings, addresses: Addresses) -> None:
    """Who is told of alarms, and the automations; those that tell nobody are left out."""
    blocks = {}
    if settings.alarm_urls:
        urls = "\n".join(each.get_secret_value() for each in settings.alarm_urls)
        await AlarmAddresses.register_type_and_schema()
        block = AlarmAddresses(urls=SecretStr(urls))
        blocks[ALARMS] = await block.save(ALARMS, overwrite=True)
    path = settings.project_dir / "deployments" / "automations.yaml"
    pages = {"prefect": addresses.prefect, "board": addresses.board}
    await ensure_automations(client, read_automations(path, blocks=blocks, pages=pages))
    if not blocks:
        with suppress(ValueError):  # there is none
            await AlarmAddresses.adelete(ALARMS)


async def save_blocks(settings: Settings, addresses: Addresses) -> None:
    """What flows and tasks load by the name "default"."""
    blocks: list[Block] = [
        RefineryDatabase(url=SecretStr(addresses.database)),
        LocalStore(root=settings.store, records=settings.records, previews=settings.previews),
        connections.n_drive(settings),
        connections.archive(settings, addresses),
    ]
    settings.store.mkdir(parents=True, exist_ok=True)
    await SlurmSite.register_type_and_schema()
    await save_tracker(settings)
    for block in blocks:
        await block.register_type_and_schema()
        await block.save("default", overwrite=True)


async def save_tracker(settings: Settings) -> None:
    """Where workstations' problems become issues, or that it is nowhere."""
    await IssueTracker.register_type_and_schema()
    tracker = connections.issue_tracker(settings)
    if tracker is not None:
        await tracker.save("default", overwrite=True)
        return
    with suppress(ValueError):  # there is none
        await IssueTracker.adelete("default")


def fingerprint(settings: Settings) -> str:
    """A hash of what deployments are made from: prefect.yaml and the code it refers to."""
    summed = hashlib.sha256(f"{settings.work_pool} {sys.prefix}".encode())
    files = [settings.project_dir / "prefect.yaml"]
    for folder in READ_BY_DEPLOY:
        files += sorted((settings.project_dir / folder).rglob("*.py"))
        files += sorted((settings.project_dir / folder).rglob("*.yaml"))
    for path in files:
        summed.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return summed.hexdigest()


if __name__ == "__main__":
    main()
