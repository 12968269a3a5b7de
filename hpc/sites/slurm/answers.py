"""Reads the answers of the scripts in `hpc/remote`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hpc.runner.tail import tail_of
from hpc.scheduler import slurm
from hpc.scheduler.refusals import SubmitOutcome, answered, is_silence
from hpc.scheduler.slurm import SubmitResult

Lines = list[tuple[str, str]]
ProgramAnswer = tuple[int, list[str], str]
"""A program's exit code, output and complaints."""


SLURM = ("sbatch", "scancel", "squeue")
TOOLS = ("awk", "find", "gzip", "sed", "tar")
"""Programs that our scripts need on a login node, beyond coreutils, which come together."""


class SiteTrouble(Exception):
    """The site's own fault, in its own words: a full disk, a folder that cannot be written."""


@dataclass(frozen=True)
class Hello:
    """What a site is like; times in seconds, space in MB of 10^6 bytes.

    `answers`: its controller does; `silence` is what scontrol printed when it surely does not.
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
    """What one poll shows: the queue (None: no information), accounting, and the disk.

    `ended` are exit codes by key and native id; `results` files by `<key>/<name>`,
    `starts` what jobs without a network wrote when they won theirs, by attempt. `silence`
    is what squeue printed instead of the queue.
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
    values = dict(lines)
    code, config, complaint = program_answer(lines, "config")
    history = program_answer(lines, "history")
    clock = values.get("clock", "")
    space = values.get("free_kb", "")
    return Hello(
        user=values.get("user", ""),
        clock_skew_s=(float(clock) if clock.isdecimal() else began) - (began + ended) / 2,
        free_mb=int(space) * 1024 // 1_000_000 if space.isdecimal() else None,
        has_runner=values.get("runner") == runner,
        tools=frozenset(texts(lines, "tool")),
        limits=slurm.read_limits(config),
        answers=answered(code, complaint),
        accounting=answered(history[0], history[2]),
        troubles=tuple(texts(lines, "trouble")),
        silence=complaint.strip() if code != 0 and is_silence(complaint) else "",
    )


def read_poll(lines: Lines, keys: Sequence[str], *, queue: bool) -> PollResult:
    """What `watch.sh` shows of the batches of these keys; `queue`: it was asked as well."""
    ended: dict[str, dict[str, int]] = {}
    for key, native, code in (text.split(" ") for text in texts(lines, "ended")):
        ended.setdefault(key, {})[native] = int(code) if code.isdecimal() else 1
    found = (text.partition(" ") for text in texts(lines, "result"))
    shown = program_answer(lines, "queue")
    return PollResult(
        queue=slurm.read_queue(*shown, keys) if queue else None,
        history=slurm.read_accounting(*program_answer(lines, "history"), keys),
        ended=ended,
        results={name: text for name, _, text in found},
        starts=by_attempt(lines, "started"),
        more=any(kind == "more" for kind, _ in lines),
        silence=failure(shown) if queue else "",
    )


def read_printed(lines: Lines) -> dict[tuple[str, int], str]:
    """What `printed.sh` shows, by key and line of the batch."""
    found: dict[tuple[str, int], list[str]] = {}
    for key, line, text in (text.split(" ", 2) for text in texts(lines, "printed")):
        found.setdefault((key, int(line)), []).append(text)
    return {each: tail_of("\n".join(printed).encode()) for each, printed in found.items()}


def by_attempt(lines: Lines, kind: str) -> dict[int, str]:
    """Lines of a kind that begin with an attempt's number: the rest of each by it."""
    found = (text.partition(" ") for text in texts(lines, kind))
    return {int(number): rest for number, _, rest in found if number.isdecimal()}


def texts(lines: Lines, kind: str) -> list[str]:
    """The lines of a kind."""
    return [text for each, text in lines if each == kind]


def raise_trouble(lines: Lines) -> None:
    """Raise SiteTrouble when a script reported any."""
    if troubles := texts(lines, "trouble"):
        raise SiteTrouble("; ".join(troubles))


def program_answer(lines: Lines, kind: str) -> ProgramAnswer:
    """What a program answered that a script ran; code 1 when there is no trace."""
    output, complaint = texts(lines, kind), "\n".join(texts(lines, f"{kind}-complaint"))
    code = output.pop() if output and output[-1].startswith("@") else "@1"
    return int(code[1:]) if code[1:].isdecimal() else 1, output, complaint


def failure(answer: ProgramAnswer) -> str:
    """What a program printed that failed, or whose controller did not answer; else nothing."""
    code, _, complaint = answer
    return "" if answered(code, complaint) else complaint.strip() or f"it ended with code {code}"


def read_outcomes(lines: Lines) -> dict[str, SubmitResult]:
    """What `send.sh` says became of each batch, by key."""
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
