"""A runner whose conduct is the asset's name: it says start and complete like the real one.

`quiet-…` ends without a word, `slow-…` works until a file lets it go on, `deaf-…`
does so and heeds no signal, `mute-…` leaves its result on the disk, `late-…` does so where
nobody sees it yet, `makes-…` leaves two outputs, `fails-…` exits with 3 once granted,
`needs-…` does so while the site has no file `library`, `lost-…` exits with 75.
Standard library only; every work really done is a line in `<root>/work.log`.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any


def call(line: dict[str, Any], token: str, verb: str, body: dict[str, Any]) -> int:
    """One callback; its status."""
    request = urllib.request.Request(
        f"{line['callback']}/attempts/{line['attempt']}/{verb}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def make(folder: Path) -> list[dict[str, Any]]:
    """Two files as a stage's outputs, one of them of several MB."""
    (folder / "derived").mkdir(parents=True)
    made = {"derived/large.bin": os.urandom(3_000_001), "note.txt": b"short"}
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return [
        {"path": n, "size_bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()}
        for n, c in made.items()
    ]


def main() -> int:
    """Run lines; the exit code, of which the gravest wins."""
    parser = argparse.ArgumentParser()
    for name in ("--batch", "--index", "--native-id"):
        parser.add_argument(name)
    given = parser.parse_args()
    return max(run(Path(given.batch), index, given.native_id) for index in numbers(given.index))


def numbers(given: str) -> list[int]:
    """The lines named by `7`, `3-5` or `1,4`."""
    parts = (part.partition("-") for part in given.split(","))
    return [n for first, _, last in parts for n in range(int(first), int(last or first) + 1)]


def run(folder: Path, index: int, native_id: str) -> int:
    """Run one line."""
    line = json.loads((folder / "manifest.jsonl").read_text().splitlines()[index])
    token = (folder / "tokens").read_text().splitlines()[index]
    kind, root = line["guid"].split("-")[0], Path(line["root"])
    if kind == "lost":
        return 75
    who = {"native_id": native_id, "nonce": uuid.uuid4().hex}
    if call(line, token, "start", who) != 200:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    if kind == "deaf":
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
    with (root / "work.log").open("a") as log:
        log.write(f"{line['attempt']} {native_id}\n")
    if kind == "quiet":
        return 0
    if kind == "fails" or (kind == "needs" and not (root / "library").exists()):
        return 3
    while kind in ("slow", "deaf") and not (root / "go-on").exists():
        time.sleep(0.1)
    result: dict[str, Any] = {"details": {"by": native_id}}
    if kind == "makes":
        result["outputs"] = make(root / "assets" / line["guid"])
    body = {**who, "result": result}
    if kind in ("mute", "late"):
        kept = folder / "results" / f"{'.' if kind == 'late' else ''}{line['attempt']}.json"
        kept.write_text(json.dumps({"path": f"/attempts/{line['attempt']}/complete", "body": body}))
        return 0
    return 0 if call(line, token, "complete", body) == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
