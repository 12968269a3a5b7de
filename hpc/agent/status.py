"""What an agent holds and would do, in words, for a person who looks at its machine."""

import time
from pathlib import Path
from typing import Dict, Iterator, List

from hpc.agent.config import AgentConfig
from hpc.agent.contact import Contact
from hpc.agent.folders import SiteFolders
from hpc.agent.held import HeldBatch, HeldWork
from hpc.agent.journal import Journal
from hpc.agent.loop import make_launchers
from hpc.agent.start_faults import StartFaults

STATES = {
    "claimed": "waits to be started",
    "launching": "may have been started",
    "running": "is at work",
    "over": "has ended",
}


def status_lines(home: Path, config: AgentConfig, is_running: bool) -> List[str]:
    """What it holds, when the server last answered, the order and the capacity.

    Raises JournalError.
    """
    held, contact = _journal(home).held, Contact(home, config)
    lines = [
        "agent {} of site {} at {}: {}".format(
            config.name, config.site, config.server, "runs" if is_running else "does not run now"
        ),
        _contact_line(contact),
    ]
    trouble = StartFaults(home).trouble
    if trouble:
        lines.append(f"takes no work: {trouble}")
    for name, units in sorted(contact.capacity.items()):
        lines.append(f"{name}: {held.units(name)} of {units} units taken")
    lines += [_batch_line(batch) for batch in held.batches.values()] or ["nothing is held"]
    return lines


def _contact_line(contact: Contact) -> str:
    if not contact.at:
        return "the server has not answered yet"
    ago = time.time() - contact.at
    return f"the server answered {ago:.0f} s ago; its order is '{contact.order}'"


def _batch_line(batch: HeldBatch) -> str:
    waiting = sum(len(member.outputs) for member in batch.members)
    parts = [
        f"{batch.key}: {len(batch.members)} of stage {batch.stage} by {batch.launcher}",
        STATES.get(batch.state, batch.state),
        f"{len(batch.open)} to be reported",
    ]
    if batch.native_id and batch.native_id != batch.key:
        parts.append(f"job {batch.native_id}")
    if waiting:
        parts.append(f"{waiting} files to be sent")
    return ", ".join(parts)


def plan_lines(home: Path, config: AgentConfig) -> List[str]:
    """What the next turn would start and ask for; nothing is asked and nothing changed.

    Raises JournalError.
    """
    journal, contact = _journal(home), Contact(home, config)
    return [*_starts(config, journal), _request(config, journal.held, contact)]


def _journal(home: Path) -> Journal:
    return Journal(home / "journal.jsonl", read_only=True)


def _starts(config: AgentConfig, journal: Journal) -> Iterator[str]:
    launchers = make_launchers(config, SiteFolders(Path(config.root)), journal)
    for batch in journal.held.batches.values():
        if batch.state == "claimed" and batch.open and batch.launcher in launchers:
            yield f"would start {batch.key}: {launchers[batch.launcher].plan(batch)}"


def _request(config: AgentConfig, held: HeldWork, contact: Contact) -> str:
    if held.claim is not None:
        return "would ask again for the answer to request {}".format(held.claim["request_id"])
    free = {
        name: max(0, contact.capacity.get(name, 0) - held.units(name)) for name in config.launchers
    }
    if contact.order != "run" or not any(free.values()):
        return f"would ask for nothing: the order is '{contact.order}', and free are {_words(free)}"
    return f"would ask {config.server} for work of site {config.site}: {_words(free)}"


def _words(free: Dict[str, int]) -> str:
    return ", ".join(f"{units} units of {name}" for name, units in sorted(free.items()))
