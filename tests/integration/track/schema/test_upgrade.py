"""A database of an earlier version, with work in flight, goes on after it was upgraded.

`before_rooms.sql` says what is in it. Asked is what the functions of today say and do.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from blocks.store import LocalStore
from hpc.callers import MessageRefused
from refinery.announcer import announcing
from refinery.local.postgres import EmbeddedPostgres
from schemas.pace import Pace
from tasks.dispatch.dispatcher import Dispatcher
from tasks.files.ndrive import list_session, listing_hash
from tasks.intake.folders import close_session_folder
from tests.support.at_site import complete, start
from tests.support.callbacks import KEYS, until
from tests.support.events_server import EventsServer
from tests.support.world import World, links
from track.commands.healing import unpushed_metadata
from track.commands.site_health import seen as driven
from track.jobs.batches import open_arrays, open_batches, read_batches
from track.jobs.batching import take_batches
from track.jobs.claims import returned, take_returned
from track.jobs.leases import Lease
from track.jobs.outputs import note_retrieved, wanted_outputs
from track.jobs.takeover import release_jobs
from track.records import retention
from track.records.outbox import backlog
from track.schema.database import transact
from track.schema.migrations import upgrade
from track.schema.states import State

DUMP = Path(__file__).with_name("before_rooms.sql")
TOKEN = "k.9.1.f83e33cfd85254604a6f2ea1f77ead87d5db9d486ab21a6efb4273c330262430"
"""What the attempt that is running was given."""
PEOPLE_SEE = "SELECT * FROM track.dassco ORDER BY _id"


def seen(postgres: EmbeddedPostgres, name: str) -> list[tuple[Any, ...]]:
    """What people see in MongoDB's place."""
    with psycopg.connect(postgres.url(name, "postgresql")) as connection:
        return connection.execute(PEOPLE_SEE).fetchall()


@pytest.fixture(scope="module")
def before(postgres: EmbeddedPostgres) -> tuple[str, list[tuple[Any, ...]]]:
    """The database as it was left, upgraded; and what people saw in it before."""
    name = f"before_{uuid4().hex[:8]}"
    postgres.ensure_database(name)
    with psycopg.connect(postgres.url(name, "postgresql"), autocommit=True) as connection:
        connection.execute(DUMP.read_bytes())
    view = seen(postgres, name)
    upgrade(postgres.url(name))
    return name, view


@pytest.fixture(scope="module")
def template(before: tuple[str, list[tuple[Any, ...]]]) -> str:
    """What each test's database is a copy of."""
    return before[0]


async def session_of(engine: AsyncEngine, name: str) -> World:
    """One of its sessions, with nobody at it."""
    nobody = World(engine, UUID(int=0), UUID(int=0))
    asked = "SELECT id FROM track.session WHERE path LIKE :name"
    ((found,),) = await nobody.sql(asked, name=f"%/{name}")
    return World(engine, UUID(str(found)), UUID(int=0))


@asynccontextmanager
async def taken_over(engine: AsyncEngine, url: str, name: str) -> AsyncIterator[World]:
    """A session that a new dispatcher has taken over, as its flow does."""
    world = await session_of(engine, name)
    lease = Lease(url, world.session_id)
    await asyncio.to_thread(lease.take, lambda: None)
    await transact(engine, driven, "local")
    world.dispatcher_id = lease.dispatcher_id
    try:
        await transact(
            engine,
            release_jobs,
            world.session_id,
            actor="t",
            keep=lease.dispatcher_id,
        )
        yield world
    finally:
        await asyncio.to_thread(lease.release, "the test is over")


async def attempt_of(world: World, guid: str) -> int:
    """The id of the attempt that an asset's job is at."""
    ((found,),) = await world.sql(
        "SELECT attempt_id FROM track.job WHERE asset_guid = :g AND attempt_id IS NOT NULL"
        " AND state IN ('queued', 'running', 'returned')",
        g=guid,
    )
    return int(str(found))


async def test_events_not_sent_yet_are_announced_once(engine: AsyncEngine, tmp_path: Path) -> None:
    async def nothing_unsent() -> bool:
        async with engine.begin() as tx:
            return (await backlog(tx)).events == 0

    async with EventsServer.serve() as prefect, announcing(engine, prefect.url):
        await prefect.expect("specimen.session.wake", 3)
        await prefect.expect("specimen.session.ready")
        await until(nothing_unsent)
    names = {each: str((await session_of(engine, each)).session_id) for each in SESSIONS}
    about = {f"specimen.session.{id_}": each for each, id_ in names.items()}
    announced = Counter(
        (each["event"], about.get(id_ := each["resource"]["prefect.resource.id"], id_))
        for each in prefect.events
    )
    assert announced == Counter(
        [
            ("hpc.job.started", "specimen.asset.running"),
            ("specimen.asset.attention", "specimen.asset.attention"),
            ("specimen.session.ready", "unannounced"),
            *(("specimen.session.wake", each) for each in ("asked", "parked", "died")),
        ]
    )


SESSIONS = ("finished", "parked", "died", "refused", "asked", "asked_and_told", "unannounced")


async def test_what_a_dead_dispatcher_held_is_claimed_again(
    engine: AsyncEngine, database: str
) -> None:
    async with taken_over(engine, database, "died") as world:
        claims = {(each.guid, each.stage) for each in await world.claim()}
        # Nobody takes what a person is asked about, or what a site has.
        assert claims == {
            ("claimed", "create"),
            ("emitted_72", "uploader"),
            ("ready", "ingest"),
        }


