"""Each part that is away or full reaches people's mail and web hook once, through Prefect."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path

import httpx
import prefect.states
import pytest
from prefect.client.orchestration import get_client
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.store import LocalStore
from refinery.local.postgres import EmbeddedPostgres
from refinery.reconcile_watch import look_at_reconcile
from tasks.upkeep.alarms import raise_alarms
from tests.integration.refinery.local.told_people.conftest import ROOT, SOON, Look, Told
from tests.support.archive import archive_in
from tests.support.small_disk import small_disk
from tests.support.world import World
from track.records.outbox import TOGETHER, due, put_all
from track.reports.alarm_messages import Subject
from track.reports.alarms import set_alarm
from track.reports.alarms_together import release
from track.schema.database import transact


async def test_an_archive_that_stopped_is_told_of_and_so_are_its_return_and_the_days_between(
    told: Told, world: World, look: Look, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with archive_in(postgres, tmp_path / "ars") as archive:
        await archive.block().save("default", overwrite=True)
        assert await look() == []
    await told.once(look, "archive ars is down")
    text = told.people.read(0)
    assert (
        "nothing is lost" in text
        and told.addresses.prefect in text
        and "http://board.museum.dk/today" in text
    )
    await world.sql("UPDATE track.history SET at = at - interval '1 day'")
    await told.once(look, "archive ars is still down")
    with archive_in(postgres, tmp_path / "ars") as archive:
        await archive.block().save("default", overwrite=True)
        await told.once(look, "archive ars is up again")
    assert len(told.people.mails) == len(told.people.posts) == 3


SERVES = """
import asyncio, sys
from track.schema.database import make_engine, ping

async def main():
    engine = make_engine(sys.argv[1], service=sys.argv[2])
    while True:
        await ping(engine)
        print(flush=True)
        await asyncio.sleep(0.2)

asyncio.run(main())
"""


async def until_killed(service: str, database: str, meanwhile: Awaitable[object]) -> None:
    """Let a service live until something was done; then it is killed."""
    command = [sys.executable, "-c", SERVES, database, service]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout and await asyncio.to_thread(process.stdout.readline)
        await meanwhile
    finally:
        process.kill()
        process.communicate()


async def test_a_killed_service_is_told_of(
    told: Told, world: World, look: Look, database: str
) -> None:
    await until_killed("watch", database, look())
    await told.once(look, "service watch is silent")
    again = told.once(look, "service watch is heard of again")
    await until_killed("watch", database, again)


async def test_the_announcer_that_is_killed_is_told_of_by_reconcile_and_so_is_what_follows(
    told: Told, engine: AsyncEngine, places: None, look: Look, database: str
) -> None:
    await until_killed("clusters", database, look())
    await told.once(look, "service clusters is silent")
    await transact(engine, set_alarm, Subject("archive", "other"), "no answer")
    await told.once(look, "archive other is down")
    await transact(engine, set_alarm, Subject("archive", "other"), None)
    async with told.announcing(engine):  # it is back, and what was sent is not sent again
        await told.once(look, "archive other is up again")
    assert len(told.people.mails) == len(told.people.posts) == 3


async def test_a_look_that_fails_keeps_no_other_from_being_told_of(
    told: Told, world: World, look: Look
) -> None:
    await LocalStore.adelete("default")
    await world.sql("UPDATE track.site SET degraded = 'no route'")

    async def fails() -> list[str]:
        with pytest.raises(ValueError, match="default"):
            await look()
        return []

    await told.once(fails, "site here is degraded")


async def test_a_disk_that_is_full_is_told_of_until_there_is_room(
    told: Told, world: World, tmp_path: Path
) -> None:

    async def look() -> list[str]:
        return await raise_alarms(world.engine, 0.001, SOON)

    with small_disk(tmp_path / "disk", "4m") as disk:
        await LocalStore(root=disk).save("default", overwrite=True)
        assert await look() == []
        (disk / "file").write_bytes(bytes(3_700_000))
        await told.once(look, "storage store fills up")
        (disk / "file").unlink()
        await told.once(look, "storage store has room again")


async def test_a_reconcile_that_does_not_run_is_told_of_by_another(
    told: Told, world: World
) -> None:
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("reconcile")
        deployment = await client.create_deployment(flow_id, "every-minute", entrypoint="a:b")
        at, who = told.addresses.prefect_api, told.addresses.prefect_headers
        async with httpx.AsyncClient(base_url=at, headers=who) as http:

            async def look() -> list[str]:
                return await look_at_reconcile(world.engine, http, up_s=400)

            try:
                assert await look_at_reconcile(world.engine, http, up_s=200) == []
                await told.once(look, "service reconcile is silent")
                run = await client.create_flow_run_from_deployment(deployment)
                ended = prefect.states.Completed()
                await client.set_flow_run_state(run.id, ended, force=True)
                await told.once(look, "service reconcile is heard of again")
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
        await release(tx, [each.id for each in await due(tx, 100) if TOGETHER in each.event])
        await put_all(tx, [each.event for each in await due(tx, 100)])
    headlines = ["archive late is down", "archive late is up again"]
    last = Subject("archive", "last")
    async with told.announcing(engine):
        await asyncio.to_thread(who.until, lambda: len(who.mailed("late")) >= 2)
        await transact(engine, set_alarm, last, "no answer")
        await asyncio.to_thread(who.until, lambda: bool(who.mailed("last") and who.posted("last")))
    assert who.mailed("late") == who.posted("late") == headlines


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
