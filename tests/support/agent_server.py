"""A real HTTP server that plays the agents' API and the archive's share, misbehaving on order.

It keeps what agents may rely on: a claim's id has one answer, and each message is answered by
itself. What it was told it keeps, for the tests to look at.
"""

import http.server
import json
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

JOIN_TOKEN = "join-me"
Message = dict[str, Any]


@dataclass
class AgentServer:
    """What it knows and was told. `ill[verb]` says how its next answers to a verb fail: a
    status, `lost` (done, and never answered), or bytes that somebody in between sends.

    `orders[attempt]` and `kept[key]` are what heartbeats are answered of them; `news` and
    `claimed` are in the answers to heartbeats and claims besides.
    """

    url: str = ""
    runner: Path | None = None
    queue: list[Message] = field(default_factory=list)
    given: dict[str, list[Message]] = field(default_factory=dict)
    ill: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, Message]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)
    orders: dict[int, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    news: Message = field(default_factory=dict)
    claimed: Message = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    ars_token: str = "ars-1"
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def digest(self) -> str:
        """The runner's SHA-256."""
        assert self.runner is not None
        return sha256(self.runner.read_bytes()).hexdigest()

    def add_batch(
        self, key: str, attempts: list[int], launcher: str = "process", **more: Any
    ) -> Message:
        """Put a batch into the queue; each of its members runs `module` (`load`)."""
        members = [self._member(attempt, launcher, more) for attempt in attempts]
        batch = {
            "key": key,
            "launcher": launcher,
            "stage": "load",
            "units": 1,
            "lease_s": 900,
            "resources": more.get("resources", {}),
            "runner": self.digest,
            "members": members,
        }
        self.queue.append(batch)
        return batch

    def _member(self, attempt: int, launcher: str, more: dict[str, Any]) -> Message:
        module = more.get("module", "load")
        guid = f"{more.get('kind', 'g')}-{attempt}"
        line = {
            "attempt": attempt,
            "fence": 1,
            "guid": guid,
            "stage": module,
            "module": module,
            "callback": more.get("callback", self.url),
            "root": "/not/the/agents",
        }
        grant = {
            "attempt": attempt,
            "guid": guid,
            "stage": module,
            "module": module,
            "params": {},
            "metadata": {},
            "inputs": more.get("inputs", []),
            "uploads": more.get("uploads", []),
            "outputs": more.get("outputs", []),
            "ars": {"token": "ars-1", "expires_in": 600},
        }
        granted = launcher == "process" or more.get("granted", False)
        return {
            "attempt": attempt,
            "fence": 1,
            "token": f"token-{attempt}",
            "line": line,
            **({"grant": grant} if granted else {}),
        }

    def put_file(self, name: str, content: bytes) -> Message:
        """A file on the archive's share; its entry in a grant."""
        self.files[f"/share/{name}"] = content
        return {
            "name": name,
            "url": f"{self.url}/share/{name}",
            "crc32": zlib.crc32(content),
            "size_bytes": len(content),
        }

    def told(self, verb: str) -> list[int]:
        """The attempts of which a verb was told, in order."""
        paths = [message["path"].split("/") for message in self.messages]
        return [int(path[2]) for path in paths if path[3] == verb]

    def bodies(self, verb: str) -> list[Message]:
        """What was asked with a verb of the site."""
        return [body for asked, body in self.asked if asked == verb]

    def reply(self, verb: str, body: Message) -> Any:
        """The answer to a verb: its JSON."""
        return getattr(self, f"_on_{verb}")(body)

    def _on_join(self, body: Message) -> Message:
        self.tokens.add(f"7.{body['token']}")
        return {"agent": 7, "name": body["name"]}

    def _on_token(self, body: Message) -> Message:
        self.tokens.add(f"7.{body['token']}")
        return {"agent": 7, "name": "node7"}

    def _on_claim(self, body: Message) -> Message:
        with self.lock:
            if body["request_id"] not in self.given:
                free = dict(body["free"])
                taken = []
                for batch in list(self.queue):
                    if free.get(batch["launcher"], 0) >= batch["units"]:
                        free[batch["launcher"]] -= batch["units"]
                        taken.append(batch)
                        self.queue.remove(batch)
                if taken:
                    self.given[body["request_id"]] = taken
            batches = self.given.get(body["request_id"], [])
        if not batches:
            time.sleep(min(body["wait_s"], 0.2))
        return {"batches": batches, "order": "run", "again_s": 0, **self.claimed}

    def _on_submitted(self, body: Message) -> Message:
        return {"batches": {each["key"]: "applied" for each in body["batches"]}}

    def _on_heartbeat(self, body: Message) -> Message:
        return {
            "order": "run",
            "again_s": 0.2,
            "lease_s": 900,
            "rotate": False,
            "capacity": {"process": 2, "scheduler": 4},
            "attempts": {
                str(each["attempt"]): self.orders.get(each["attempt"], "ok")
                for each in body["attempts"]
            },
            "batches": {key: self.kept.get(key, "keep") for key in body["batches"]},
            **self.news,
        }

    def _on_messages(self, body: Message) -> Message:
        with self.lock:
            self.messages += body["messages"]
        return {"outcomes": [self._outcome(each) for each in body["messages"]]}

    def _outcome(self, message: Message) -> Message:
        attempt, verb = int(message["path"].split("/")[2]), message["path"].split("/")[3]
        status = self.statuses.get(verb, 200)
        said = {"applied": "applied"} if status == 200 else {"error": "as ordered"}
        return {"attempt": attempt, "status": status, **said}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: AgentServer

    def log_message(self, *_args: Any) -> None:
        """Silence: the tests look at what was told."""

    def do_any(self) -> None:
        path = urlsplit(self.path).path
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        verb = path.split("/")[3] if path.startswith("/sites/") else path.split("/")[1]
        illness = self.world.ill[verb].pop(0) if self.world.ill[verb] else None
        if isinstance(illness, bytes):
            self.wfile.write(illness)
            self.close_connection = True
        elif isinstance(illness, int):
            self.answer(illness, {"error": "as ordered"}, Retry_After="0", Location="/elsewhere")
        elif isinstance(illness, Callable):  # type: ignore[arg-type]
            illness(self)
        else:
            self.serve(verb, path, content, lost=illness == "lost")

    do_GET = do_POST = do_PUT = do_any

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)

    def serve(self, verb: str, path: str, content: bytes, lost: bool) -> None:
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, body = self.found(verb, path, content, shown)
        if lost:
            self.close_connection = True
        else:
            self.answer(status, body)

    def found(self, verb: str, path: str, content: bytes, shown: str) -> tuple[int, Any]:
        world = self.world
        if verb == "share":
            return self.share(path, content, shown)
        if verb == "attempts":
            known = shown == f"token-{path.split('/')[2]}"
            return (200, {"token": world.ars_token, "expires_in": 600}) if known else (401, {})
        if shown != JOIN_TOKEN if verb == "join" else shown not in world.tokens:
            return 401, {"error": "who are you"}
        if verb == "runner":
            assert world.runner is not None
            return 200, world.runner.read_bytes()
        if verb == "outputs":
            world.outputs[path.split("/")[5]] = content
            return 200, {"left": 0}
        body = json.loads(content)
        world.asked.append((verb, body))
        return 200, world.reply(verb, body)

    def share(self, path: str, content: bytes, shown: str) -> tuple[int, Any]:
        if shown != self.world.ars_token:
            return 401, {"error": "token"}
        if self.command == "PUT":
            self.world.files[path] = content
            return 200, {"actual_crc": zlib.crc32(content)}
        known = self.world.files.get(path)
        return (404, {}) if known is None else (200, known)


@contextmanager
def agent_server(runner: Path) -> Iterator[AgentServer]:
    """The server, running on a free port of this host; `runner` is what it hands out."""
    made = AgentServer(runner=runner)
    handler = type("AgentHandler", (_Handler,), {"world": made})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()
