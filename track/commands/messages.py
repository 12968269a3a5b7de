"""What a message about an attempt does to its job, once the protocol has judged it.

`take` writes it to the inbox with what is to be announced of it, and applies all that follows, in
the caller's transaction. It returns what became of the message: applied, recorded, stale, or
repeated, when it came before and nothing was done.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import events
from schemas.attempts import Result, Usage
from schemas.metadata.document import MetadataError
from track.commands.legacy import BoundJob, file_names, note_missing, warn
from track.commands.results import (
    AppliedResult,
    apply_result,
    apply_uploaded,
    declare,
    register_child,
)
from track.commands.site_health import forget_lacks, note_lack
from track.jobs.attempts import (
    Attempt,
    LockedAttempt,
    close_attempt,
    note_first_id,
)
from track.jobs.moves import NOW, Guard, move
from track.jobs.resolve import downstream, resolve
from track.jobs.verbs import apply_rules, end, mark_returned, try_again
from track.records.documents import NoDocument
from track.records.inbox import Received, applied, receive
from track.records.wake import wake
from track.schema.history import record
from track.schema.states import State

Work = Callable[[AsyncConnection, LockedAttempt], Awaitable[None]]

APPLIED, RECORDED, REPEATED, STALE = "applied", "recorded", "repeated", "stale"

ESTIMATED_MB = {"tif": 400, "jpeg": 20}
"""A derivative's size until its file is known; deliberately too large."""


@dataclass(frozen=True)
class Ending:
    """How an attempt ended without a result, and what its job does then.

    A `final` one fails the job; any other is tried again: see `track.jobs.verbs.try_again`.
    `lacks`: its site cannot run the module, and gets no more jobs of it. `actor`: who has it
    tried again, if not the attempt itself. `printed`: the end of what its work printed, empty for
    nothing; None where that is not known.
    """

    outcome: str
    why: str
    final: bool = False
    uses_try: bool = True
    delay_s: float | None = None
    grows_to_s: float | None = None
    free: int | None = None
    lacks: bool = False
    exit_code: int | None = None
    usage: Usage | None = None
    printed: str | None = None
    actor: str = ""

    @property
    def kind(self) -> str:
        """What its event is called."""
        return "lost" if self.outcome == "lost" else "failed"


def _event(of: LockedAttempt, kind: str) -> dict[str, Any] | None:
    """The event `hpc.job.<kind>` of an attempt; None without a kind."""
    if not kind:
        return None
    found = of.attempt
    return events.job_event(
        f"hpc.job.{kind}",
        found.guid,
        attempt=found.id,
        n=found.n,
        stage=found.stage,
        session=of.session,
        pipeline=of.pipeline,
        site=found.site,
        payload={"job": found.job_id, "n": found.n},
    )


async def take(
    tx: AsyncConnection,
    entry: Received,
    of: LockedAttempt,
    work: Work | None = None,
    *,
    how: str = APPLIED,
    kind: str = "",
) -> str:
    """Keep a message once, with the event of this `kind`, and do the work that follows from it."""
    if await receive(tx, entry, how, _event(of, kind)) is None:
        return REPEATED
    if work is not None:
        await work(tx, of)
    return how


async def keep(
    tx: AsyncConnection, entry: Received, how: str, of: BoundJob | None, brings: str
) -> str:
    """Keep a message that changes nothing; a script's job warns of what it would have brought."""
    if await receive(tx, entry, how) is None:
        return REPEATED
    if of is not None and brings:
        await note_late(tx, of, brings)
    return how


async def take_pieces(
    tx: AsyncConnection, entry: Received, of: LockedAttempt, result: Result
) -> str:
    """Keep, once, what a script brought of its result, which it reports in pieces.

    The first brings its job back; a later one only adds, and asks the rules that leave stages
    out again. What cannot be read fails the job; of one that is back it is a warning.
    """
    row = await receive(tx, entry)
    if row is None:
        return REPEATED
    how, kind = await _add(tx, of, result)
    await applied(tx, row, how, _event(of, kind))
    return how


