"""Who calls about an attempt, and whether the call still counts.

A runner calls for its own attempt and may be refused; an existing script names an asset and a
job, asks for nothing and is never refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.attempts import Start
from track.commands.legacy import BoundJob, StageChoice, UnknownJob, bind_job, was_at
from track.jobs.attempts import LockedAttempt, lock_attempt
from track.records.inbox import Received

QUEUE_FULL = "-1"
"""The job id a script reports when its cluster took no job."""

KINDS = {"submitted": "queued", "complete": "finished", "fail": "failed", "outputs": "output"}
"""What the inbox calls a runner's message, where that is not the last part of its path."""


class MessageRefused(Exception):
    """This native job may not run, or is not the one that was started: it exits at once."""


class NotTheirs(Exception):
    """The token is that of another job, or the network that of another site."""


@dataclass(frozen=True)
class RunnerCaller:
    """A runner, known by its attempt's token, or whose message its site's driver `relayed`.

    Where an agent relays it, the attempt has to be that agent's.
    """

    attempt_id: int
    fence: int
    relayed: bool = False
    agent_id: int | None = None

    brings = scheduler_id = ""

    @property
    def token(self) -> "RunnerCaller | None":
        """The token it shows; a driver shows none."""
        return None if self.relayed else self


@dataclass(frozen=True)
class SiteScript:
    """A script without a token, from a network that only these sites list."""

    sites: frozenset[str]


@dataclass(frozen=True)
class ScriptCall:
    """A call of an existing script: who made it, which job it means, how the inbox keeps it.

    `who` is the attempt whose token it shows, or None when it may call for every site's;
    `native_id` the job id it names; `says` what makes another call the same, and `brings` what
    would be lost if it were not taken.
    """

    who: RunnerCaller | SiteScript | None
    kind: str
    guid: str
    which: StageChoice
    payload: Mapping[str, Any]
    says: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    brings: str = ""
    native_id: str = ""
    job_optional: bool = False

    @property
    def token(self) -> RunnerCaller | None:
        """The token it shows."""
        return self.who if isinstance(self.who, RunnerCaller) else None

    @property
    def scheduler_id(self) -> str:
        """The job id it names, unless that says that its cluster took no job."""
        return "" if self.native_id == QUEUE_FULL else self.native_id

    def inbox_entry(self, at: BoundJob | None) -> Received:
        """How the inbox keeps it: under one key for the same call about the same attempt."""
        attempt = at.attempt if at else None
        says = json.dumps(self.says, sort_keys=True)
        ids = f"{at.job_id if at else 0}|{attempt.id if attempt else 0}"
        key = hashlib.sha256(f"{self.kind}|{self.about or self.guid}|{ids}|{says}".encode())
        return Received(
            f"script|{key.hexdigest()}",
            f"/api/v1/{self.kind}",
            self.kind,
            self.payload,
            asset_guid=self.about or self.guid,
            attempt_id=attempt.id if attempt else None,
        )


Caller = RunnerCaller | ScriptCall


@dataclass(frozen=True)
class JudgedCall:
    """A call under its attempt's lock, judged by who calls and by the attempt's state.

    `open`: the attempt is current, and the caller's; `returned`: what its script brought is
    back, and it may add to that.
    """

    caller: Caller
    inbox_entry: Received
    locked: LockedAttempt | None
    bound: BoundJob | None = None
    open: bool = False
    returned: bool = False

    @property
    def may_add(self) -> bool:
        """Whether something may still be brought."""
        return self.open or self.returned

    @property
    def target(self) -> LockedAttempt:
        """The attempt it is about; there is one where it is open or has returned."""
        assert self.locked is not None
        return self.locked


async def judge_call(
    tx: AsyncConnection,
    caller: Caller,
    verb: str = "",
    message: BaseModel | Mapping[str, Any] | None = None,
    *about: str,
    kind: str = "",
) -> JudgedCall:
    """Lock the attempt a call is about, and judge it; `about` is what makes another one the same.

    Raises MessageRefused for a runner without an attempt; of a script UnknownAsset, UnknownJob
    and NotTheirs.
    """
    if isinstance(caller, ScriptCall):
        return await _judge_script(tx, caller)
    locked = await lock_attempt(tx, caller.attempt_id)
    if locked is None:
        raise MessageRefused(f"there is no attempt {caller.attempt_id}")
    found = locked.attempt
    inbox_entry = Received(
        "|".join((verb, str(found.id), *(about or native_job(message)))),
        f"/attempts/{found.id}/{verb}",
        kind or KINDS.get(verb, verb),
        message.model_dump(mode="json") if isinstance(message, BaseModel) else message or {},
        asset_guid=found.guid,
        attempt_id=found.id,
    )
    is_open = found.current and found.fence == caller.fence
    is_open &= caller.agent_id in (None, found.agent_id)
    return JudgedCall(caller, inbox_entry, locked, open=is_open)


async def _judge_script(tx: AsyncConnection, call: ScriptCall) -> JudgedCall:
    token = call.token
    try:
        at = await bind_job(tx, call.guid, call.which, token.attempt_id if token else None)
    except UnknownJob:
        if not call.job_optional:
            raise
        if isinstance(call.who, SiteScript):
            await check_was_at(tx, call.who, call.guid)
        return JudgedCall(call, call.inbox_entry(None), None)
    found = at.attempt
    if token is not None and found is None:
        raise NotTheirs(f"the token is not that of job {at.stage} of {call.guid}")
    theirs = not call.native_id or at.knows(call.native_id)
    if token is not None and found is not None:
        theirs &= found.fence == token.fence
    if isinstance(call.who, SiteScript) and (found is None or found.site not in call.who.sites):
        await check_was_at(tx, call.who, call.guid)
        theirs = False  # one that was there before is late
    entry = call.inbox_entry(at)
    return JudgedCall(call, entry, at.locked, at, theirs and at.open, theirs and at.returned)


async def check_was_at(tx: AsyncConnection, who: SiteScript, guid: str) -> None:
    """Raise NotTheirs for an asset that was never given to a script's sites."""
    if not await was_at(tx, guid, who.sites):
        raise NotTheirs(f"{guid} was never given to {', '.join(sorted(who.sites))}")


def native_job(message: object) -> tuple[str, ...]:
    """The native job that a runner's message names, and its nonce."""
    return (message.native_id, message.nonce) if isinstance(message, Start) else ()
