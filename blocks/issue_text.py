"""What an issue of ours says, in Markdown, and what it remembers of itself.

Below what people read stand two comments that they do not see: by the one an issue is found again,
in the other it keeps what was counted. People may write around them.
"""

import json
import re
from datetime import UTC, date, datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from blocks.alarm_delivery import MARKDOWN
from schemas.problems import WorkstationProblem, without_personal_data

MAX_REPORTS = 50
"""Reports that an issue remembers; one that is made again is among the last."""

MAX_WORKSTATIONS = 100
"""Workstations that an issue names."""

UNSEEN = "\u200b"
"""A space without width: what it stands in means nothing to GitHub, and looks the same."""

_MEANING = re.compile(r"@|#|(?<=:)//|(?<=www)\.")
"""What begins a mention or a reference, and what makes a link of a text."""


class IssueMemory(BaseModel):
    """What an issue remembers: how often its problem came, where, and what was counted already."""

    model_config = ConfigDict(extra="ignore")

    times: int = Field(default=0, ge=0)
    first: AwareDatetime
    last: AwareDatetime
    workstations: list[str] = []
    commented_on: date | None = None
    reports: dict[str, int] = {}

    @classmethod
    def new(cls, problem: WorkstationProblem) -> Self:
        """That of an issue that is made for this problem."""
        memory = cls(first=problem.occurred_at, last=problem.occurred_at)
        memory.count(problem)
        return memory

    @classmethod
    def read(cls, body: str, problem: WorkstationProblem) -> Self:
        """That of an issue; a new one, without this problem, where a person has damaged it."""
        found = re.search(r"^<!-- counted (\{.*\}) -->\r?$", body, re.MULTILINE)
        try:
            return cls.model_validate_json(found[1] if found else "")
        except ValidationError:
            return cls(first=problem.occurred_at, last=problem.occurred_at)

    def count(self, problem: WorkstationProblem) -> bool:
        """Count a problem, once however often it is reported; whether anything was new."""
        at = problem.occurred_at.astimezone(UTC)
        report = f"{problem.workstation} {at.isoformat()}"
        new = problem.times - self.reports.pop(report, 0)
        self.reports[report] = problem.times - min(0, new)
        self.reports = dict(list(self.reports.items())[-MAX_REPORTS:])
        if new <= 0:
            return False
        self.times += new
        self.first, self.last = min(self.first, at), max(self.last, at)
        name = problem.workstation or "not known"
        if name not in self.workstations and len(self.workstations) < MAX_WORKSTATIONS:
            self.workstations.append(name)
        return True


def marker(fingerprint: str) -> str:
    """By what an issue of this fingerprint is found again."""
    return f"<!-- problem {fingerprint} -->"


def day_marker(fingerprint: str, day: date) -> str:
    """By what the comment of a day is found again."""
    return f"<!-- problem {fingerprint} {day.isoformat()} -->"


def title_of(problem: WorkstationProblem) -> str:
    """An issue's title, which is no Markdown but may mention."""
    return f"{problem.step}: {_unmeaning(_cleaned(problem.summary))}"[:250]


def body_of(problem: WorkstationProblem, memory: IssueMemory) -> str:
    """An issue's text."""
    return "\n".join(
        [
            f"A workstation had a problem: {plain(_cleaned(problem.summary))}",
            "",
            *_counts(memory),
            "",
            *_facts(problem),
            "",
            fenced(_cleaned(problem.details) or "No details were given."),
            "",
            marker(problem.fingerprint),
            _remembered(memory),
        ]
    )


def updated(body: str, problem: WorkstationProblem, memory: IssueMemory) -> str:
    """The text of an issue with what was counted since, all else as it stands there."""
    lines = body.replace("\r\n", "\n").split("\n")
    rows = {row.partition(" |")[0]: row for row in _counts(memory)[2:]}
    kept = [rows.pop(line.partition(" |")[0], line) for line in lines]
    kept = [line for line in kept if not line.startswith("<!-- counted ")]
    at = max(n for n, line in enumerate(kept) if marker(problem.fingerprint) in line)
    return "\n".join([*kept[: at + 1], _remembered(memory), *kept[at + 1 :]])


def comment_of(problem: WorkstationProblem, memory: IssueMemory, day: date) -> str:
    """What is written below an issue when its problem has come again."""
    return "\n".join(
        [
            f"It came again, {memory.times} times in all, the last time at "
            f"{_when(memory.last)}: {plain(_cleaned(problem.summary))}",
            "",
            *_facts(problem),
            "",
            fenced(_cleaned(problem.details) or "No details were given."),
            "",
            day_marker(problem.fingerprint, day),
        ]
    )


def plain(text: str) -> str:
    """A text in one line that Markdown shows as it is, and that mentions nobody."""
    return MARKDOWN.sub(r"\\\1", _unmeaning(re.sub(r"\s+", " ", text)))


def fenced(text: str) -> str:
    """A text as a block that nothing in it can end, nor be taken for a marker of ours."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text.replace('<!--', f'<{UNSEEN}!--')}\n{fence}"


def _counts(memory: IssueMemory) -> list[str]:
    rows = {
        "times": str(memory.times),
        "first": _when(memory.first),
        "last": _when(memory.last),
        "workstations": plain(", ".join(memory.workstations)),
    }
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


def _facts(problem: WorkstationProblem) -> list[str]:
    rows = {
        "workstation": problem.workstation or "not known",
        "step": problem.step,
        "code": problem.code,
        "client": problem.client_version,
        "system": problem.system,
        "Python": problem.python,
        "occurred": _when(problem.occurred_at),
    }
    return ["| | |", "|---|---|", *(f"| {name} | {plain(value)} |" for name, value in rows.items())]


def _when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _cleaned(text: str) -> str:
    """What whoever reported it should have left out; names are known there only."""
    return without_personal_data(text, "", "")


def _unmeaning(text: str) -> str:
    return _MEANING.sub(lambda found: f"{found[0]}{UNSEEN}", text)


def _remembered(memory: IssueMemory) -> str:
    return f"<!-- counted {json.dumps(memory.model_dump(mode='json'))} -->"
