"""What an agent holds, as its journal tells it: batches, their members, and what became of each.

Nothing but entries of the journal changes it, so that the next run knows what this one knew.
"""

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

Entry = Dict[str, Any]


class HeldMember:
    """One attempt of a batch. `end` is how it ended without a result, `stop` why it is to end,
    `absent` how often the scheduler did not show it any more."""

    def __init__(self, line: int, given: Entry) -> None:
        self.line = line
        self.attempt: int = given["attempt"]
        self.fence: int = given["fence"]
        self.guid: str = given["guid"]
        self.open: bool = given.get("open", True)
        self.lost: bool = given.get("lost", False)
        self.stop: Optional[str] = given.get("stop")
        self.end: Optional[Entry] = given.get("end")
        self.absent: int = given.get("absent", 0)
        self.outputs: List[Entry] = given.get("outputs", [])

    def facts(self) -> Entry:
        """All of it, as a journal entry has it."""
        return {
            "attempt": self.attempt,
            "fence": self.fence,
            "guid": self.guid,
            "open": self.open,
            "lost": self.lost,
            "stop": self.stop,
            "end": self.end,
            "absent": self.absent,
            "outputs": self.outputs,
        }


class HeldBatch:
    """One batch. `lines` are those of the round that runs, `rounds` how many were begun, `at` when
    the last of them was, in seconds of this machine's clock.

    `state`: `claimed`, `launching` (whether it was started is not known), `running`, `over`.
    """

    def __init__(self, given: Entry) -> None:
        self.key: str = given["key"]
        self.launcher: str = given["launcher"]
        self.stage: str = given["stage"]
        self.units: int = given["units"]
        self.resources: Entry = given["resources"]
        self.runner: str = given["runner"]
        self.offline: bool = given["offline"]
        self.granted: bool = given["granted"]
        self.members = [HeldMember(line, each) for line, each in enumerate(given["members"])]
        self.state: str = given.get("state", "claimed")
        self.native_id: str = given.get("native_id", "")
        self.lines: List[int] = given.get("lines", [])
        self.rounds: int = given.get("rounds", 0)
        self.at: float = given.get("at", 0.0)

    def facts(self) -> Entry:
        """All of it, as a journal entry has it."""
        kept = dict(vars(self))
        kept["members"] = [member.facts() for member in self.members]
        return kept

    @property
    def takes_room(self) -> bool:
        """Whether its units are taken: it runs, or will."""
        return self.state != "over"

    @property
    def open(self) -> List[HeldMember]:
        """The members of which the server waits for an outcome."""
        return [member for member in self.members if member.open]

    @property
    def is_told(self) -> bool:
        """Whether nothing of it is left to report or to send."""
        return not self.open and not any(member.outputs for member in self.members)


class HeldWork:
    """All that an agent holds. `claim` is one that was asked for and not yet answered."""

    def __init__(self) -> None:
        self.claim: Optional[Entry] = None
        self.batches: Dict[str, HeldBatch] = {}

    def apply(self, entry: Entry) -> None:
        """Take in one entry of the journal; one of a kind that is not known changes nothing."""
        change = _CHANGES.get(entry.get("what", ""))
        if change is not None:
            change(self, entry)

    def entries(self) -> Iterator[Entry]:
        """What a journal says that says all of this at once."""
        for batch in self.batches.values():
            yield {"what": "claimed", "batches": [batch.facts()]}
        if self.claim is not None:
            yield self.claim

    def members(self) -> Iterator[HeldMember]:
        """The members of all batches."""
        for batch in self.batches.values():
            yield from batch.members

    def units(self, launcher: str) -> int:
        """The units that are taken of one launcher."""
        held = [each for each in self.batches.values() if each.launcher == launcher]
        return sum(batch.units for batch in held if batch.takes_room)

    def find(self, attempt: int) -> Optional[HeldMember]:
        """The member of an attempt; None when it is not held."""
        return self.find_both(attempt)[1]

    def find_both(self, attempt: int) -> Tuple[Optional[HeldBatch], Optional[HeldMember]]:
        """The batch and the member of an attempt; None and None when it is not held."""
        for batch in self.batches.values():
            for member in batch.members:
                if member.attempt == attempt:
                    return batch, member
        return None, None


def _asked(held: HeldWork, entry: Entry) -> None:
    held.claim = entry


def _claimed(held: HeldWork, entry: Entry) -> None:
    held.claim = None
    for given in entry["batches"]:
        held.batches.setdefault(given["key"], HeldBatch(given))


def _launching(held: HeldWork, entry: Entry) -> None:
    batch = held.batches[entry["key"]]
    batch.state, batch.native_id = "launching", ""
    batch.lines, batch.rounds, batch.at = entry["lines"], batch.rounds + 1, entry["at"]


def _launched(held: HeldWork, entry: Entry) -> None:
    batch = held.batches[entry["key"]]
    batch.state, batch.native_id = "running", entry["native_id"]


def _not_launched(held: HeldWork, entry: Entry) -> None:
    held.batches[entry["key"]].state = "claimed"


def _ended(held: HeldWork, entry: Entry) -> None:
    """Members ended without a result; `state`: what that makes of the batch, if anything."""
    batch = held.batches[entry["key"]]
    for member in batch.members:
        member.end = entry["ends"].get(str(member.attempt), member.end)
    batch.state = entry.get("state", batch.state)


def _stop(held: HeldWork, entry: Entry) -> None:
    member = held.find(entry["attempt"])
    if member is not None:
        member.stop = member.stop or entry["why"]


def _absent(held: HeldWork, entry: Entry) -> None:
    for attempt in entry["attempts"]:
        member = held.find(attempt)
        if member is not None:
            member.absent += 1


def _reported(held: HeldWork, entry: Entry) -> None:
    member = held.find(entry["attempt"])
    if member is not None:
        member.open, member.outputs = False, entry.get("outputs", [])


def _lost(held: HeldWork, entry: Entry) -> None:
    member = held.find(entry["attempt"])
    if member is not None:
        member.open, member.lost, member.outputs = False, True, []


def _sent(held: HeldWork, entry: Entry) -> None:
    member = held.find(entry["attempt"])
    if member is not None:
        member.outputs = [each for each in member.outputs if each["sha256"] != entry["sha256"]]


def _removed(held: HeldWork, entry: Entry) -> None:
    held.batches.pop(entry["key"], None)


_CHANGES: Dict[str, Callable[[HeldWork, Entry], None]] = {
    "claim": _asked,
    "claimed": _claimed,
    "launching": _launching,
    "launched": _launched,
    "not_launched": _not_launched,
    "ended": _ended,
    "stop": _stop,
    "absent": _absent,
    "reported": _reported,
    "lost": _lost,
    "sent": _sent,
    "removed": _removed,
}
