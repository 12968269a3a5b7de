"""Reports attempts whose runner is gone: late results first, then the end.

Result files are the calls that could not be made; they are read before anything is declared
lost, so that a finished result always wins.
"""

import json
import logging
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc import protocol
from hpc.callers import MessageRefused, RunnerCaller
from hpc.ends import Meaning
from schemas.attempts import Complete, Fail
from track.commands.messages import note_late_result
from track.jobs.attempts import find_attempt
from track.jobs.batches import Member
from track.schema.database import never_fits, transact

log = logging.getLogger(__name__)


async def collect_results(engine: AsyncEngine, folder: Path) -> int:
    """Apply every result file in `folder`, each once; how many there were."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        readable = await collect_result(engine, str(path), text)
        path.replace(path.with_suffix(".taken" if readable else ".unreadable"))
    return len(files)


async def collect_result(engine: AsyncEngine, name: str, text: str) -> bool:
    """Apply one result file, as if its call had come; False when it cannot be read."""
    try:
        message = json.loads(text)
        reply = await transact(engine, _apply, message)
        log.info("%s, from %s: %s", message["path"], name, reply.applied, extra=reply.about)
    except MessageRefused as refusal:
        log.info("%s: %s", name, refusal)
    except (ValidationError, KeyError, TypeError, ValueError, RecursionError) as error:
        log.warning("%s is not a result that can be read: %s", name, error)
        return False
    except DBAPIError as error:
        if not never_fits(error):
            raise
        log.warning("%s holds a value that the database cannot keep: %s", name, error.orig)
        return False
    return True


async def _apply(tx: AsyncConnection, message: dict[str, Any]) -> protocol.AttemptReply:
    """Make the call that a result file holds, as the runner would have."""
    _, _, number, verb = str(message["path"]).split("/")
    attempt_id = int(number)
    found = await find_attempt(tx, attempt_id)
    if found is None:
        raise MessageRefused(f"there is no attempt {attempt_id}")
    caller = RunnerCaller(attempt_id, found.fence, relayed=True)
    match verb:
        case "complete":
            body = Complete.model_validate(message["body"])
            answer = await protocol.complete(tx, caller, body)
            if answer.applied == "stale":
                await note_late_result(tx, found)
            return answer
        case "fail":
            failure = Fail.model_validate(message["body"])
            return await protocol.fail(tx, caller, failure)
        case _:
            raise ValueError(f"no call to {message['path']}")


async def report(
    tx: AsyncConnection,
    attempt_id: int,
    found: Meaning,
    *,
    actor: str,
    exit_code: int | None = None,
    printed: str | None = None,
) -> None:
    """Report how an attempt ended, as its site's driver found out; an earlier result wins.

    `printed`: the end of what it printed, empty when its work began and printed nothing; None
    where that is not known.
    """
    attempt = await find_attempt(tx, attempt_id, lock=True)
    if attempt is None or not attempt.current:
        return
    await protocol.ended(tx, attempt, found, actor=actor, exit_code=exit_code, printed=printed)
    log.info("ended without a result, %s: %s", found.outcome, found.why, extra=attempt.about)


async def refuse(tx: AsyncConnection, member: Member, *, why: str, actor: str) -> None:
    """Report that a site will never take an attempt as it is asked for: a person must change it."""
    found = await find_attempt(tx, member.attempt, lock=True)
    if found is not None and found.current:
        await protocol.refused(tx, found, why=why, actor=actor)
