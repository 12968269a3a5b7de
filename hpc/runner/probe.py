"""What a doctor's job runs in the runner's place: it checks the node, and reports.

Standard library only. The report goes where results go, `results/probe.json`.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CHECK_S = 90.0
CALL_S = 20.0


def main(argv: list[str] | None = None) -> int:
    """Check and report; the exit code is 0 whatever was found."""
    parser = argparse.ArgumentParser()
    for name in ("--batch", "--index", "--native-id"):
        parser.add_argument(name, required=True)
    folder = Path(parser.parse_args(argv).batch)
    asked = json.loads((folder / "manifest.jsonl").read_text(encoding="utf-8"))
    report = {
        "host": socket.gethostname(),
        "python": sys.version.split()[0],
        "modules": modules(asked["runner"]),
        "callback": call(asked["callback"]) if asked["callback"] else "",
    }
    partial = folder / "results" / ".probe"
    partial.write_text(json.dumps(report), encoding="utf-8")
    os.replace(partial, folder / "results" / "probe.json")
    return 0


def modules(runner: str) -> dict[str, Any]:
    """What the runner reports of this Python: what each module lacks, or why it reports nothing."""
    command = [sys.executable, runner, "--check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_S, check=False)
        found = json.loads(done.stdout)["modules"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"trouble": str(error)}
    except (ValueError, KeyError):
        return {"trouble": done.stderr.strip()[-300:] or f"it ended with code {done.returncode}"}
    return {"missing": {name: each["missing"] for name, each in found.items() if each["missing"]}}


def call(url: str) -> str:
    """Why our server is not reached from here; nothing when it is."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=CALL_S) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}"
    except (OSError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', error)}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
