"""Prefect's deployments as `prefect.yaml` has them: made, changed, removed.

Which ones are ours is written down in Prefect's own database, as a variable: one that left the
file is removed with the next start, and what somebody else made is not touched.
"""

import asyncio
import sys
from pathlib import Path
from uuid import UUID

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.variables import Variable

MADE = "refinery_deployments"
"""The variable: the ids of the deployments that were in the file when it was deployed last."""

PAGE = 200
"""Deployments that Prefect's API gives at once."""


async def deploy() -> int:
    """Deploy everything in prefect.yaml, by Prefect's own command; its exit code."""
    command = ("-m", "prefect", "--no-prompt", "deploy", "--all")
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    return await process.wait()


async def remove_former(client: PrefectClient, path: Path) -> None:
    """Remove what an earlier `prefect.yaml` had and the one at `path`, just deployed, has not.

    Killed before its end, it does the rest when it is called again.
    """
    written = yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]
    wanted = {(each["entrypoint"], each["name"]) for each in written}
    ours = {each.id for each in await _all(client) if (each.entrypoint, each.name) in wanted}
    for former in await _made(client) - ours:
        try:
            await client.delete_deployment(former)
        except ObjectNotFound:
            continue
    await Variable.aset(MADE, sorted(map(str, ours)), overwrite=True)


async def _made(client: PrefectClient) -> set[UUID]:
    found = await client.read_variable_by_name(MADE)
    values = found.value if found and isinstance(found.value, list) else []
    return {UUID(str(each)) for each in values}


async def _all(client: PrefectClient) -> list[DeploymentResponse]:
    found: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found
