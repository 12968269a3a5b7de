"""Records of old assets leave once, whatever dies on the way, and come back as they were."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from refinery.old_records import left, restore
from tasks.errors import FileError
from tasks.files.record_folders import read_folder
from tasks.upkeep import records
from tests.support.at_site import until_blocked
from tests.support.old_assets import AGE, KEEP, old_world, rows_of, sweep, travel
from tests.support.small_disk import small_disk
from track.commands import operations
from track.commands.switches import set_attention
from track.records import leaving
from track.schema.database import transact

Rows = dict[str, list[dict[str, Any]]]


class Killed(BaseException):
    """What ends a process between two lines."""


def folders(root: Path) -> list[Path]:
    return sorted(root.glob("*/*"))


def numbers(rows: Rows) -> dict[str, int]:
    return {table: len(found) for table, found in rows.items()}


async def test_all_of_an_old_assets_records_leave_but_what_is_still_asked(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    world = await old_world(engine, "g", "young")
    await world.sql("UPDATE track.asset SET finalised_at = now() WHERE guid = 'young'")
    for note in ("a.tif (CRC-32 1): look", None):
        await transact(engine, set_attention, "g", note, actor="person:ib")
    before, young = await rows_of(world, "g"), await rows_of(world, "young")
    (page,) = await sweep(world, tmp_path)
    assert page.old.leaving == ("g",) and page.old.staying == {}
    after = await rows_of(world, "g")
    assert [each["what"] for each in after["history"]] == [
        "asset.attention", "asset.attention", leaving.LEFT
    ]  # fmt: skip
    assert after["inbox"] == [] and after["attempt"] == before["attempt"][1:]
    assert await rows_of(world, "young") == young
    manifest, _ = read_folder(tmp_path / page.folder)
    assert {each.table: each.rows for each in manifest.files} == {**numbers(before), "batch": 0}
    assert manifest.assets == ["g"] and manifest.revision >= "0017"
    dropped = sum(numbers(before).values()) - 2 - 1  # two notes and the last attempt stayed
    assert page.rows == dropped
    assert await sweep(world, tmp_path) == []


async def test_they_come_back_as_they_were_and_a_second_time_nothing_does(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    before = await rows_of(world, "g")
    used = await world.sql("SELECT sum(images), sum(seconds) FROM track.usage_total")
    (page,) = await sweep(world, tmp_path)
    told = await restore(database, tmp_path / page.folder)
    assert told.endswith(
        f"1 assets, rows put back: {len(before['history'])} of history,"
        f" {len(before['inbox'])} of inbox, 1 of attempt, 0 of batch"
    )
    after = await rows_of(world, "g")
    note = after["history"].pop()
    assert (note["what"], note["new"]) == (leaving.LEFT, page.folder)
    assert after == before
    again = await restore(database, tmp_path / page.folder)
    assert again.endswith("0 of history, 0 of inbox, 0 of attempt, 0 of batch")
    assert await world.sql("SELECT sum(images), sum(seconds) FROM track.usage_total") == used
    assert await left(database, "g") == [page.folder]


@pytest.mark.parametrize("line", ["write_folder", "read_ids", "drop"])
async def test_killed_before_the_commit_nothing_has_left_and_the_next_sweep_does_it(
    line: str, engine: AsyncEngine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await old_world(engine, "g")
    before = await rows_of(world, "g")
    where = leaving if line == "drop" else records
    real: Any = getattr(where, line)

    def die(*given: Any) -> None:
        real(*given)
        raise Killed(line)

    async def die_at_last(*given: Any) -> None:
        await real(*given)
        raise Killed(line)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(where, line, die_at_last if line == "drop" else die)
        await sweep(world, tmp_path)
    assert await rows_of(world, "g") == before
    (orphan,) = folders(tmp_path)
    (page,) = await sweep(world, tmp_path)
    assert (await rows_of(world, "g"))["inbox"] == []
    # Either folder brings everything back.
    for folder in (orphan, tmp_path / page.folder):
        await restore(database, folder)
    after = await rows_of(world, "g")
    assert after["history"].pop()["what"] == leaving.LEFT
    assert after == before


async def test_killed_after_the_commit_all_is_done(engine: AsyncEngine, tmp_path: Path) -> None:
    world = await old_world(engine, "g")
    with pytest.raises(Killed):
        async for _page in records.RecordsSweep(engine, tmp_path, KEEP, False).pages():
            raise Killed
    assert (await rows_of(world, "g"))["inbox"] == []
    assert await sweep(world, tmp_path) == [] and len(folders(tmp_path)) == 1


async def test_an_asset_that_is_being_done_again_keeps_its_records(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    """A person asks while a sweep could begin: until that is committed nobody else has the asset,
    and after it the asset is at its end no more."""
    world = await old_world(engine, "g")
    load, before = await world.job_id("g", "load"), numbers(await rows_of(world, "g"))
    asked = {"actor": "operator:ib", "why": "again"}
    async with engine.begin() as tx:
        await operations.resubmit(tx, load, **asked)
        assert await sweep(world, tmp_path) == []
    assert await sweep(world, tmp_path) == [] and folders(tmp_path) == []
    assert numbers(await rows_of(world, "g"))["inbox"] == before["inbox"]


async def test_one_who_has_it_done_again_meanwhile_waits_and_then_may(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await old_world(engine, "g")
    load, reached, go_on = await world.job_id("g", "load"), asyncio.Event(), asyncio.Event()
    real = leaving.drop

    async def wait(*given: Any) -> int:
        reached.set()
        await go_on.wait()
        return await real(*given)

    monkeypatch.setattr(leaving, "drop", wait)
    sweeping = asyncio.create_task(sweep(world, tmp_path))
    await reached.wait()
    asked = {"actor": "operator:ib", "why": "again"}
    resubmitted = asyncio.create_task(transact(engine, operations.resubmit, load, **asked))
    await until_blocked(engine, resubmitted)
    go_on.set()
    await sweeping
    assert (await resubmitted).now == "ready"
    said = {each["what"]: each["why"] for each in (await rows_of(world, "g"))["history"]}
    assert said.keys() == {leaving.LEFT, "job.state"}  # and all of the latter is of today
    await travel(world, "g")
    numbered = [each["n"] for each in (await rows_of(world, "g"))["attempt"]]
    assert numbered == [2, 3, 4]


async def test_an_asset_that_ended_again_leaves_again_and_names_both_folders(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    (first,) = await sweep(world, tmp_path)
    load = await world.job_id("g", "load")
    await transact(engine, operations.resubmit, load, actor="operator:ib", why="again")
    failed, last = await travel(world, "g")
    assert await sweep(world, tmp_path) == []  # it ended just now
    await world.sql(AGE, guid="g")
    (second,) = await sweep(world, tmp_path)
    rows = await rows_of(world, "g")
    assert [each["id"] for each in rows["attempt"]] == [last] and rows["inbox"] == []
    assert await left(database, "g") == [first.folder, second.folder]
    _, held = read_folder(tmp_path / second.folder)
    assert f"\n{failed},".encode() in held["attempt"]


STAYS = {
    "it is in quarantine": """UPDATE track.asset SET quarantine = '{"file": ""}'""",
    "it is held for a person": "UPDATE track.asset SET attention = 'look'",
    "it has something to do again": "UPDATE track.asset SET reopened_at = now()",
    "a stage of it is not over": "UPDATE track.job SET state = 'failed'",
    "an attempt of it is open": "UPDATE track.attempt SET closed_at = NULL",
    "the archive lacks metadata of it": """
        UPDATE track.stage SET kind = 'builtin', run = 'create' WHERE key = 'load'""",
}


@pytest.mark.parametrize("why", STAYS)
async def test_what_is_open_of_an_asset_keeps_its_records(
    why: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    await world.sql(STAYS[why])
    before = await rows_of(world, "g")
    (page,) = await sweep(world, tmp_path)
    assert page.old.staying == {"g": why} and page.folder == ""
    assert await rows_of(world, "g") == before and folders(tmp_path) == []


async def test_a_stage_that_is_no_longer_there_keeps_nothing(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    await world.sql("UPDATE track.job SET state = 'failed' WHERE stage_id = (SELECT min(stage_id)"
                    " FROM track.job)")  # fmt: skip
    await world.sql("UPDATE track.stage SET archived_at = now() WHERE key = 'load'")
    (page,) = await sweep(world, tmp_path)
    assert page.old.leaving == ("g",)


async def test_a_dry_run_changes_nothing_and_pages_follow_one_another(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PAGE", 2)
    guids = [f"g{n}" for n in range(5)]
    world = await old_world(engine, *guids)
    before = [await rows_of(world, guid) for guid in guids]
    dry = await sweep(world, tmp_path, dry_run=True)
    assert [len(page.old.leaving) for page in dry] == [2, 2, 1]
    assert [await rows_of(world, guid) for guid in guids] == before and folders(tmp_path) == []
    pages = await sweep(world, tmp_path)
    assert sorted(guid for page in pages for guid in page.old.leaving) == guids
    assert len({page.folder for page in pages}) == 3 == len(folders(tmp_path))


async def test_a_full_disk_keeps_everything_and_says_so(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    before = await rows_of(world, "g")
    with small_disk(tmp_path / "full", 4096) as disk:
        (disk / "filler").write_bytes(b"x" * 4096)
        with pytest.raises(FileError, match="cannot be written"):
            await sweep(world, disk / "records")
    assert await rows_of(world, "g") == before


async def test_rows_of_another_database_are_refused(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    (page,) = await sweep(world, tmp_path)
    folder = tmp_path / page.folder
    await world.sql("UPDATE track.attempt SET job_id = (SELECT max(id) FROM track.job), n = 9")
    with pytest.raises(ValueError, match=r"attempt\.csv\.gz, id \d+: it is another job_id's here"):
        await restore(database, folder)
    assert (await rows_of(world, "g"))["inbox"] == []  # nothing of it came back
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][0]["columns"][1] = "of_old"
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ValueError, match="rows or columns: the manifest says others"):
        await restore(database, folder)


async def test_numbers_go_on_after_those_that_came_back(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    """An older copy of the database was restored: its sequences begin before these rows."""
    world = await old_world(engine, "g")
    (page,) = await sweep(world, tmp_path)
    await world.sql("SELECT setval(pg_get_serial_sequence('track.inbox', 'id'), 1, false)")
    await restore(database, tmp_path / page.folder)

    async def call(tx: AsyncConnection) -> None:
        await leaving.record_all(tx, [{"asset_guid": "g"}], actor="t", what="t")

    await transact(engine, call)
    ((highest,),) = await world.sql("SELECT max(id) FROM track.inbox")
    ((following,),) = await world.sql("SELECT nextval(pg_get_serial_sequence('track.inbox', 'id'))")
    assert isinstance(highest, int) and following == highest + 1
