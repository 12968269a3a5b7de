"""Health, figures and the documentation of the workstations' application."""

import shutil
from dataclasses import replace

import httpx

from api.workstations.app import WorkstationApi, create_app
from tests.support.serving import free_port
from tests.support.workstations import Station, refused, uploading


async def test_health_is_well_while_database_and_drive_answer(station: Station) -> None:
    answer = await station.http.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ok")
    assert (body["database"], body["drive"]) == (True, True) and body["version"]


async def test_health_is_503_while_the_drive_is_gone(station: Station) -> None:
    gone = station.drive.with_name("elsewhere")
    station.drive.rename(gone)
    answer = await station.http.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    assert (answer.json()["drive"], answer.json()["database"]) == (False, True)
    gone.rename(station.drive)
    assert (await station.http.get("/health")).status_code == 200


async def test_without_a_database_health_is_503_and_uploads_are_told_to_come_later(
    config: WorkstationApi,
) -> None:
    nowhere = f"postgresql+psycopg://u:p@127.0.0.1:{free_port()}/x"
    async with uploading(replace(config, database_url=nowhere)) as station:
        answer = await station.http.get("/health")
        assert (answer.status_code, answer.json()["database"]) == (503, False)
        answer = await station.create("x.tif", b"x")
        refused(answer, 503, "try_later", "database")
        assert int(answer.headers["retry-after"]) > 0


async def test_a_file_goes_on_after_the_folder_of_the_workstation_was_away(
    station: Station,
) -> None:
    content = bytes(3_000_000)
    location = (await station.create("x.tif", content)).headers["location"]
    assert (await station.patch(location, 0, content[:1000])).status_code == 204
    place, gone = station.drive / station.name, station.drive.with_name("elsewhere")
    shutil.move(place, gone)
    refused(await station.patch(location, 1000, content[1000:]), 503, "drive_away")
    assert (await station.head(location)).status_code == 503, "not that nothing has arrived"
    shutil.move(gone, place)
    assert (await station.patch(location, 1000, content[1000:])).status_code == 204
    assert (station.making / "x.tif").read_bytes() == content


async def test_what_is_stored_is_not_taken_for_lost_while_the_drive_is_away(
    station: Station,
) -> None:
    location = await station.send("x.tif", b"x")
    place, gone = station.drive / station.name, station.drive.with_name("elsewhere")
    shutil.move(place, gone)
    refused(await station.stored(location), 503, "drive_away", "mounted")
    refused(await station.end({"x.tif": b"x"}), 503, "drive_away", "mounted")
    shutil.move(gone, place)
    assert (await station.stored(location)).status_code == 200
    assert (await station.end({"x.tif": b"x"})).status_code == 200


async def test_the_figures_time_each_path_by_its_pattern(station: Station) -> None:
    await station.send("x.tif", b"x")
    page = (await station.http.get("/metrics")).text
    for path in (
        'method="POST",path="/files",status="201"',
        'method="PATCH",path="/files/{upload_id}",status="204"',
        'method="POST",path="/verify",status="200"',
    ):
        assert f"refinery_request_seconds_count{{{path}}} 1.0" in page
    assert "x.tif" not in page


async def test_every_path_is_described(station: Station) -> None:
    document = (await station.http.get("/openapi.json")).json()
    described = {
        (method, path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert {path for _, path in described} == {
        "/verify",
        "/values",
        "/files",
        "/files/{upload_id}",
        "/files/{upload_id}/stored",
        "/sessions",
        "/sessions/{workstation}/{session}",
        "/sessions/{workstation}/{session}/files",
        "/sessions/{workstation}/{session}/end",
        "/upload",
        "/problems",
        "/health",
    }
    for where, operation in described.items():
        assert operation["summary"] and operation["description"], where
    assert (await station.http.get("/docs")).status_code == 200


async def test_an_unknown_path_is_refused_in_the_words_of_all_refusals(station: Station) -> None:
    refused(await station.http.get("/nothing"), 404, "bad_request")
    refused(await station.http.put("/files"), 405, "bad_request")


def test_making_the_application_reads_and_opens_nothing(config: WorkstationApi) -> None:
    nowhere = config.n_drive / "not" / "there"
    app = create_app(replace(config, n_drive=nowhere, users_file=nowhere / "users.toml"))
    assert httpx.URL(app.openapi_url or "").path == "/openapi.json" and not nowhere.exists()
