"""What the jobs of a batch left in its folder: who started, results, exit codes.

A start is a folder that one process alone can make. So an attempt whose folder the agent made
cannot be started by any job any more.
"""

import contextlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from hpc.agent.files import read_object
from hpc.agent.held import HeldBatch, HeldMember

Found = Dict[str, Any]

TAKEN = "taken"
"""The file in a start's folder that says that it was the agent who made it."""


def take_start(folder: Path, attempt: int) -> bool:
    """Make an attempt's start ours; False when a job has it. Raises OSError."""
    mine = folder / "started" / str(attempt)
    try:
        mine.mkdir(parents=True)
        (mine / TAKEN).touch()
    except FileExistsError:
        pass
    return (mine / TAKEN).exists()


def has_begun(folder: Path, attempt: int) -> bool:
    """Whether a job has an attempt's start."""
    mine = folder / "started" / str(attempt)
    return mine.is_dir() and not (mine / TAKEN).exists()


def begun_at(folder: Path, attempt: int) -> float:
    """When a job started an attempt, in seconds of this machine's clock. Raises OSError."""
    mine = folder / "started" / str(attempt)
    by = mine / "by"
    return (by if by.exists() else mine).stat().st_mtime


def started_by(folder: Path, attempt: int) -> Optional[Found]:
    """Who started an attempt, as that process wrote it; None as long as nobody did."""
    found = read_object(folder / "started" / str(attempt) / "by")
    return found if isinstance(found, dict) else None


def result_path(folder: Path, attempt: int) -> Path:
    """Where an attempt's outcome lies until it is reported."""
    return folder / "results" / f"{attempt}.json"


def has_result(folder: Path, attempt: int) -> bool:
    """Whether an attempt left an outcome."""
    return result_path(folder, attempt).exists()


def read_result(folder: Path, member: HeldMember) -> Optional[Found]:
    """An attempt's outcome: `verb` and `body`; None when there is none that can be read.

    One that cannot be read is set aside, for a person to look at. Raises OSError.
    """
    path = result_path(folder, member.attempt)
    if not path.exists():
        return None
    try:
        message = json.loads(path.read_text(encoding="utf-8"))
        verb = message["path"].split("/")[-1]
        if verb not in ("complete", "fail") or not isinstance(message["body"], dict):
            raise ValueError("no outcome")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        set_aside(path, ".unreadable")
        return None
    return {"verb": verb, "body": message["body"]}


def set_aside(path: Path, ending: str) -> None:
    """Give a result file another ending; one that is gone is none. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.replace(path.with_suffix(ending))


def exit_codes(folder: Path) -> Dict[str, int]:
    """The exit codes that jobs left, by native id."""
    found = {}
    ended = folder / "ended"
    for path in ended.iterdir() if ended.is_dir() else ():
        if path.name.startswith("."):
            continue
        try:
            found[path.name] = int(path.read_text().strip())
        except (OSError, ValueError):
            continue
    return found


def unfinished(batch: HeldBatch, folder: Path) -> List[HeldMember]:
    """The open members of which neither a result nor an end is known."""
    return [
        member
        for member in batch.open
        if member.end is None and not has_result(folder, member.attempt)
    ]


def at_work(batch: HeldBatch, folder: Path) -> List[HeldMember]:
    """The members that a job has begun and that left neither a result nor an end."""
    return [
        member
        for member in batch.members
        if (member.open or member.lost)
        and member.end is None
        and has_begun(folder, member.attempt)
        and not has_result(folder, member.attempt)
    ]


def end_by_code(code: Optional[int]) -> Found:
    """An end of which only the exit code is known, as it is reported; None: nobody saw it.

    Python gives a signal as a negative number, a shell as 128 and more; 10 is SIGUSR1.
    """
    if code is None:
        return {"state": "unknown", "exit_code": None}
    value = 128 - code if code < 0 else code
    states = {0: "completed", 128 + 10: "timeout"}
    return {"state": states.get(value, "failed"), "exit_code": value}