async def _add(tx: AsyncConnection, of: LockedAttempt, result: Result) -> tuple[str, str]:
    """What became of a piece, and the kind of the event that announces it, if one does."""
    found = of.attempt
    if result.uploaded is not None:  # a script names none: all that there are
        await apply_uploaded(tx, found.guid, await file_names(tx, found.guid))
    try:
        done = await _apply_whole(tx, of, result)
    except MetadataError as error:
        what = "metadata" if result.barcode is None else "barcodes"
        why = f"its {what} cannot be taken: {error}"
        if found.current:
            await end_without_result(tx, of, Ending("failed", why, final=True))
            return APPLIED, "failed"
        await warn(tx, found.job_id, why)
        return RECORDED, ""
    for warning in done.warnings:
        await warn(tx, found.job_id, warning)
    if found.current:
        if of.emits is not None:
            await declare(tx, of)
        await _close(tx, of, "done")
        await mark_returned(tx, found.job_id, attempt_id=found.id, actor=found.actor)
        return APPLIED, "finished"
    if not done.changed:
        return RECORDED, ""
    await apply_rules(tx, found.job_id, actor=found.actor)
    return APPLIED, ""


async def let_start(
    tx: AsyncConnection, of: LockedAttempt, native_id: str, nonce: str | None
) -> None:
    """Let a job run from now on; a script, which has no nonce, clears what it warned of."""
    granted = {"started_by": native_id, "nonce": nonce, "started_at": NOW}
    values: dict[str, Any] = {"warning": None} if nonce is None else {}
    why = f"started by {native_id}"
    await _move(tx, of, State.RUNNING, why=why, of_attempt=granted, **values)


async def bring_result(
    tx: AsyncConnection, of: LockedAttempt, result: Result, outputs: Sequence[Mapping[str, Any]]
) -> None:
    """Apply a module's result or nothing of it, and bring its job back.

    One that cannot be taken fails the job. The inbox has it as it came; its attempt keeps the
    `outputs`, which have yet to be brought, and what was printed.
    """
    try:
        done = await _apply_whole(tx, of, result)
    except (MetadataError, NoDocument, ValueError) as error:
        why = f"its result cannot be taken: {error}"
        if isinstance(error, NoDocument):  # a command may run on an asset that has none
            why = f"its result changes metadata, and none is known of asset {error}"
        ending = Ending(
            "failed", why, final=True, usage=result.usage, printed=result.printed or None
        )
        await end_without_result(tx, of, ending)
        return
    left = {"outputs": outputs, "printed": result.printed}
    kept = {name: value for name, value in left.items() if value} or None
    ended = {"outcome": "done", "finished_at": NOW, "closed_at": NOW, "result": kept}
    ended |= _spent(result.usage)
    warning = "; ".join(done.warnings) or None
    back = {"details": result.details, "warning": warning}
    await _move(tx, of, State.RETURNED, of_attempt=ended, **back)
    if of.lacked and of.module:
        await forget_lacks(tx, of.attempt.site, actor=of.attempt.actor, run=of.module)


async def end_without_result(
    tx: AsyncConnection, of: LockedAttempt, ending: Ending, native_id: str = ""
) -> None:
    """Close an attempt, and have its job fail or be tried again; cancelled, if that was asked.

    `native_id` is noted when none is known.
    """
    found, why = of.attempt, ending.why
    if native_id:
        await note_first_id(tx, found.id, native_id)
    values: dict[str, Any] = {"message": why, "exit_code": ending.exit_code}
    if ending.printed is not None:
        values["result"] = {"printed": ending.printed}
    await _close(tx, of, ending.outcome, ending.usage, **values)
    guard = Guard(attempt_id=found.id)
    if ending.final:
        new = State.CANCELLED if found.cancel_requested else State.FAILED
        await end(tx, found.job_id, new, actor=found.actor, why=why, guard=guard)
        return
    if ending.lacks:
        await note_lack(tx, found.site, of.module, why)
    await try_again(
        tx,
        found.job_id,
        actor=ending.actor or found.actor,
        why=why,
        uses_try=ending.uses_try,
        guard=guard,
        delay_s=ending.delay_s,
        grows_to_s=ending.grows_to_s,
        free=ending.free,
    )


