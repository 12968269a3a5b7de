"""A session is complete when its client says so; only then does the watch see it."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import WorkstationApi
from blocks.ndrive import NDrive
from schemas.digitisation import ANY_WORKSTATION
from tasks.intake.watch import DriveWatch
from tests.support.workstations import STATIONS, Station, names_in, refused, sha256, uploading
from tests.support.world import edit

FILES = {"g1.tif": b"an image" * 100, "g1.json": b'{"asset_guid": "g1"}'}


async def send_all(station: Station, files: dict[str, bytes] = FILES) -> None:
    for name, content in files.items():
        assert (await station.stored(await station.send(name, content))).status_code == 200


async def looked(engine: AsyncEngine, station: Station) -> list[str]:
    """What the watch has opened after a look at the drive."""
    drive = NDrive(root=station.drive, workstations=list(STATIONS), settle_seconds=1000)
    watch = DriveWatch(drive, engine)
    await watch.look()
    await watch.close()
    async with engine.connect() as tx:
        return list((await tx.execute(text("SELECT path FROM track.session"))).scalars())


async def test_the_watch_sees_a_session_at_its_end_and_not_before(
    station: Station, engine: AsyncEngine
) -> None:
    await send_all(station)
    assert await looked(engine, station) == []
    answer = await station.end(FILES)
    assert answer.status_code == 200, answer.text
    assert answer.json()["completed_at"] and answer.json()["received"] == 1
    assert await looked(engine, station) == [str(station.made)]
    assert names_in([station.made]) == [".complete", "g1.json", "g1.tif"]
    marker = json.loads((station.made / ".complete").read_text(encoding="utf-8"))
    assert marker == {"session": station.session, "workstation": station.name, "by": "Åse"}


async def test_ending_it_again_gets_the_same_answer(station: Station) -> None:
    await send_all(station)
    first = await station.end(FILES)
    again = await station.end(FILES)
    assert (again.status_code, again.json()) == (200, first.json())
    station.made.rename(station.made.with_name(f"imported_{station.session}"))
    assert (await station.end(FILES)).json() == first.json()


async def test_what_lacks_is_named(station: Station) -> None:
    await send_all(station, {"g1.tif": FILES["g1.tif"]})
    answer = await station.end(FILES)
    refused(answer, 409, "session_lacks_files", "g1.json")
    assert answer.json()["files"] == ["g1.json"]
    refused(await station.end({"g1.tif": b"another"}), 409, "session_lacks_files", "g1.tif")
    assert not station.made.exists()


async def test_a_file_that_was_taken_off_the_drive_lacks_too(station: Station) -> None:
    await send_all(station)
    (station.making / "g1.json").unlink()
    refused(await station.end(FILES), 409, "session_lacks_files", "g1.json")


async def test_after_its_end_nothing_comes_into_a_session(station: Station) -> None:
    half = (await station.create("g2.tif", b"never finished")).headers["location"]
    await station.patch(half, 0, b"never")
    await send_all(station)
    assert (await station.end(FILES)).status_code == 200
    assert names_in([station.made]) == [".complete", "g1.json", "g1.tif"], "no part is left"
    refused(await station.create("g3.tif", b"late"), 409, "session_ended", "new session")
    assert (await station.head(half)).status_code == 404


async def test_a_kill_between_the_folders_name_and_the_row_is_made_good(
    config: WorkstationApi,
) -> None:
    async with uploading(config) as station:
        await send_all(station)
        (station.making / ".complete").write_text("{}")
        station.making.rename(station.made)
    async with uploading(config) as station:
        refused(await station.create("g3.tif", b"late"), 409, "session_ended")
        answer = await station.end(FILES)
        assert answer.status_code == 200 and answer.json()["completed_at"]


async def test_a_folder_that_somebody_put_beside_is_never_written_over(station: Station) -> None:
    await send_all(station)
    station.made.mkdir()
    (station.made / "other.tif").write_bytes(b"of somebody else")
    refused(await station.end(FILES), 409, "session_ended", "move it")
    assert names_in([station.made]) == ["other.tif"]
    (station.made / "other.tif").unlink()
    station.made.rmdir()
    assert (await station.end(FILES)).status_code == 200


async def test_what_was_sent_in_another_session_need_not_be_sent_again(station: Station) -> None:
    await send_all(station)
    assert (await station.end(FILES)).status_code == 200
    later = Station(station.http, station.drive, session="later", headers=station.headers)
    more = FILES | {"g2.tif": b"one more", "g2.json": b"{}"}
    await send_all(later, more)
    assert (await later.end(more)).status_code == 200
    assert names_in([later.made]) == [".complete", "g2.json", "g2.tif"]


async def test_an_unknown_session_is_404(station: Station) -> None:
    await send_all(station)
    other = Station(station.http, station.drive, session="unknown", headers=station.headers)
    refused(await other.end(FILES), 404, "unknown_upload")
    refused(await station.get(f"/sessions/{station.name}/unknown"), 404, "unknown_upload")


@pytest.mark.parametrize("files", [[], [{"name": "a.tif"}], "x"])
async def test_an_end_that_says_nothing_is_refused(station: Station, files: object) -> None:
    path = f"/sessions/{station.name}/{station.session}/end"
    answer = await station.http.put(path, json={"files": files}, headers=station.headers)
    refused(answer, 422, "bad_request", "files")


ROW = """
    INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, quarantine)
    SELECT :guid, s.id, p.id, :guid, CAST(:quarantine AS jsonb) FROM track.session s,
           track.pipeline p ORDER BY p.id LIMIT 1
