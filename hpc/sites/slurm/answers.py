"""What a cluster's answers say, as plain facts: the lines of `hpc/remote` are read here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hpc.scheduler import slurm
from hpc.scheduler.refusals import SubmitOutcome, answered, is_silence
from hpc.scheduler.slurm import SubmitResult

Lines = list[tuple[str, str]]


SLURM = ("sbatch", "scancel", "squeue")
TOOLS = ("awk", "find", "gzip", "sed", "tar")
"""Programs that our scripts need on a login node, beyond coreutils, which come together."""


class SiteTrouble(Exception):
    """The site's own fault, in its own words: a full disk, a folder that cannot be written."""


@dataclass(frozen=True)
class Hello:
    """What a site is like; times in seconds, space in MB of 10^6 bytes.

    `silence` is what it says when its controller does not answer; `answers` is for certain.
    """

    user: str
    clock_skew_s: float
    free_mb: int | None
    has_runner: bool
    tools: frozenset[str]
    limits: slurm.Limits
    answers: bool
    accounting: bool
    troubles: tuple[str, ...] = ()
    silence: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The programs it lacks."""
        return tuple(name for name in (*SLURM, *TOOLS) if name not in self.tools)

    @property
    def remedy(self) -> str:
        """What to do about those: Slurm comes by its module, a tool from the administrators."""
        words = []
        if any(name in SLURM for name in self.missing):
            words.append("set the block's prelude, such as `module load slurm`")
        if tools := [name for name in self.missing if name in TOOLS]:
            words.append(
                f"ask the cluster's administrators for {' and '.join(tools)}, or put a folder that "
                "has it into the PATH by the block's prelude"
            )
        return "; ".join(words)


@dataclass(frozen=True)
class PollResult:
    """What one poll shows: the queue (None: no information), what accounting and the disk tell.

    `ended` are exit codes by key and native id; `results` files by `<key>/<name>`,
    `starts` what jobs without a network wrote when they won theirs, by attempt. `silence`
    is what squeue says instead of the queue.
    """

    queue: slurm.SchedulerAnswer | None = None
    history: slurm.SchedulerAnswer | None = None
    ended: dict[str, dict[str, int]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    starts: dict[int, str] = field(default_factory=dict)
    more: bool = False
    silence: str = ""


def read_hello(lines: Lines, runner: str, began: float, ended: float) -> Hello:
    """What `hello.sh` says of a site that was asked between two times, in seconds since 1970."""
    said = dict(lines)
    code, config, complaint = program_answer(lines, "config")
    history = program_answer(lines, "history")
    space = said.get("free_kb", "")
    return Hello(
        user=said.get("user", ""),
        clock_skew_s=_seconds(said.get("clock", ""), began) - (began + ended) / 2,
        free_mb=int(space) * 1024 // 1_000_000 if space.isdecimal() else None,
        has_runner=said.get("runner") == runner,
        tools=frozenset(text for kind, text in lines if kind == "tool"),
        limits=slurm.read_limits(config),
        answers=answered(code, complaint),
        accounting=answered(history[0], history[2]),
        troubles=tuple(text for kind, text in lines if kind == "trouble"),
        silence=complaint.strip() if code != 0 and is_silence(complaint) else "",
    )


def read_poll(lines: Lines, keys: Sequence[str], *, queue: bool) -> PollResult:
    """What `watch.sh` shows of the batches of these keys; `queue`: it was asked as well."""
    ended: dict[str, dict[str, int]] = {}
    for key, native, code in (text.split(" ") for kind, text in lines if kind == "ended"):
        ended.setdefault(key, {})[native] = int(code) if code.isdecimal() else 1
    found = (text.partition(" ") for kind, text in lines if kind == "result")
    shown = program_answer(lines, "queue")
    return PollResult(
        queue=slurm.read_queue(*shown, keys) if queue else None,
        history=slurm.read_accounting(*program_answer(lines, "history"), keys),
        ended=ended,
        results={name: text for name, _, text in found},
        starts=by_attempt(lines, "started"),
        more=any(kind == "more" for kind, _ in lines),
        silence=_silence(shown) if queue else "",
    )


def by_attempt(lines: Lines, kind: str) -> dict[int, str]:
    """Lines of a kind that begin with an attempt's number: the rest of each by it."""
    found = (text.partition(" ") for each, text in lines if each == kind)
    return {int(number): rest for number, _, rest in found if number.isdecimal()}


def _seconds(said: str, else_: float) -> float:
    return float(said) if said.isdecimal() else else_


def raise_trouble(lines: Lines) -> None:
    troubles = [text for kind, text in lines if kind == "trouble"]
    if troubles:
        raise SiteTrouble("; ".join(troubles))


def program_answer(lines: Lines, kind: str) -> tuple[int, list[str], str]:
    """Exit code, output and complaints of a line that was asked; 1 when there is no trace."""
    output = [text for each, text in lines if each == kind]
    complaint = "\n".join(text for each, text in lines if each == f"{kind}-complaint")
    code = output.pop() if output and output[-1].startswith("@") else "@1"
    return int(code[1:]) if code[1:].isdecimal() else 1, output, complaint


def _silence(shown: tuple[int, list[str], str]) -> str:
    """What a program said that failed, or whose controller did not answer; else nothing."""
    code, _, complaint = shown
    if answered(code, complaint):
        return ""
    return complaint.strip() or f"it ended with code {code}"


def read_outcomes(lines: Lines) -> dict[str, SubmitResult]:
    outcomes: dict[str, SubmitResult] = {}
    out: list[str] = []
    err: list[str] = []
    for kind, text in lines:
        key, _, rest = text.partition(" ")
        match kind:
            case "id":
                outcomes[key] = SubmitResult(SubmitOutcome.KNOWN, job_id=rest)
            case "double":
                known = outcomes[key]
                outcomes[key] = replace(known, others=(*known.others, rest))
            case "busy" | "absent" | "unreadable":
                outcomes[key] = SubmitResult(SubmitOutcome(kind), why=rest)
            case "out":
                out.append(text)
            case "err":
                err.append(text)
            case "failed":
                code = int(rest) if rest.isdecimal() else None
                outcomes[key] = slurm.read_submission(code, "\n".join(out), "\n".join(err))
                out, err = [], []
    return outcomes
