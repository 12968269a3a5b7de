"""What somebody looks for among the specimens, as fields of a form, an address or a command."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta

from schemas.searching import PART_LENGTH
from schemas.storable import why_not_storable

MAX_LENGTH = 200
"""Letters of a field; nothing that is looked for is longer."""

DATES = ("came_from", "came_to", "taken_from", "taken_to")

STATES = {
    "underway": "under way",
    "finalised": "archived",
    "person": "needs a person",
    "quarantined": "quarantined",
    "attention": "held",
    "failed": "a stage failed",
    "cancelled": "a stage was cancelled",
    "waiting": "a stage waits for others",
    "ready": "a stage is ready",
    "claimed": "a stage is in hand",
    "queued": "a stage is in a site's queue",
    "running": "a stage runs at a site",
    "returned": "a stage came back from a site",
}
"""What may be asked of a specimen's state, in words."""

ORDERS = {"newest": "newest first", "oldest": "oldest first"}


class QueryError(ValueError):
    """Fields that cannot be read: by name, what is wrong and what to write."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in faults.items()))
        self.faults = dict(faults)


@dataclass(frozen=True)
class SpecimenQuery:
    """All of what is given must fit; empty: anything.

    `q` is looked for in everything: where no barcode, guid, name or words are like it, it may be
    a part of a number. `guid` is how one begins, `number` any part of a barcode or
    catalogue number, `words` are those of labels, taxon and other texts. Collection, digitiser,
    workstation and pipeline are how a name begins. Days are those of this machine's clock, the
    last one included; `came` is when a specimen was registered, `taken` when it was photographed.
    """

    q: str = ""
    barcode: str = ""
    guid: str = ""
    number: str = ""
    words: str = ""
    collection: str = ""
    digitiser: str = ""
    workstation: str = ""
    pipeline: str = ""
    state: str = ""
    came_from: str = ""
    came_to: str = ""
    taken_from: str = ""
    taken_to: str = ""
    order: str = "newest"

    @property
    def given(self) -> dict[str, str]:
        """The fields that are not empty, by name."""
        values = {each.name: str(getattr(self, each.name)) for each in fields(self)}
        return {name: value for name, value in values.items() if value}

    @property
    def empty(self) -> bool:
        """Whether it means every specimen."""
        return not self.given.keys() - {"order"}

    def moment(self, name: str) -> datetime | None:
        """The border that a day stands for: where it begins, or, of a last day, where it ends."""
        if not (text := getattr(self, name)):
            return None
        day = date.fromisoformat(text) + timedelta(days=name.endswith("_to"))
        return datetime.combine(day, time()).astimezone()


def read_query(given: Mapping[str, str]) -> SpecimenQuery:
    """A query from text fields; others are left alone. Raises QueryError naming each bad field."""
    names = [each.name for each in fields(SpecimenQuery)]
    values = {name: text for name in names if (text := given.get(name, "").strip())}
    faults = {name: fault for name, text in values.items() if (fault := _fault(name, text))}
    query = SpecimenQuery(**values)
    for kind in ("came", "taken"):
        begin, end = f"{kind}_from", f"{kind}_to"
        if faults.keys() & {begin, end} or not {begin, end} <= values.keys():
            continue
        if values[begin] > values[end]:
            faults[end] = f"is before {values[begin]}: exchange the two days"
    if faults:
        raise QueryError(faults)
    return query


def _fault(name: str, text: str) -> str:
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} letters: write {MAX_LENGTH} at most"
    if why_not_storable(text):
        return "has a letter that no text holds: type it anew"
    if name in DATES:
        return _day_fault(text)
    if name == "state" and text not in STATES:
        return f"'{text}' is none: write one of {', '.join(STATES)}"
    if name == "order" and text not in ORDERS:
        return f"'{text}' is none: write {' or '.join(ORDERS)}"
    if name == "number" and len(text) < PART_LENGTH:
        return f"write {PART_LENGTH} letters or digits at least"
    return ""


def _day_fault(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return f"'{text}' is no day: write it as 2026-11-28"
    if len(text) != 10 or not 1900 <= day.year <= 2999:
        return f"'{text}' is no day of our time: write it as 2026-11-28"
    return ""