"""


async def take_in(
    engine: AsyncEngine, station: Station, guid: str, quarantine: str | None = None
) -> None:
    """What intake does of a specimen, as far as it is looked at here."""
    if not await looked(engine, station):
        raise AssertionError("no session was opened")
    async with engine.begin() as tx:
        await tx.execute(text(ROW), {"guid": guid, "quarantine": quarantine})


PIPELINE = {"pipeline": "PIPEHERB0001", "stages": [{"key": "ingest", "run": "refinery.ingest"}]}

BROKEN = '{"file": "g1.tif", "problem": "it is cut short", "remedy": "copy it again"}'


async def test_where_its_specimens_are_is_told(station: Station, engine: AsyncEngine) -> None:
    await edit(engine, PIPELINE)
    files = FILES | {f"g{n}.tif": b"%d" % n for n in range(2, 5)}
    await send_all(station, files)
    await station.end(files)
    await take_in(engine, station, "g1", BROKEN)
    await take_in(engine, station, "g2")
    await take_in(engine, station, "g3")
    synchronised = (
        "INSERT INTO track.file (asset_guid, name, type, crc32, size_bytes, synchronised_at)"
        " VALUES ('g3', 'g3.tif', 'TIF', 1, 1, now())"
    )
    async with engine.begin() as tx:
        await tx.execute(text(synchronised))
    (status,) = (await station.get("/sessions", workstation=station.name)).json()
    counted = ("specimens", "received", "under_way", "archived", "needs_you", "files")
    assert [status[each] for each in counted] == [4, 1, 1, 1, 1, 5]
    one = (await station.get(f"/sessions/{station.name}/{station.session}")).json()
    states = {each["guid"]: each["state"] for each in one["specimen_list"]}
    assert states == {
        "g1": "needs_you",
        "g2": "under_way",
        "g3": "archived",
        "g4": "received",
    }
    assert "cut short" in one["specimen_list"][0]["why"]


async def test_a_specimen_in_quarantine_may_be_sent_again(
    station: Station, engine: AsyncEngine
) -> None:
    await edit(engine, PIPELINE)
    await send_all(station)
    await station.end(FILES)
    await take_in(engine, station, "g1", BROKEN)
    station.session = "corrected"
    corrected = FILES | {"g1.tif": b"another content"}
    await send_all(station, corrected)
    assert names_in([station.making]) == ["g1.json", "g1.tif"], "both come again"
    assert (await station.end(corrected)).status_code == 200
    assert (station.made / "g1.tif").read_bytes() == b"another content"
    async with engine.begin() as tx:
        await tx.execute(text("UPDATE track.asset SET quarantine = NULL"))
    refused(await station.create("g1.tif", b"a third"), 409, "name_taken")


async def test_a_specimen_that_came_another_way_is_not_taken_twice(
    station: Station, engine: AsyncEngine, tmp_path: Path
) -> None:
    await edit(engine, PIPELINE)
    await send_all(station, {"g9.tif": b"x"})
    await station.end({"g9.tif": b"x"})
    await take_in(engine, station, "by-hand")
    station.session = "later"
    refused(await station.create("by-hand.tif", b"x"), 409, "name_taken")


async def test_the_files_of_a_session_are_listed(station: Station) -> None:
    await send_all(station)
    listed = (await station.get(f"/sessions/{station.name}/{station.session}/files")).json()
    assert {each["name"]: each["sha256"] for each in listed} == {
        name: sha256(content) for name, content in FILES.items()
    }


async def test_another_workstations_sessions_are_nobodys_business(station: Station) -> None:
    for path in (f"/sessions?workstation={STATIONS[1]}", f"/sessions/{STATIONS[1]}/x"):
        refused(await station.get(path), 403, "not_your_workstation")
    assert ANY_WORKSTATION not in STATIONS
