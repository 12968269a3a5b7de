"""Whatever is sent to the workstations' application: an answer, never a server error."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error

from api.workstations.app import WorkstationApi, create_app
from refinery.local.postgres import EmbeddedPostgres
from refinery.offered import OfferedValues
from tests.support.any_call import ODD_BODIES, ODD_TYPES, calls, operations
from tests.support.problems import problem
from tests.support.serving import free_port, served
from tests.support.workstations import STATIONS, TUS, Station, metadata, sha256, station_config
from track.schema.migrations import upgrade

NOWHERE = Path("nowhere")
OPERATIONS = operations(
    create_app(
        WorkstationApi(
            database_url="postgresql+psycopg://",
            n_drive=NOWHERE,
            workstations=STATIONS,
            offered=OfferedValues(NOWHERE),
            users_file=NOWHERE,
            secret="s",
        )
    )
)
EXAMPLES = 20
SESSION = "2026-11-21T09.30"
WHOLE, HALF = b"an image", b"half of one"
OCTETS = "application/offset+octet-stream"


@dataclass
class Served:
    """The running application: who is logged in, and its files, one stored and one on its way."""

    url: str
    headers: dict[str, str]
    uploads: list[str]


@pytest.fixture(scope="module")
def running(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The application over HTTP."""
    postgres.ensure_database("any_upload")
    upgrade(postgres.url("any_upload"))
    config = station_config(postgres.url("any_upload"), tmp_path_factory.mktemp("api"))

    async def begun(url: str) -> Served:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            station = await Station(http, config.n_drive, session=SESSION).log_in("Cy")
            stored = await station.send("g1.tif", WHOLE)
            half = (await station.create("g2.tif", HALF)).headers["location"]
            ids = [each.rpartition("/")[2] for each in (stored, half)]
            return Served(url, station.headers, ids)

    with served(create_app(config), free_port(), ws="none") as url:
        yield asyncio.run(begun(url))


def words(running: Served) -> dict[str, st.SearchStrategy[Any]]:
    """Words of this world, by the names of path, query, header and body in which they stand."""
    said = {
        "workstation": STATIONS[0],
        "session": SESSION,
        "filename": "g3.tif",
        "checksum": sha256(HALF),
        "fixityAlgorithm": "sha256",
    }
    spoilt = [said | {name: ""} for name in said] + [said | {"session": "x\0"}]
    headers = [metadata(**each)["Upload-Metadata"] for each in (said, *spoilt)]
    ended = [{"name": "g1.tif", "size_bytes": len(WHOLE), "sha256": sha256(WHOLE)}]
    return {
        "upload_id": st.sampled_from(running.uploads),
        "workstation": st.sampled_from(STATIONS),
        "session": st.sampled_from([SESSION, "x", "new_x", "\0", "a/b", "a" * 300]),
        "upload-metadata": st.sampled_from([*headers, "", "filename", "filename =", "a b,,c"]),
        "upload-length": st.sampled_from(["8", "11", "0", "-1", "1e3", "9" * 30, "x"]),
        "upload-offset": st.sampled_from(["0", "8", "-1", "9" * 30, "x"]),
        "tus-resumable": st.just(TUS["Tus-Resumable"]),
        "content-type": st.sampled_from([OCTETS, "x"]),
        "files": st.sampled_from([ended, [], ended * 2]),
        "fingerprint": st.just(problem().fingerprint),
    }


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_call_that_the_document_suggests_is_a_server_error(running: Served, label: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(call=calls(OPERATIONS[label], words(running)), logged_in=st.integers(0, 5))
    def every(call: Any, logged_in: int) -> None:
        call.headers.pop("Authorization", None)
        headers = running.headers if logged_in else {}
        answer = call.call(base_url=running.url, headers=headers, timeout=60)
        call.validate_response(answer, checks=[not_a_server_error])
        if answer.status_code >= 400 and call.method != "HEAD":
            assert {"code", "error"} <= answer.json().keys(), answer.text

    every()


@pytest.mark.parametrize("odd", ODD_BODIES)
def test_no_body_is_a_server_error(running: Served, odd: str) -> None:
    kinds = (*ODD_TYPES, OCTETS, "multipart/form-data; boundary=x", "multipart/form-data")
    with httpx.Client(base_url=running.url, timeout=60, headers=running.headers | TUS) as http:
        for operation in OPERATIONS.values():
            if operation.method == "get":
                continue
            path = operation.full_path.format(
                upload_id=running.uploads[1], workstation=STATIONS[0], session="odd"
            )
            if operation.method == "delete":
                continue  # it would take the file away from all others
            for kind in kinds:
                headers = {"Content-Type": kind, "Upload-Offset": "0", "Upload-Length": "5"}
                answer = http.request(
                    operation.method, path, content=ODD_BODIES[odd], headers=headers
                )
                assert answer.status_code < 500, (operation.method, path, kind, answer.text)


@pytest.mark.parametrize(
    "body",
    [
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\na\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n\0\r\n--x--\r\n',
        b"--x\r\n" + b"A: b\r\n" * 1000,
        b"--x--\r\n",
        b"--x" * 1000,
    ],
    ids=["cut", "nameless", "image first", "no UTF-8", "a NUL", "headers", "no part", "bounds"],
)
def test_no_form_is_a_server_error(running: Served, body: bytes) -> None:
    with httpx.Client(base_url=running.url, timeout=60) as http:
        for path in ("/upload", "/verify"):
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = http.post(path, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
            assert {"code", "error"} <= answer.json().keys()


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Basic eDp5", "Bearer \xff", "Bearer login.\xff"]
)
def test_no_authorization_is_a_server_error(running: Served, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}
    with httpx.Client(base_url=running.url, timeout=60) as http:
        answer = http.get("/values", params={"workstation": STATIONS[0]}, headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 401 and answer.json()["code"] == "wrong_login"
