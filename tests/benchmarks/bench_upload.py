"""A file of 400 MB by tus (begun, sent, checked, synced, renamed) ÷ a raw PUT that is synced.

Both through uvicorn in a process of its own, onto one disk, by one sender that costs little. They
take turns, so that a busy machine slows both. `REFINERY_UPLOAD_FOLDER`: on which disk.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from PIL import Image

from tests.benchmarks.rows import Row
from tests.support.camera import camera_raw
from tests.support.clusters import temporary_cluster
from tests.support.workstations import OCTETS, PASSWORD, STATIONS, TUS, metadata
from track.schema.migrations import upgrade

MB = 1_000_000
SIZE_BYTES, SMALL_BYTES = 400 * MB, 40 * MB
ROUNDS = 7
AT_LEAST, MAX_GROWN_MB = 0.7, 20.0
TIFF_WIDTH = 20_000
"""Pixels, of a byte each."""


def measure(*, quick: bool = False) -> list[Row]:
    """Throughput of both sides, and the server's memory with large files and with small ones."""
    divided = 100 if quick else 1
    rounds = 1 if quick else ROUNDS
    folder = os.environ.get("REFINERY_UPLOAD_FOLDER")
    with tempfile.TemporaryDirectory(dir=folder) as name, temporary_cluster() as cluster:
        cluster.ensure_database("upload")
        upgrade(cluster.url("upload"))
        bench = Sides(Path(name), cluster.url("upload"))
        large, small = SIZE_BYTES // divided, SMALL_BYTES // divided
        ours, theirs = bench.throughput(large, rounds)
        held = {size: bench.memory(size) for size in (small, large)}
        sent = {size: bench.client_memory(size) for size in (small, large)}
    what = f"upload of {large // MB} MB by tus ÷ raw PUT, MB per second"
    memory = f"memory that a server takes on for files of {large // MB} MB"
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    sides = (statistics.median(ours), statistics.median(theirs))
    return [
        Row(what, *sides, target=AT_LEAST, unit="MB/s", at_least=True, ratio=ratio),
        Row(memory, held[large], target=MAX_GROWN_MB, unit="MB"),
        Row(f"the same for files of {small / MB:g} MB", held[small], unit="MB"),
        Row(
            f"memory that the client takes on for a TIFF of {large // MB} MB (look, send, delete)",
            sent[large],
            target=MAX_GROWN_MB,
            unit="MB",
        ),
        Row(f"the same for one of {small / MB:g} MB", sent[small], unit="MB"),
    ]