async def test_the_result_of_an_attempt_that_ran_meanwhile_is_applied(
    engine: AsyncEngine, database: str
) -> None:
    async with taken_over(engine, database, "died") as world:
        attempt = await attempt_of(world, "running")
        assert KEYS.read(TOKEN) == (attempt, 1)
        who = {"native_id": "4711_0", "nonce": f"nonce of {attempt}"}
        # The same process may ask for its start again; another one is refused.
        await start(world, attempt, **who)
        with pytest.raises(MessageRefused):
            await start(world, attempt, native_id="4711_9", nonce="x")
        read = {"barcode": {"asset_subject": "specimen", "barcodes": ["00500001"]}}
        for answer in ("applied", "repeated"):
            assert (await complete(world, attempt, result=read, **who)).applied == answer
        (back,) = await transact(engine, returned, world.session_id)
        assert await transact(engine, take_returned, [back.job_id], world.dispatcher_id)
        await world.finish(back)
        states = await world.states("running")
        assert (states["barcode"], states["derivative"]) == (State.DONE, State.READY)


async def test_one_that_came_back_is_done_once_its_outputs_are_here(
    engine: AsyncEngine, database: str
) -> None:
    async with taken_over(engine, database, "died") as world:
        assert await transact(engine, returned, world.session_id) == []
        (awaited,) = await transact(engine, wanted_outputs, "slurm")
        assert (awaited.guid, awaited.files[0].path) == ("returned", "derivatives/returned.jpg")
        await transact(engine, note_retrieved, awaited.attempt)
        (back,) = await transact(engine, returned, world.session_id)
        await transact(engine, take_returned, [back.job_id], world.dispatcher_id)
        await world.finish(back)
        assert (await world.states("returned"))["synchronise"] == State.READY


async def test_metadata_that_was_not_pushed_is_found(engine: AsyncEngine) -> None:
    found = await transact(engine, unpushed_metadata, timedelta(0))
    # Of `returned`, which is in hand, its subflow tells the archive.
    assert sorted(found) == ["emitted", "final"]


async def test_drivers_find_what_is_queued_and_what_was_sent(engine: AsyncEngine) -> None:
    async def look(tx: Any) -> tuple[Any, ...]:
        here = await read_batches(tx, await open_batches(tx, "local"))
        arrays = await open_arrays(tx, "slurm")
        there = await read_batches(tx, list(arrays))
        new = await take_batches(tx, "slurm", members=9, size=9)
        return here, arrays, there, await read_batches(tx, new)

    here, arrays, there, new = await transact(engine, look)
    assert [[m.guid for m in each.members if m.open] for each in here] == [["queued_here"]]
    assert {array for _, array in arrays.values()} == {"4700", "4701", "4711"}
    (sent,) = (each for each in there if each.external_id == "4711")
    members = {m.guid: (m.open, m.started_by) for m in sent.members}
    assert members == {"running": (True, "4711_0"), "queued_array": (True, None)}
    assert [[m.guid for m in each.members] for each in new] == [["queued_unsent"]]


async def test_the_note_of_quarantined_specimens_reads_the_same(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "WORKHERB0001" / "refused"
    folder.mkdir(parents=True)
    for name in ("plain.json", "plain.jpg", "drawer.json"):
        (folder / name).write_text(name)
    async with taken_over(engine, database, "refused") as world:
        await world.sql(
            "UPDATE track.session SET path = :p, opened_as = :p, listing_hash = :h WHERE id = :id",
            p=str(folder),
            h=listing_hash(list_session(folder)),
            id=world.session_id,
        )
        lease = SimpleNamespace(dispatcher_id=world.dispatcher_id, flow_run_id=None)
        drive = NDrive(root=tmp_path, workstations=["*"], settle_seconds=0.01)
        store = LocalStore(root=tmp_path / "store")
        await close_session_folder(
            Dispatcher(world.session_id, engine, lease, None, drive, store, Pace())  # type: ignore[arg-type]
        )
    note = (folder.with_name("error_refused") / "QUARANTINE.txt").read_bytes().decode()
    said = note.replace("\r\n", "\n")
    assert PLAIN in said
    assert DRAWER in said.replace("\n  wrong:  ", ": ")


PLAIN = """
plain.json
  wrong:  it names the format TIF, and there is only plain.jpg
  to do:  drop both again
"""
DRAWER = """drawer 4: left.tif: it is not a TIFF; its first bytes are text
  to do:  export it again, then drop it
"""
"""Which part of it is the file's name could not be recognised in what was written then."""


async def test_people_see_what_they_saw(
    postgres: EmbeddedPostgres, before: tuple[str, list[tuple[Any, ...]]], engine: AsyncEngine
) -> None:
    name, saw = before
    assert seen(postgres, name) == saw
    world = await session_of(engine, "died")
    rows = await world.sql("SELECT _id, available_for_services FROM track.dassco")
    services = {str(guid): answer for guid, answer in rows}
    assert len(services) == len(saw) == 18
    marked = {guid: answer for guid, answer in services.items() if answer != "YES"}
    assert marked == {"attention": "PAUSED", "plain": "ERROR", "drawer": "ERROR"}


async def test_objects_copies_and_records_are_kept(engine: AsyncEngine) -> None:
    assert await transact(engine, links, "emitted") == ["returned"]
    due = await transact(engine, retention.due)
    assert {(each.kind, each.guid) for each in due} == {
        ("ndrive", "final"),
        ("store", "final"),
        ("site", "final"),
        ("site", "final_72"),
    }
    world = await session_of(engine, "finished")
    moves = await world.sql(
        "SELECT old, new FROM track.history WHERE asset_guid = 'final' AND what = 'job.state'"
        " AND job_id = :job ORDER BY id",
        job=await world.job_id("final", "barcode"),
    )
    assert [new for _, new in moves] == [
        "ready",
        "claimed",
        "queued",
        "running",
        "returned",
        "done",
    ]
