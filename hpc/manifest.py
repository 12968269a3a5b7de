"""The two files that every batch's folder has: what is to be run, and the tokens for it."""

import json
from typing import Any

from hpc.tokens import Keys
from track.jobs.batches import Batch, Member


def manifest(batch: Batch, callback: str, root: str) -> str:
    """One line per member: what the runner must know before it asks for its grant."""
    lines = (manifest_line(member, callback, root) for member in batch.members)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def manifest_line(member: Member, callback: str, root: str) -> dict[str, Any]:
    """A member's line of the manifest; `callback` is empty where its runner cannot call."""
    return {
        "attempt": member.attempt,
        "fence": member.fence,
        "guid": member.guid,
        "stage": member.stage,
        "module": member.run,
        "callback": callback,
        "root": root,
    }


def tokens(batch: Batch, keys: Keys) -> str:
    """The bearer token of each member, a line each."""
    return "".join(f"{keys.issue(member.attempt, member.fence)}\n" for member in batch.members)
