"""Why a file was not taken in, as it is stored and as people read it."""

from collections.abc import Mapping
from dataclasses import dataclass

REPEATED = "quarantined: "
"""The beginning of a stage's reason that only repeats why its specimen's ingest failed."""


@dataclass(frozen=True)
class QuarantineEntry:
    """Which file, what is wrong with it, what to do; as text, the sentence that people read.

    A sentence stored before there were three parts, which cannot be divided, is all `problem`.
    """

    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        file = f"{self.file}: " if self.file else ""
        return f"{file}{self.problem}; {self.remedy}" if self.remedy else f"{file}{self.problem}"


def sentence(stored: Mapping[str, str] | None) -> str | None:
    """What people read of an entry as the database holds it, if there is one."""
    return None if stored is None else str(QuarantineEntry(**stored))
