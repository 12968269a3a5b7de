"""Each alarm, provoked for real, reaches people's mail and web hook once, through Prefect's server.

One server for all tests of this file, started as `refinery up` starts it; what tells it of events
is the announcer. Each test has a database of its own.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import prefect.settings
import prefect.states
import pytest
from prefect.client.orchestration import get_client
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars import ArsArchive
from blocks.ndrive import NDrive
from blocks.store import LocalStore
from refinery.addresses import Addresses
from refinery.announcer import announcing
from refinery.local import environment
from refinery.local.postgres import EmbeddedPostgres
from refinery.local.prefect_setup import tell_people, wait_for
from refinery.reconcile_watch import look_at_reconcile
from refinery.settings import Settings
from schemas.alarm_patience import AlarmPatience
from tasks.upkeep.alarms import raise_alarms
from tests.support.archive import archive_in
from tests.support.people import People, people
from tests.support.serving import free_port
from tests.support.small_disk import small_disk
from tests.support.world import World, new
from track.jobs import verbs
from track.records.outbox import due, put_all
from track.reports.alarm_messages import Subject
from track.reports.alarms import set_alarm
from track.schema.database import transact
from track.schema.states import State

ROOT = Path(__file__).parents[4]
PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [{"key": "load", "run": "module load", "retries": 0}],
}
SOON = AlarmPatience(looks=2, pause_s=0.05)


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

    async def automations(self) -> dict[str, str]:
        """Those there are: the text of what each does, by name."""
        async with httpx.AsyncClient(headers=self.addresses.prefect_headers) as http:
            answer = await http.post(f"{self.addresses.prefect_api}/automations/filter", json={})
            return {each["name"]: str(each) for each in answer.json()}


@pytest.fixture(scope="module")
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
async def world(told: Told, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[World]:
    """A world of its own, whose events the announcer sends to Prefect."""
    told.people.mails.clear()
    told.people.posts.clear()
    for name in ("drive", "store"):
        (tmp_path / name).mkdir()
    await NDrive(root=tmp_path / "drive", workstations=["*"]).save("default", overwrite=True)
    await LocalStore(root=tmp_path / "store").save("default", overwrite=True)
    nobody = ArsArchive(base_url="http://127.0.0.1:9", client_id="c", client_secret=SecretStr("s"))
    await nobody.save("default", overwrite=True)
    made = await World.make(engine, PIPELINE)
    await made.sql("UPDATE track.session SET registered_at = now(), wake_requested_at = NULL")
    async with announcing(engine, told.addresses.prefect_api, told.addresses.prefect_headers):
        yield made


Look = Callable[[], Awaitable[list[str]]]


async def once(told: Told, look: Look, headline: str) -> None:
    """Look thrice: people are told this, each of them once."""
    for _ in range(3):
        await look()
    who = told.people
    await asyncio.to_thread(who.until, lambda: bool(who.mailed(headline) and who.posted(headline)))
    assert (who.mailed(headline), who.posted(headline)) == ([headline], [headline])


@pytest.fixture
def look(world: World) -> Look:
    async def everything() -> list[str]:
        return await raise_alarms(world.engine, 0, SOON)

    return everything


async def test_an_archive_that_stopped_is_told_of_and_so_are_its_return_and_the_days_between(
    told: Told, world: World, look: Look, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with archive_in(postgres, tmp_path / "ars") as archive:
        await archive.block().save("default", overwrite=True)
        assert await look() == []
    await once(told, look, "archive ars is down")
    text = told.people.read(0)
    assert (
        "nothing is lost" in text
        and told.addresses.prefect in text
        and "http://board.museum.dk/today" in text
    )
    await world.sql("UPDATE track.history SET at = at - interval '1 day'")
    await once(told, look, "archive ars is still down")
    with archive_in(postgres, tmp_path / "ars") as archive:
        await archive.block().save("default", overwrite=True)
        await once(told, look, "archive ars is up again")
    assert len(told.people.mails) == len(told.people.posts) == 3


async def test_a_killed_service_is_told_of(
    told: Told, world: World, look: Look, database: str
) -> None:
    await ArsArchive.adelete("default")
    serves = (
        "import asyncio, sys\nfrom track.schema.database import make_engine, ping\n"
        "async def main():\n"
        "    engine = make_engine(sys.argv[1], service='watch')\n"
        "    while True:\n        await ping(engine)\n        print(flush=True)\n"
        "        await asyncio.sleep(0.2)\nasyncio.run(main())"
    )
    command = [sys.executable, "-c", serves, database]
    for round_ in range(2):
        service = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        try:
            assert service.stdout and await asyncio.to_thread(service.stdout.readline)
            if not round_:
                assert await look() == []
            else:
                await once(told, look, "service watch is heard of again")
        finally:
            service.kill()
            service.communicate()
        if not round_:
            await once(told, look, "service watch is silent")


async def test_a_disk_that_is_full_is_told_of_until_there_is_room(
    told: Told, world: World, tmp_path: Path
) -> None:
    await ArsArchive.adelete("default")

    async def look() -> list[str]:
        return await raise_alarms(world.engine, 0.001, SOON)

    with small_disk(tmp_path / "disk", "4m") as disk:
        await LocalStore(root=disk).save("default", overwrite=True)
        assert await look() == []
        (disk / "file").write_bytes(bytes(3_700_000))
        await once(told, look, "storage store fills up")
        (disk / "file").unlink()
        await once(told, look, "storage store has room again")


async def test_a_failing_stage_and_a_site_that_is_cut_off_are_told_of(
    told: Told, world: World, look: Look
) -> None:
    await ArsArchive.adelete("default")
    await world.register(*(new(f"g{n}") for n in range(6)))
    for claim in await world.claim(limit=10):
        why = "<b>no such</b> *library* [x](http://evil)"
        await transact(world.engine, verbs.end, claim.job_id, State.FAILED, actor="test", why=why)
    await once(told, look, "stage P/load fails")
    assert "<b>no such</b> *library* [x](http://evil)" in told.people.posts[0]["message"]
    assert "&lt;b&gt;" in told.people.read(0, "html"), "a mail is HTML, and reasons are not"
    await world.sql("UPDATE track.site SET seen_at = now() - interval '1 hour', degraded = 'cut'")
    await once(told, look, "site here is degraded")


async def test_a_reconcile_that_does_not_run_is_told_of_by_another(
    told: Told, world: World
) -> None:
    await ArsArchive.adelete("default")
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("reconcile")
        deployment = await client.create_deployment(flow_id, "every-minute", entrypoint="a:b")
        at, who = told.addresses.prefect_api, told.addresses.prefect_headers
        async with httpx.AsyncClient(base_url=at, headers=who) as http:

            async def look() -> list[str]:
                return await look_at_reconcile(world.engine, http, up_s=400)

            try:
                assert await look_at_reconcile(world.engine, http, up_s=200) == []
                await once(told, look, "service reconcile is silent")
                run = await client.create_flow_run_from_deployment(deployment)
                ended = prefect.states.Completed()
                await client.set_flow_run_state(run.id, ended, force=True)
                await once(told, look, "service reconcile is heard of again")
            finally:
                await client.delete_deployment(deployment)


async def test_what_could_not_be_announced_for_hours_comes_afterwards_and_each_of_it_once(
    told: Told, engine: AsyncEngine
) -> None:
    who, subject = told.people, Subject("archive", "late")
    for event in ("no answer", None):
        assert await transact(engine, set_alarm, subject, event)
        await transact(engine, set_alarm, subject, event)
    async with engine.begin() as tx:  # as if the answer to the first of two posts were lost
        rows = [each.event for each in await due(tx, 100)]
        await put_all(tx, rows)
    headlines = ["archive late is down", "archive late is up again"]
    last = Subject("archive", "last")
    async with announcing(engine, told.addresses.prefect_api, told.addresses.prefect_headers):
        await asyncio.to_thread(who.until, lambda: len(who.mailed("late")) >= 2)
        await transact(engine, set_alarm, last, "no answer")
        await asyncio.to_thread(who.until, lambda: bool(who.mailed("last") and who.posted("last")))
    assert sorted(who.mailed("late")) == sorted(who.posted("late")) == headlines


async def test_the_automations_follow_their_file_and_the_setting(told: Told) -> None:
    silent, people_are = "a run that went silent has crashed", "people are told of alarms"
    await told.set_up()
    assert (await told.automations()).keys() == {silent, people_are}
    before = await told.automations()
    await told.set_up()
    assert await told.automations() == before, "nothing was touched"
    file = told.settings.project_dir / "deployments" / "automations.yaml"
    kept = file.read_text(encoding="utf-8")
    try:
        file.write_text(kept.replace("within: 600", "within: 900"), encoding="utf-8")
        await told.set_up()
        changed = await told.automations()
        assert changed[people_are] == before[people_are] and "900" in changed[silent]
        for _ in range(2):  # nobody is told any more, and nobody still
            await told.set_up(alarm_urls=())
        assert (await told.automations()).keys() == {silent}
        file.write_text("automations: []", encoding="utf-8")
        await told.set_up()
        assert await told.automations() == {}
    finally:
        file.write_text(kept, encoding="utf-8")
        await told.set_up()
    assert (await told.automations()).keys() == {silent, people_are}
