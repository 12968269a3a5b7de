"""A real HTTP server that plays the clusters' API and the archive's share, misbehaving on order.

And a batch folder on disk with the zipapp beside it, run as a site would run it.
"""

import http.server
import io
import json
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from hpc.archives import build_runner
from schemas.attempts import Complete, Fail, Start
from tests.support.jobs_on_disk import draw, make_job

__all__ = ["batch", "draw", "make_job", "secure_world", "world"]

GUID = "asset-1"
BODIES = {"start": Start, "complete": Complete, "fail": Fail}
"""What the real server takes; a body it would refuse breaks the connection here."""


@dataclass
class World:
    """What the server knows and was told. `ill[path]` is a list of how its next answers fail:
    a status is the server's own no, bytes are what somebody in between sends instead.

    `room_mb`: of the share, None for as much as one likes.
    """

    url: str = ""
    grants: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    ill: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    ars_token: str = "ars-1"
    room_mb: int | None = None
    started_by: dict[int, tuple[str, str]] = field(default_factory=dict)
    arrived: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def outcome(self, attempt: int) -> tuple[str, dict[str, Any]]:
        """The verb and body of the last outcome of an attempt."""
        for path, body in reversed(self.told):
            if path in (f"/attempts/{attempt}/complete", f"/attempts/{attempt}/fail"):
                return path.rsplit("/", 1)[1], body
        raise AssertionError(f"no outcome for {attempt} in {[path for path, _ in self.told]}")

    def put_file(self, name: str, content: bytes) -> dict[str, Any]:
        """A file on the share; its entry in a grant."""
        path = f"/assetfiles/NHMD/Vascular plants/{GUID}/{name}"
        self.files[path] = content
        return {
            "name": name,
            "url": self.url + path.replace(" ", "%20"),
            "crc32": zlib.crc32(content),
            "size_bytes": len(content),
        }

    def grant(self, attempt: int, module: str, **more: Any) -> None:
        """What `start` of this attempt answers."""
        self.grants[attempt] = {
            "attempt": attempt,
            "guid": GUID,
            "stage": module,
            "module": module,
            "params": {},
            "metadata": {},
            "inputs": [],
            "results": {},
            "children": [],
            "parent_guid": None,
            "uploads": [],
            "ars": {"token": "ars-1", "expires_in": 600},
            **more,
        }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def log_message(self, *_args: Any) -> None:
        """Silence: the tests look at what was told."""

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def dispatch(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.command == "PUT" and self.has_no_room():
            self.world.asked.append((self.command, self.path, dict(self.headers)))
            self.close_connection = True  # the body is not read: who goes on sending is cut off
            return self.answer(400, {"error": "exceeds allocated disk space"})
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.world.asked.append((self.command, self.path, dict(self.headers)))
        illness = self.world.ill[path].pop(0) if self.world.ill[path] else None
        if illness == "cut":
            self.close_connection = True
            return
        if illness == "hang":
            self.world.arrived.set()
            self.world.let_go.wait(30)
            self.close_connection = True
            return
        if illness == "lost":
            self.wfile = io.BytesIO()
            self.close_connection = True
        if isinstance(illness, bytes):
            self.wfile.write(illness)
            self.close_connection = True
            return
        if isinstance(illness, tuple):
            return self.drip(illness[1])
        if isinstance(illness, int):
            return self.answer(illness, self.no(path), Retry_After="0")
        if path.startswith("/attempts/"):
            return self.attempt(path, content)
        if self.headers["Authorization"] != f"Bearer {self.world.ars_token}":
            return self.answer(401, {"error": "token"})
        return self.share(path, content, illness)

    def has_no_room(self) -> bool:
        """Whether the share is too full for what is announced."""
        wanted_mb = int(parse_qs(urlsplit(self.path).query).get("file_size_mb", ["0"])[0])
        taken_mb = sum(map(len, self.world.files.values())) / 1_000_000
        return bool(self.world.room_mb and taken_mb + wanted_mb > self.world.room_mb)

    def drip(self, content: bytes) -> None:
        """Send byte after byte, each sooner than a socket loses patience, for 30 s at most."""
        self.close_connection = True
        with suppress(OSError):
            for n in range(600):
                self.wfile.write(content[n : n + 1] or b" ")
                time.sleep(0.05)

    def no(self, path: str) -> dict[str, Any]:
        """The server's own no to an attempt; the archive's has no mark."""
        said = {"error": "as ordered"}
        if path.startswith("/attempts/"):
            return {**said, "refused": "as ordered", "attempt": int(path.split("/")[2])}
        return said

    def attempt(self, path: str, content: bytes) -> None:
        number, verb = int(path.split("/")[2]), path.split("/")[3]
        if self.headers["Authorization"] != f"Bearer token-{number}":
            return self.answer(401, self.no(path))
        body = json.loads(content or b"{}") if self.command == "POST" else {}
        self.world.told.append((path, body))
        if verb in BODIES:
            BODIES[verb].model_validate(body)
        if verb == "start":
            pair = (body["native_id"], body["nonce"])
            if self.world.started_by.setdefault(number, pair) != pair:
                return self.answer(409, self.no(path))
            return self.answer(200, self.world.grants[number])
        if verb == "token":
            return self.answer(200, {"token": self.world.ars_token, "expires_in": 600})
        return self.answer(200, {"applied": "applied", "attempt": number})

    def share(self, path: str, content: bytes, illness: Any) -> None:
        if self.command == "PUT":
            query = {k: int(v[0]) for k, v in parse_qs(urlsplit(self.path).query).items()}
            actual = zlib.crc32(content)
            good = actual == query["crc"] and query["file_size_mb"] >= 1
            if good:
                self.world.files[path] = content
            answer = {"expected_crc": query["crc"], "actual_crc": actual}
            return self.answer(200 if good else 507, answer)
        whole = self.world.files.get(path)
        if whole is None:
            return self.answer(404, {"error": "none"})
        if illness == "rotten":
            return self.answer(200, bytes(len(whole)))
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        part = whole[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[: len(part) // 2] if illness == "half" else part)
        self.close_connection = illness == "half"

    do_GET = do_POST = do_PUT = dispatch


@contextmanager
def serving(secured: ssl.SSLContext | None = None) -> Iterator[World]:
    """The server, running on a free port of this host, with TLS when it is `secured`."""
    made = World()
    handler = type("WorldHandler", (Handler,), {"world": made})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    if secured is not None:
        server.socket = secured.wrap_socket(server.socket, server_side=True)
        made.url = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.let_go.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def world() -> Iterator[World]:
    """The server."""
    with serving() as made:
        yield made


@pytest.fixture
def secure_world(tmp_path: Path) -> Iterator[World]:
    """The server behind TLS; its certificate is `tmp_path/localhost.pem`."""
    key, certificate = tmp_path / "localhost.key", tmp_path / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context) as made:
        yield made


@dataclass
class Batch:
    """A batch folder on a site of its own."""

    folder: Path
    root: Path
    runner: Path
    lines: int = 0

    def add(self, world: World, attempt: int, module: str, **grant: Any) -> None:
        """A line, and what the server will grant for it."""
        world.grant(attempt, module, **grant)
        line = {
            "attempt": attempt,
            "fence": 1,
            "guid": GUID,
            "stage": module,
            "module": module,
            "callback": world.url,
            "root": str(self.root),
        }
        with (self.folder / "manifest.jsonl").open("a") as manifest:
            manifest.write(json.dumps(line) + "\n")
        with (self.folder / "tokens").open("a") as tokens:
            tokens.write(f"token-{attempt}\n")
        (self.folder / "tokens").chmod(0o600)
        self.lines += 1

    def start(self, *more: str, python: Sequence[str] = (), **how: Any) -> subprocess.Popen[str]:
        """The runner, as a site starts it, on all lines; `python`: options of the interpreter."""
        command = [sys.executable, *python, str(self.runner)]
        command += ["--batch", str(self.folder), "--index"]
        command += [f"0-{self.lines - 1}", "--native-id", "4711", *more]
        return subprocess.Popen(
            command,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )

    def run(self, *more: str, **how: Any) -> int:
        """Run to the end; the exit code. The runner has nothing to say but in its logs."""
        with self.start(*more, **how) as process:
            out, err = process.communicate(timeout=120)
        assert (out, err) == ("", "")
        return process.returncode

    def log(self, index: int = 0) -> str:
        return (self.folder / "log" / f"{index}.log").read_text()

    def kept(self) -> dict[str, Any]:
        """What waits in `results/`, by file name."""
        folder = self.folder / "results"
        paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
        return {path.name: json.loads(path.read_text()) for path in paths}


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zipapp."""
    return build_runner(tmp_path_factory.mktemp("runner"))


@pytest.fixture
def batch(tmp_path: Path, runner: Path) -> Batch:
    """An empty batch on an empty site."""
    folder = tmp_path / "site" / "batches" / "b1"
    folder.mkdir(parents=True)
    return Batch(folder, tmp_path / "site", runner)