async def add_derivative(
    tx: AsyncConnection,
    of: LockedAttempt,
    guid: str,
    ppi: int | None,
    fields: Mapping[str, Any],
    document: Mapping[str, Any],
) -> None:
    """Enter a derivative as a child of its asset; a late one is one more to wait for.

    Raises ValueError for the guid of another asset.
    """
    size_mb = ESTIMATED_MB.get(str(fields.get("file_format")), 1)
    await register_child(tx, of, guid, ppi=ppi, fields=fields, size_mb=size_mb, document=document)
    if not of.attempt.current:
        await declare(tx, of)
        await wake(tx, await resolve(tx, await downstream(tx, [of.attempt.job_id])))


async def miss_derivative(
    tx: AsyncConnection, of: LockedAttempt, ppi: int, note: str | None
) -> None:
    """Note that a derivative could not be made, on the asset, and have its job warn; it goes on."""
    await note_missing(tx, of.attempt.guid, ppi, actor=of.attempt.actor)
    text = f"no derivative for {ppi} ppi" + (f" ({note})" if note else "")
    await warn(tx, of.attempt.job_id, text)


async def note_on_the_way(
    tx: AsyncConnection, of: LockedAttempt, warning: str, native_id: str
) -> None:
    """Note a job id when none is known, and have the job warn, if it is to."""
    if native_id:
        await note_first_id(tx, of.attempt.id, native_id)
    if warning:
        await warn(tx, of.attempt.job_id, warning)


async def note_late(tx: AsyncConnection, at: BoundJob, what: str) -> None:
    """Have a script's job warn that `what` came too late and was not taken, and why."""
    if at.attempt is None:
        why = f"the job was {at.state} and no site had been asked"
    elif at.returned:
        why = f"attempt {at.attempt.n} had come back"
    else:
        why = f"attempt {at.attempt.n} was over and the job {at.state}"
    text = f"{what} came too late and was not taken: {why}"
    await _note_late(tx, at.job_id, at.guid, at.attempt, text)


async def note_late_result(tx: AsyncConnection, of: Attempt) -> None:
    """Have a job warn that an attempt's result showed at its site only when it was over."""
    text = (
        f"attempt {of.n} had a result after all: it showed at {of.site} only when that attempt "
        "had been declared over, and was not taken"
    )
    await _note_late(tx, of.job_id, of.guid, of, text)


async def _note_late(
    tx: AsyncConnection, job_id: int, guid: str, of: Attempt | None, text: str
) -> None:
    """Have a job warn of what nobody takes any more; the call itself stays in the inbox."""
    await warn(tx, job_id, text)
    actor, attempt_id = (of.actor, of.id) if of else ("script", None)
    row = {"asset_guid": guid, "job_id": job_id, "attempt_id": attempt_id}
    await record(tx, actor=actor, what="job.late", why=text, **row)


async def _apply_whole(tx: AsyncConnection, of: LockedAttempt, result: Result) -> AppliedResult:
    """Apply a result or nothing of it; most have nothing but details, and need no savepoint."""
    brings = (result.metadata, result.barcode, result.derivatives, result.uploaded)
    if not any(brings) and result.derivatives is None:
        return await apply_result(tx, of, result)
    async with tx.begin_nested():
        return await apply_result(tx, of, result)


async def _move(tx: AsyncConnection, of: LockedAttempt, new: State, **values: Any) -> None:
    found = of.attempt
    guard = Guard(attempt_id=found.id)
    await move(tx, found.job_id, of.state, new, actor=found.actor, guard=guard, **values)


async def _close(
    tx: AsyncConnection, of: LockedAttempt, outcome: str, usage: Usage | None = None, **values: Any
) -> None:
    values |= _spent(usage)
    await close_attempt(tx, of.attempt.id, outcome, finished_at=func.now(), **values)


def _spent(usage: Usage | None) -> dict[str, Any]:
    return {} if usage is None else usage.model_dump()
