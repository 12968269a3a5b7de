"""Prefect's server as `refinery up` starts it, and people with mail and a web hook whom it tells.

One server for all tests of this folder; what tells it of events is the announcer. Each test has a
database of its own.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import prefect.settings
import pytest
from prefect.client.orchestration import get_client
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars import ArsArchive
from blocks.ndrive import NDrive
from blocks.store import LocalStore
from refinery.addresses import Addresses
from refinery.announcer import announcing
from refinery.local import environment
from refinery.local.postgres import EmbeddedPostgres
from refinery.local.prefect_setup import tell_people, wait_for
from refinery.settings import Settings
from schemas.alarm_patience import AlarmPatience
from tasks.upkeep.alarms import raise_alarms
from tests.support.people import People, people
from tests.support.serving import free_port
from tests.support.slurm_lab import lab, quiet_paramiko, slurm_lab
from tests.support.world import World

__all__ = ["lab", "quiet_paramiko", "slurm_lab"]

ROOT = Path(__file__).parents[5]
PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [{"key": "load", "run": "module load", "retries": 0}],
}
SOON = AlarmPatience(looks=2, pause_s=0.05)
Look = Callable[[], Awaitable[list[str]]]


@dataclass
class Told:
    """Prefect's server, and the people that it tells."""

    settings: Settings
    addresses: Addresses
    people: People

    async def set_up(self, **changed: object) -> None:
        """What `refinery up` does about alarms."""
        settings = self.settings.model_copy(update=changed)
        async with get_client() as client:
            await tell_people(client, settings, self.addresses)

    @property
    def announcing(self) -> partial[Any]:
        """Announces to Prefect what is in the outbox of a database."""
        at, headers = self.addresses.prefect_api, self.addresses.prefect_headers
        return partial(announcing, events_url=at, headers=headers, together_s=0.1)

    async def once(self, look: Look, headline: str, *, times: int = 1) -> None:
        """Look thrice: people have been told this so often by now, and each of them."""
        for _ in range(3):
            await look()
        told = self.people

        def heard() -> bool:
            return min(len(told.mailed(headline)), len(told.posted(headline))) >= times

        await asyncio.to_thread(told.until, heard)
        assert told.mailed(headline) == told.posted(headline) == [headline] * times

    async def automations(self) -> dict[str, str]:
        """Those there are: the text of what each does, by name."""
        async with httpx.AsyncClient(headers=self.addresses.prefect_headers) as http:
            answer = await http.post(f"{self.addresses.prefect_api}/automations/filter", json={})
            return {each["name"]: str(each) for each in answer.json()}


@pytest.fixture(scope="package")
def told(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("alarms")
    (folder / "deployments").mkdir()
    shutil.copy(ROOT / "deployments" / "automations.yaml", folder / "deployments")
    postgres.ensure_database("prefect_alarms")
    here = f"http://127.0.0.1:{free_port()}"
    addresses = Addresses(
        prefect=here, clusters="", workstations="", board="http://board.museum.dk", ars="",
        database="", prefect_database=postgres.url("prefect_alarms", "postgresql+asyncpg"),
        ars_database="", prefect_login="refinery:secret",
    )  # fmt: skip
    with people() as who:
        settings = Settings.load(folder, {"REFINERY_ALARM_URLS": " ".join(who.urls)})
        command = ("refinery.local.prefect_server", "server", "start", "--host", "127.0.0.1")
        with (folder / "prefect.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", *command, "--port", here.rpartition(":")[2]],
                env=environment.of_server(settings, addresses), stdout=log, stderr=log,
            )  # fmt: skip
        at = {
            prefect.settings.PREFECT_API_URL: addresses.prefect_api,
            prefect.settings.PREFECT_API_AUTH_STRING: addresses.prefect_login,
        }
        try:
            with prefect.settings.temporary_settings(at):
                asyncio.run(_ready(Told(settings, addresses, who)))
                yield Told(settings, addresses, who)
        finally:
            server.terminate()
            server.wait(60)


async def _ready(made: Told) -> None:
    async with get_client() as client:
        await wait_for(client)
    await made.set_up()


@pytest.fixture
async def places(told: Told, tmp_path: Path) -> None:
    """Folders for the store and the N-Drive, no archive, and people who have heard nothing yet."""
    told.people.mails.clear()
    told.people.posts.clear()
    for name in ("drive", "store"):
        (tmp_path / name).mkdir()
    await NDrive(root=tmp_path / "drive", workstations=["*"]).save("default", overwrite=True)
    await LocalStore(root=tmp_path / "store").save("default", overwrite=True)
    with suppress(ValueError):
        await ArsArchive.adelete("default")


@pytest.fixture
async def world(told: Told, engine: AsyncEngine, places: None) -> AsyncIterator[World]:
    """A world of its own, whose events the announcer sends to Prefect."""
    made = await World.make(engine, PIPELINE)
    await made.sql("UPDATE track.session SET registered_at = now(), wake_requested_at = NULL")
    async with told.announcing(engine):
        yield made


@pytest.fixture
def look(engine: AsyncEngine) -> Look:
    """One look of reconcile at everything."""

    async def everything() -> list[str]:
        return await raise_alarms(engine, 0, SOON)

    return everything
