"""Scripts on this machine: one subprocess each, its exit code kept in its batch's folder.

They report by the paths they have always called, as at a cluster. What a script started and
did not set free holds its batch's lock, so it is over when nobody holds that any more. Only
a job that it gave to a scheduler may then be at work still.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc.ends import Meaning, of_script
from hpc.sites.collect import report
from hpc.sites.scripts import ScriptCommand
from schemas.sites import Site
from track.jobs.attempts import Attempt, find_attempt, note_reason
from track.jobs.batches import Batch, mark_ended, mark_submitted, went_well
from track.jobs.scripts import submitted_ids
from track.schema.database import transact

MAX_OUTPUT = 2000
"""Bytes of a script's output that are read."""

_WRAPPER = """\
folder=$1 scripts=$2
shift 2
cd "$scripts" 2>"$folder/err" && "$@" >"$folder/out" 2>"$folder/err"
printf '%s\\n' "$?" >"$folder/.code" && mv "$folder/.code" "$folder/code"
"""


@dataclass(frozen=True)
class ScriptExit:
    """How a script ended: its exit code, or None when it was killed, and what it printed."""

    code: int | None
    output: str


def wrapped(command: ScriptCommand, folder: Path, site: Site) -> list[str]:
    """What runs a script in the site's `scripts` folder and keeps its code in its batch's."""
    scripts = Path(site.scripts or site.root).absolute()
    return ["/bin/sh", "-c", _WRAPPER, "sh", str(folder), str(scripts), *command.with_environment]


def read_end(folder: Path) -> ScriptExit:
    """What a script left in its batch's folder."""
    output = "".join(_tail(folder / name) for name in ("err", "out"))
    code = _tail(folder / "code").strip()
    return ScriptExit(int(code) if code.isdecimal() else None, output)


async def close_batch(
    engine: AsyncEngine, batch: Batch, folder: Path, actor: str, stopped: Meaning | None
) -> bool:
    """Close the batch of a script of which, and of all that it started here, nothing runs.

    `stopped` is what its end means when its driver stopped it. Whether it went well.
    """
    end, member = read_end(folder), batch.members[0]
    ids = submitted_ids(end.output)

    async def work(tx: AsyncConnection) -> bool:
        found = await find_attempt(tx, member.attempt, lock=True)
        if found is not None and found.current:
            await _conclude(tx, found, end, ids, actor, stopped)
        if ids:
            await mark_submitted(tx, batch.id, ",".join(ids))
        await mark_ended(tx, batch.id)
        return await went_well(tx, batch.id)

    return await transact(engine, work)


async def _conclude(
    tx: AsyncConnection,
    found: Attempt,
    end: ScriptExit,
    ids: list[str],
    actor: str,
    stopped: Meaning | None,
) -> None:
    """End an attempt of which nothing is at work any more; one that a scheduler has waits."""
    # One that has started called from here, or would have held the lock.
    queued = None if found.started_by is not None else found.external_id
    if ids or queued is not None:
        job = ", ".join(ids) or queued
        why = f"its script has ended, and job {job}, which it submitted, has yet to report"
        await note_reason(tx, found.id, why)
        return
    meaning = stopped or of_script(
        end.code, end.output[-400:].strip(), cancelled=found.cancel_requested
    )
    await report(tx, found.id, meaning, actor=actor, exit_code=end.code)


def _tail(path: Path) -> str:
    """The last bytes of a small file; nothing when it is not there."""
    try:
        return path.read_bytes()[-MAX_OUTPUT:].decode(errors="replace")
    except FileNotFoundError:
        return ""
