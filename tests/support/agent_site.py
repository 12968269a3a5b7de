"""An agent's side of things without its server: configuration, folders, journal and batches."""

import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpc.agent.config import AgentConfig
from hpc.agent.folders import SiteFolders
from hpc.agent.held import HeldBatch
from hpc.agent.journal import Journal
from hpc.agent.launching import runner_path

DIGEST = "f" * 64

RUNNER = """\
import hashlib, json, os, pathlib, signal, sys, time

folder, index, native_id = pathlib.Path(sys.argv[2]), sys.argv[4], sys.argv[6]
signal.signal(signal.SIGUSR1, lambda *_: os._exit(138))
lines = (folder / "manifest.jsonl").read_text().splitlines()
for number in index.split(","):
    line = json.loads(lines[int(number)])
    kind, attempt = line["guid"].split("-")[0], line["attempt"]
    mine = folder / "started" / str(attempt)
    try:
        mine.mkdir()
    except FileExistsError:
        continue
    (mine / "by").write_text(json.dumps({"native_id": native_id, "nonce": "n"}))
    with open(line["root"] + "/work.log", "a") as log:
        log.write(f"{attempt}\\n")
    if kind == "deaf":
        for heard in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(heard, signal.SIG_IGN)
    while kind in ("slow", "deaf") and not os.path.exists(line["root"] + "/go-on"):
        time.sleep(0.02)
    if kind == "fails":
        sys.exit(3)
    outputs = []
    if kind == "makes":
        made = pathlib.Path(line["root"], "assets", line["guid"], "made.txt")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(line["guid"])
        digest = hashlib.sha256(line["guid"].encode()).hexdigest()
        outputs = [{"path": "made.txt", "size_bytes": len(line["guid"]), "sha256": digest}]
    body = {"native_id": native_id, "nonce": "n", "result": {"outputs": outputs, "usage": {}}}
    kept = folder / "results" / f"{attempt}.json"
    new = kept.with_suffix(".new")
    new.write_text(json.dumps({"path": f"/attempts/{attempt}/complete", "body": body}))
    new.replace(kept)
"""
"""A runner whose conduct is the asset's name: `good-…`, `slow-…` until the file `go-on` is there,
`deaf-…` besides heeds no signal, `fails-…` ends with code 3 and no word, `makes-…` leaves an
output."""


@dataclass
class AgentSite:
    """A site of an agent in a folder of its own."""

    home: Path
    config: AgentConfig
    folders: SiteFolders
    journal: Journal

    def reopened(self) -> "AgentSite":
        """The same, as the next run finds it."""
        journal = Journal(self.journal.path)
        return AgentSite(self.home, self.config, self.folders, journal)

    def claim(self, key: str, guids: list[str], first: int = 1, **more: Any) -> HeldBatch:
        """A batch as it was claimed: its folder is written and the journal has it."""
        given = batch_given(key, guids, first, **more)
        self.journal.append("claimed", batches=[self.folders.write_batch(given)])
        return self.journal.held.batches[key]

    def work(self) -> list[int]:
        """The attempts that a runner began, in order; one that began twice is there twice."""
        log = self.folders.root / "work.log"
        return [int(line) for line in log.read_text().split()] if log.exists() else []


def batch_given(key: str, guids: list[str], first: int = 1, **more: Any) -> dict[str, Any]:
    """A batch as a server gives it; its members' attempts count from `first`."""
    granted = more.pop("granted", True)
    callback = more.pop("callback", "http://127.0.0.1:1")
    members = [
        {
            "attempt": attempt,
            "fence": 1,
            "token": f"secret-{attempt}",
            "line": {"attempt": attempt, "guid": guid, "root": "/", "callback": callback},
            **({"grant": {"attempt": attempt, "guid": guid}} if granted else {}),
        }
        for attempt, guid in enumerate(guids, first)
    ]
    batch = {
        "key": key,
        "launcher": "process",
        "stage": "barcode",
        "units": 1,
        "lease_s": 900,
        "resources": {},
        "runner": DIGEST,
        "members": members,
    }
    return {**batch, **more}


def agent_site(folder: Path, **config: Any) -> AgentSite:
    """An agent's site below `folder`, with the runner of these tests."""
    home = folder / "home"
    home.mkdir(parents=True)
    made = AgentConfig(
        **{
            "server": "http://127.0.0.1:1",
            "site": "pull",
            "name": "node7",
            "root": str(folder / "root"),
            "launchers": {"process": 2},
            "labels": [],
            "python": sys.executable,
            **config,
        }
    )
    folders = SiteFolders(Path(made.root))
    folders.make()
    runner_path(folders, DIGEST).write_text(textwrap.dedent(RUNNER))
    return AgentSite(home, made, folders, Journal(home / "journal.jsonl"))


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Poll until it holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
