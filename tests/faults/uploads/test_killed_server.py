"""The upload API is killed at every step: no file is lost, half there, or confirmed too early."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.dying_uploads import END_MOMENTS, FILE_MOMENTS
from tests.support.serving import free_port
from tests.support.workstations import TUS, Station, names_in, refused, sha256, station_config

ROOT = Path(__file__).parents[3]
CONTENT = bytes(range(256)) * 12_000  # three pieces
FILES = {"g1.tif": CONTENT, "g1.json": b'{"asset_guid": "g1"}'}
STARTS_S = 60.0

Serve = Callable[..., "asynccontextmanager[Station]"]


@pytest.fixture
def spec(engine: AsyncEngine, database: str, tmp_path: Path) -> Path:
    """What the application is made of in its own process."""
    station_config(database, tmp_path)
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"database": database, "folder": str(tmp_path)}), encoding="utf-8")
    return path


@asynccontextmanager
async def server(spec: Path, moment: str = "") -> AsyncIterator[tuple[Station, subprocess.Popen]]:
    """The application in a process of its own, and a workstation that is logged in."""
    port = free_port()
    module = (sys.executable, "-m", "tests.support.dying_uploads")
    process = subprocess.Popen([*module, str(spec), str(port), moment], cwd=ROOT)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            await until_up(http, process)
            yield await Station(http, spec.parent / "drive").log_in(), process
    finally:
        process.kill()
        process.wait()


async def until_up(http: httpx.AsyncClient, process: subprocess.Popen) -> None:
    import asyncio

    async with asyncio.timeout(STARTS_S):
        while True:
            assert process.poll() is None, "it ended before it was up"
            try:
                if (await http.get("/health")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def send(station: Station, name: str, content: bytes) -> None:
    """What a client does of one file, whatever was done before."""
    created = await station.create(name, content)
    assert created.status_code == 201, created.text
    location, there = created.headers["location"], int(created.headers["upload-offset"])
    if there < len(content):
        sent = await station.patch(location, there, content[there:])
        assert sent.status_code == 204, sent.text
    stored = await station.stored(location)
    assert stored.status_code == 200, stored.text
    assert stored.json()["sha256"] == sha256(content)


@pytest.mark.parametrize("moment", FILE_MOMENTS)
async def test_killed_while_a_file_comes_it_is_stored_once_by_the_next_try(
    spec: Path, engine: AsyncEngine, moment: str
) -> None:
    async with server(spec, moment) as (station, process):
        with pytest.raises(httpx.TransportError):
            await send(station, "g1.tif", CONTENT)
        process.wait(30)
    place = station.making / "g1.tif"
    assert not place.exists() or place.read_bytes() == CONTENT, "no half file is visible"
    async with engine.connect() as tx:
        confirmed = (
            await tx.execute(text("SELECT count(confirmed_at) FROM track.upload"))
        ).scalar()
    assert not confirmed or (moment == "confirmed" and place.read_bytes() == CONTENT)
    async with server(spec) as (station, _):
        for name, content in FILES.items():
            await send(station, name, content)
        assert names_in([station.making]) == sorted(FILES)
        assert (await station.end(FILES)).status_code == 200
    assert (station.made / "g1.tif").read_bytes() == CONTENT
    async with engine.connect() as tx:
        query = "SELECT file_name FROM track.upload WHERE ended_at IS NULL ORDER BY 1"
        assert list((await tx.execute(text(query))).scalars()) == sorted(FILES)


async def test_killed_while_a_stored_file_is_taken_back_it_is_sent_anew(
    spec: Path, engine: AsyncEngine
) -> None:
    async with server(spec, "removed") as (station, process):
        for name, content in FILES.items():
            await send(station, name, content)
        location = (await station.create("g1.tif", CONTENT)).headers["location"]
        with pytest.raises(httpx.TransportError):
            await station.http.delete(location, headers=station.headers | TUS)
        process.wait(30)
    assert names_in([station.making]) == ["g1.json"]
    async with server(spec) as (station, _):
        refused(await station.end(FILES), 409, "session_lacks_files", "g1.tif")
        await send(station, "g1.tif", CONTENT)
        assert (await station.end(FILES)).status_code == 200
    assert (station.made / "g1.tif").read_bytes() == CONTENT


@pytest.mark.parametrize("moment", END_MOMENTS)
async def test_killed_while_a_session_ends_it_is_complete_once(
    spec: Path, engine: AsyncEngine, moment: str
) -> None:
    async with server(spec, moment) as (station, process):
        for name, content in FILES.items():
            created = await station.create(name, content)
            await station.patch(created.headers["location"], 0, content)
        with pytest.raises(httpx.TransportError):
            await station.end(FILES)
        process.wait(30)
    assert station.made.exists() != station.making.exists()
    async with server(spec) as (station, _):
        answer = await station.end(FILES)
        assert answer.status_code == 200 and answer.json()["completed_at"], answer.text
    assert names_in([station.made]) == [".complete", *sorted(FILES)]
    assert names_in([station.made.parent]) == [station.session]
