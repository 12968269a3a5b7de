"""The client is killed at every step: nothing is lost, nothing is there twice or deleted early."""

import json
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import create_app
from tests.support import dying_client, dying_uploads
from tests.support.camera import camera_image, camera_session
from tests.support.clients import Client, assert_all_is_there, assert_nothing_is_lost
from tests.support.serving import free_port, served
from tests.support.workstations import STATIONS, station_config
from workstation.ingest.report import IngestResult
from workstation.journal.records import FileState

ENDS_S = 60.0
KILLED = -9
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", dying_client.__name__, dying_uploads.__name__])
"""Processes that have imported everything already: otherwise that took most of the time."""

UNTIL_CONFIRMED = dying_client.MOMENTS[: dying_client.MOMENTS.index("confirmed")]
NOTHING_GOES = dying_client.MOMENTS[: dying_client.MOMENTS.index("unlinked")]


def folder_of(client: Client) -> None:
    """Two specimens, the first image of several pieces."""
    camera_session(client.folder, 2)
    camera_image(client.folder / "DSCF0001.tif", 1, size=(1024, 1024))


@pytest.mark.parametrize("moment", dying_client.MOMENTS)
async def test_killed_at_any_moment_the_next_run_brings_every_file_once(
    database: str, engine: AsyncEngine, tmp_path: Path, moment: str
) -> None:
    config = station_config(database, tmp_path)
    with served(create_app(config), free_port()) as url:
        client = Client(tmp_path / "workstation", url)
        folder_of(client)
        before = len(client.local())
        given = (str(client.root), url, moment)
        killed = PROCESSES.Process(target=dying_client.ingest, args=given)
        killed.start()
        killed.join(ENDS_S)
        assert killed.exitcode == KILLED, "it was to be killed"
        assert_nothing_is_lost(client, config.n_drive)
        if moment in UNTIL_CONFIRMED:
            assert not {file.state for file in client.files()} & {FileState.CONFIRMED}
        if moment in NOTHING_GOES:
            assert len(client.local()) >= before, "nothing is deleted yet"
        if moment != "closed":
            report = client.ingest()
            assert report.result == IngestResult.DONE, report.text()
            assert {each.sha256 for each in report.deleted_raws} == {
                file.sha256 for file in client.files() if file.kind == "raw"
            }
    assert client.local() == {}
    assert len(client.sessions()) == 1
    assert_all_is_there(client, config.n_drive)
    async with engine.connect() as tx:
        asked = "SELECT file_name FROM track.upload WHERE stored_at IS NOT NULL ORDER BY 1"
        stored = list((await tx.execute(text(asked))).scalars())
    assert stored == sorted(file.new_name for file in client.files() if file.is_sent)


class Restarted:
    """The API as a process that dies at a moment, and is then started again to live."""

    def __init__(self, spec: Path, moment: str) -> None:
        self.port = free_port()
        self._spec = spec
        self.deaths = 0
        self._over = threading.Event()
        self.process = self._start(moment)
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def _start(self, moment: str) -> ForkServerProcess:
        given = (str(self._spec), self.port, moment)
        process = PROCESSES.Process(target=dying_uploads.serve, args=given)
        process.start()
        return process

    def _keep(self) -> None:
        while not self._over.is_set():
            self.process.join(0.05)
            if self.process.exitcode is not None:
                self.deaths += 1
                self.process = self._start("")

    def end(self) -> None:
        """End what is running, and start no more."""
        self._over.set()
        self._thread.join()
        self.process.kill()
        self.process.join()

    def wait(self) -> None:
        """Wait until it answers."""
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health").status_code == 200:
                    return
            except httpx.TransportError:
                self._over.wait(0.1)
        raise AssertionError("it did not start")


@contextmanager
def restarted(spec: Path, moment: str) -> Iterator[Restarted]:
    server = Restarted(spec, moment)
    try:
        server.wait()
        yield server
    finally:
        server.end()


@pytest.mark.parametrize("moment", [*dying_uploads.FILE_MOMENTS, *dying_uploads.END_MOMENTS])
def test_the_client_goes_on_by_itself_after_the_server_was_killed_at_any_moment(
    database: str, tmp_path: Path, moment: str
) -> None:
    config = station_config(database, tmp_path)
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"database": database, "folder": str(tmp_path)}), encoding="utf-8")
    with restarted(spec, moment) as server:
        client = Client(tmp_path / "workstation", f"http://127.0.0.1:{server.port}")
        folder_of(client)
        report = client.ingest(at_once=1)
        assert server.deaths == 1, "it was to be killed"
        assert report.result == IngestResult.DONE, report.text()
    assert any("the server is away; it is tried again in" in each for each in client.seen.texts)
    assert client.local() == {}
    assert_all_is_there(client, config.n_drive)
    assert [path.name for path in (config.n_drive / STATIONS[0]).iterdir()] == [report.session]