class Sides:
    """Both servers and what is sent to them."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database = folder, database
        self._source = folder / "source"

    def throughput(self, size_bytes: int, rounds: int) -> tuple[list[float], list[float]]:
        """MB per second of each round, by tus and by the raw PUT."""
        checksum = self._make(size_bytes)
        speeds: tuple[list[float], list[float]] = ([], [])
        with self._server("ours") as ours, self._server("raw") as raw:
            sides: tuple[Callable[[], None], ...] = (
                Tus(ours.address, self._source, checksum).send,
                lambda: put(raw.address, self._source),
            )
            for n in range(rounds + 1):  # the first warms both up
                for send, found in zip(sides, speeds, strict=True):
                    begun = time.perf_counter()
                    send()
                    taken = time.perf_counter() - begun
                    if n or rounds == 1:
                        found.append(size_bytes / MB / taken)
                    self._clean()
        return speeds

    def memory(self, size_bytes: int) -> float:
        """What a server held at most, in MB, beyond what it did before files of that size."""
        checksum = self._make(size_bytes)
        with self._server("ours") as server:
            tus = Tus(server.address, self._source, checksum)
            server.note_memory()
            for _ in range(3):
                tus.send()
                self._clean()
        return server.grown_mb

    def client_memory(self, size_bytes: int) -> float:
        """What a client held at most, in MB, beyond what it did before a session of one image."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        height = size_bytes // TIFF_WIDTH
        Image.new("L", (TIFF_WIDTH, height), size_bytes % 255).save(folder / "DSCF0001.tif")
        camera_raw(folder / "DSCF0001.RAF")
        module = (sys.executable, "-m", "tests.benchmarks.client_process")
        with self._server("ours") as server:
            done = subprocess.run(
                [*module, server.address, str(folder), str(folder / "state")],
                check=True,
                capture_output=True,
                text=True,
            )
        self._clean()
        return float(done.stdout)

    def _make(self, size_bytes: int) -> str:
        made = sha256()
        with self._source.open("wb") as file:
            for begin in range(0, size_bytes, MB):
                piece = os.urandom(min(MB, size_bytes - begin))
                made.update(piece)
                file.write(piece)
        os.sync()
        return made.hexdigest()

    def _clean(self) -> None:
        """Leave no file on the disk that the next would be written beside."""
        for path in self._folder.rglob("*.tif"):
            path.unlink()

    @contextmanager
    def _server(self, side: str) -> Iterator["ServerProcess"]:
        """One side's server, until the block ends."""
        folder = self._folder / side
        folder.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "tests.benchmarks.upload_process", side, str(folder)]
        pipe = subprocess.PIPE
        process = subprocess.Popen([*words, self._database], stdin=pipe, stdout=pipe, text=True)
        try:
            assert process.stdout is not None
            server = ServerProcess(process, process.stdout.readline().strip())
            yield server
            rest, _ = process.communicate(timeout=30)
            server.grown_mb = float(rest)
        finally:
            process.kill()
            process.wait()


@dataclass
class ServerProcess:
    """A server in a process of its own; `grown_mb` is known once it has ended."""

    process: "subprocess.Popen[str]"
    address: str
    grown_mb: float = 0.0

    def note_memory(self) -> None:
        """Count its memory from what it holds now."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


class Tus:
    """One who is logged in and sends a file again and again, each time by another name."""

    def __init__(self, address: str, source: Path, checksum: str) -> None:
        self._address, self._source, self._checksum = address, source, checksum
        body = json.dumps({"username": "Åse", "password": PASSWORD}).encode()
        _, answered = request(address, "POST", "/verify", {}, body)
        self._bearer = {"Authorization": f"Bearer {json.loads(answered)['token']}"}

    def send(self) -> None:
        """Begin a file, and send all of it."""
        said = metadata(
            workstation=STATIONS[0],
            session="s",
            filename=f"{uuid4()}.tif",
            checksum=self._checksum,
            fixityAlgorithm="sha256",
        )
        length = {"Upload-Length": str(self._source.stat().st_size)}
        head, _ = request(self._address, "POST", "/files", self._bearer | TUS | said | length)
        headers = self._bearer | OCTETS | {"Upload-Offset": "0"}
        stream(self._address, "PATCH", head["location"] or "", headers, self._source)


def put(address: str, source: Path) -> None:
    """Send a file to the raw side."""
    stream(address, "PUT", f"/{uuid4()}.tif", {}, source)


def request(
    address: str, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[http.client.HTTPMessage, bytes]:
    """One call; the headers of its answer, and its body."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        read = answer.read()
    finally:
        connection.close()
    assert answer.status < 300, (method, path, answer.status, read)
    return answer.headers, read


def stream(address: str, method: str, path: str, headers: dict[str, str], source: Path) -> None:
    """Send a file's bytes by sendfile, so that the sender leaves the processors to the server."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    try:
        connection.putrequest(method, path)
        for name, value in (headers | {"Content-Length": str(source.stat().st_size)}).items():
            connection.putheader(name, value)
        connection.endheaders()
        with source.open("rb") as file:
            connection.sock.sendfile(file)
        answer = connection.getresponse()
        read = answer.read()
    finally:
        connection.close()
    assert answer.status < 300, (method, path, answer.status, read)
