"""Ends members of which the server wants no more, as far as no job has begun them."""

from pathlib import Path
from typing import List

from hpc.agent.held import HeldBatch, HeldMember
from hpc.agent.journal import Journal
from hpc.agent.spool import has_result, take_start

CANCELLED = {"state": "cancelled", "exit_code": None}


def stop_unbegun(journal: Journal, batch: HeldBatch, folder: Path) -> List[HeldMember]:
    """End the members that are to be stopped and have not begun; those that have are given back.

    Of a batch with grants no job can begin them any more; one without grants may have begun
    once it was handed over. Raises OSError, JournalError.
    """
    begun, ends = [], {}
    for member in batch.members:
        wanted = member.open and not member.stop
        if wanted or not (member.open or member.lost):
            continue
        if member.end or has_result(folder, member.attempt):
            continue
        unbegun = batch.state == "claimed" if not batch.granted else True
        if unbegun and take_start(folder, member.attempt):
            ends[str(member.attempt)] = CANCELLED
        else:
            begun.append(member)
    if ends:
        journal.append("ended", key=batch.key, ends=ends)
    return begun
