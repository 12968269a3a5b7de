"""When this machine is taken for broken: jobs end here before they begin, one batch after another.

That is no fault of theirs. A machine that went on would have everything fail that waits, so it
takes no more for a while, longer each time, until a job begins again.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Dict

from hpc.agent.files import read_object, write_whole

IN_A_ROW = 3
"""Batches, one after another, until the machine is taken for broken."""
HOLD_S, LONGEST_S = 600.0, 3600.0
SIGNALLED = (128 + 2, 128 + 15, 128 + 10)
"""Exit codes of one that was told to stop: by a person, a scheduler, its time limit."""
MAX_CHARACTERS = 300
TAIL = 4096
"""Bytes of a log that its last line is looked for in."""


class StartFaults:
    """How many batches in a row ended before they began, and until when nothing is started.

    Kept in the agent's folder, for one that cron starts is another each minute.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "faults.json"
        kept = read_object(self._path)
        found: Dict[str, Any] = kept if isinstance(kept, dict) else {}
        self._batch = str(found.get("batch") or "")
        self._why = str(found.get("why") or "")
        self._times = int(found.get("times") or 0)
        self._holds = int(found.get("holds") or 0)
        self._until = float(found.get("until") or 0.0)

    def note(self, folder: Path, end: Dict[str, Any]) -> None:
        """Take in how a member of a batch ended that left no result.

        Whether one that asks for its start itself had begun only the server knows.
        Raises OSError.
        """
        code, why, started = end.get("exit_code"), end.get("why"), end.get("started")
        failed = end.get("state") == "failed" and code not in SIGNALLED
        if started:
            self.clear()
        elif failed and (why or started is False) and folder.name != self._batch:
            self._batch = folder.name
            self._count(str(why or f"exit code {code}: {last_words(folder)}"))

    def clear(self) -> None:
        """Note that a job has begun: the machine is in order. Raises OSError."""
        if self._times:
            self._times, self._holds, self._why = 0, 0, ""
            self._keep()

    @property
    def trouble(self) -> str:
        """Why nothing is started now; empty when it is."""
        if not self._why or not 0 < self._until - time.time() <= LONGEST_S:
            return ""
        return f"jobs end here before they begin, the last with {self._why}"

    def _count(self, why: str) -> None:
        """After a hold the next one that fails is enough for another."""
        self._times += 1
        if self._times >= IN_A_ROW and not self.trouble:
            self._holds += 1
            hold_s = min(LONGEST_S, HOLD_S * 2.0 ** (min(self._holds, 10) - 1))
            self._until, self._why = time.time() + hold_s, why
        self._keep()

    def _keep(self) -> None:
        kept = {
            "batch": self._batch,
            "why": self._why,
            "times": self._times,
            "holds": self._holds,
            "until": self._until,
        }
        write_whole(self._path, json.dumps(kept) + "\n")


def last_words(folder: Path) -> str:
    """The last line that a batch's runner wrote."""
    try:
        with (folder / "log" / "runner.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return "it said nothing"
    lines = text.strip().splitlines()
    return lines[-1].strip()[-MAX_CHARACTERS:] if lines else "it said nothing"
