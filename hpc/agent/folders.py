"""The folders of batches: laid out as the runner reads them, and cleared when they are over.

`<root>/batches/<key>/` holds `manifest.jsonl`, `tokens` and `grants.jsonl` (0600), and what jobs
leave in `results`, `started`, `ended` and `log`. Tokens never stay behind.
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List

from hpc.agent.files import UnsafeName, inside, plain_name, remove_file, write_whole

Given = Dict[str, Any]

LEFT_BY_JOBS = ("results", "started", "ended", "log")
KEPT = ("log", "results")
KEPT_DAYS = 14
"""How long the logs stay of a batch of which not all went well."""
SECRET = ("tokens", "grants.jsonl")


class BadBatch(Exception):
    """What the server gave is no batch that this agent understands."""


class SiteFolders:
    """The folders below an agent's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.batches = root / "batches"
        self.assets = root / "assets"
        self.programs = root / "bin"

    def make(self) -> None:
        """Make them, unless they are there. Raises OSError."""
        for folder in (self.batches, self.assets, self.programs):
            folder.mkdir(parents=True, exist_ok=True)

    def of(self, key: str) -> Path:
        """The folder of a batch."""
        return self.batches / plain_name(key)

    def asset(self, guid: str, name: str) -> Path:
        """A file of an asset. Raises UnsafeName."""
        return inside(self.assets / plain_name(guid), name)

    def write_batch(self, given: Given) -> Given:
        """Write a batch's folder; what the journal says of it. The same again is harmless.

        Raises BadBatch, and OSError when the disk refuses.
        """
        try:
            facts = _facts(given)
            folder = self.of(facts["key"])
            lines = [dict(each["line"], root=str(self.root)) for each in given["members"]]
            files = {
                "tokens": "".join(each["token"] + "\n" for each in given["members"]),
                "manifest.jsonl": _jsonl(lines),
            }
            if facts["granted"]:
                files["grants.jsonl"] = _jsonl([each["grant"] for each in given["members"]])
        except (KeyError, TypeError, UnsafeName) as error:
            raise BadBatch(f"a batch as the server sent it: {error!r}") from error
        for name in LEFT_BY_JOBS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder / name, text, 0o600 if name in SECRET else 0o644)
        return facts

    def forget(self, key: str, well: bool) -> None:
        """Clear an ended batch's folder; if not all went well its logs stay for a while.

        Raises OSError.
        """
        folder = self.of(key)
        if not folder.is_dir():
            return
        for name in SECRET:
            remove_file(folder / name)
        if well:
            shutil.rmtree(str(folder))
            return
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                if entry.name not in KEPT:
                    shutil.rmtree(str(entry))
            else:
                remove_file(entry)

    def sweep(self, held: List[str]) -> None:
        """Clear folders of batches that are not held: what a kill left, and logs that are old."""
        for folder in sorted(self.batches.iterdir()):
            if folder.name in held or not folder.is_dir():
                continue
            if time.time() - folder.stat().st_mtime > KEPT_DAYS * 86400:
                shutil.rmtree(str(folder), ignore_errors=True)
            elif (folder / "manifest.jsonl").exists():
                self.forget(folder.name, well=False)


def read_rows(path: Path) -> List[Any]:
    """The objects of a `.jsonl` file. Raises OSError, ValueError."""
    # Not splitlines(): a text within JSON may hold U+2028 and the like, which end no line.
    return [json.loads(row) for row in path.read_text(encoding="utf-8").split("\n") if row]


def read_tokens(folder: Path) -> List[str]:
    """The token of each member. Raises OSError."""
    return (folder / "tokens").read_text().split("\n")


def touched(folder: Path) -> None:
    """Have a shared disk show a folder as it is: a client of one may show it as it was."""
    mark = folder / f".look-{os.getpid()}"
    try:
        mark.touch()
        mark.unlink()
    except OSError:
        pass


def _jsonl(rows: List[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _facts(given: Given) -> Given:
    """What of a batch is no secret. Raises KeyError, TypeError, UnsafeName."""
    members = given["members"]
    if given["launcher"] not in ("process", "scheduler") or not members:
        raise TypeError("launcher {!r}, {} members".format(given["launcher"], len(members)))
    return {
        "key": plain_name(given["key"]),
        "launcher": given["launcher"],
        "stage": str(given["stage"]),
        "units": int(given["units"]),
        "resources": dict(given["resources"]),
        "runner": plain_name(given["runner"]),
        "offline": not members[0]["line"]["callback"],
        "granted": members[0].get("grant") is not None,
        "members": [_member(each) for each in members],
    }


def _member(given: Given) -> Given:
    if not isinstance(given["token"], str) or "\n" in given["token"]:
        raise TypeError("a token that is none")
    return {
        "attempt": int(given["attempt"]),
        "fence": int(given["fence"]),
        "guid": plain_name(given["line"]["guid"]),
    }
