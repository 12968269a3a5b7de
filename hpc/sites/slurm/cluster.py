"""A cluster that speaks Slurm, at the end of a wire: a command each way, text both ways.

What to say comes from `hpc.scheduler`, how it gets there from `hpc.transport`; what is told
comes back as plain facts. Nothing here decides anything.
"""

import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hpc.remote import new_mark, read_lines, run_script
from hpc.scheduler import slurm
from hpc.scheduler.bounds import ASK, ASK_QOS, Allowed, read_bounds
from hpc.scheduler.refusals import Complaint, answered, is_silence
from hpc.sites.shipping import Parcel, pack
from hpc.transport.base import Stdin, Wire

LONG_DEADLINE_S = 300.0
SLOWEST_BYTES_S = 500_000
MOST_RESULTS = 300
"""Result files read in one look; the next look takes the rest."""

MOST_SENT = 200
"""Batches in one command: each is an `sbatch`, and all of them share the command's deadline."""

Lines = list[tuple[str, str]]


class SiteTrouble(Exception):
    """The site's own fault, in its own words: a full disk, a folder that cannot be written."""


class SubmitOutcome(Enum):
    """What is known of a submission."""

    KNOWN = "known"  # it has an id
    BUSY = "busy"  # an earlier try of ours is still at it over there
    ABSENT = "absent"  # tried before, without an answer, and the queue shows no such job now
    QUEUE_UNREADABLE = "blind"  # tried before, and the queue cannot be asked
    REFUSED = "refused"  # wrong as it is written
    FULL = "full"  # the queue takes no more just now
    FEWER = "fewer"  # nor so many at a time
    ARRAY = "array"  # nor so large an array
    UNWILLING = "unwilling"  # the site's own no; of these four no job exists
    DOUBT = "doubt"  # tried now, and no one knows


FATES = {
    Complaint.PERMANENT: SubmitOutcome.REFUSED,
    Complaint.FULL: SubmitOutcome.FULL,
    Complaint.FEWER: SubmitOutcome.FEWER,
    Complaint.ARRAY: SubmitOutcome.ARRAY,
    Complaint.UNWILLING: SubmitOutcome.UNWILLING,
    Complaint.AMBIGUOUS: SubmitOutcome.DOUBT,
}
"""What each complaint of `sbatch` makes of a submission."""


@dataclass(frozen=True)
class Sent:
    """What became of one batch. `others` are further jobs under its name: duplicates."""

    outcome: SubmitOutcome
    job_id: str = ""
    why: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hello:
    """What a site is like; times in seconds, space in MB of 10^6 bytes.

    `silence` is what it says when its controller does not answer; `answers` is for certain.
    """

    user: str
    clock_skew_s: float
    rtt_s: float
    free_mb: int | None
    has_runner: bool
    tools: frozenset[str]
    limits: slurm.Limits
    answers: bool
    accounting: bool
    troubles: tuple[str, ...] = ()
    silence: str = ""


@dataclass(frozen=True)
class PollResult:
    """One look: the queue (None: no information), what accounting says, what lies on the disk.

    `ended` are exit codes by key and native id; `results` files by `<key>/<name>`,
    `starts` what jobs without a network wrote when they won theirs, by attempt. `silence`
    is what squeue says instead of the queue.
    """

    queue: slurm.Answer | None = None
    history: slurm.Answer | None = None
    ended: dict[str, dict[str, int]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    starts: dict[int, str] = field(default_factory=dict)
    more: bool = False
    silence: str = ""


@dataclass
class Cluster:
    """Asks and tells one cluster. `polls` counts looks at its queue."""

    wire: Wire
    root: str
    prelude: str = ""
    polls: int = 0
    submissions: int = 0
    clock: Callable[[], float] = time.time

    async def hello(self, runner: str) -> Hello:
        """Make the site's folders and see what it is like. Raises WireError, TruncatedAnswer."""
        words = (self.root, runner, "scontrol show config", "sacct -n -X -S now -o JobID")
        began = self.clock()
        lines = await self._say("hello", *words)
        ended = self.clock()
        said = dict(lines)
        code, config, complaint = _asked(lines, "config")
        limits = slurm.read_limits(config)
        history = _asked(lines, "history")
        space = said.get("free_kb", "")
        return Hello(
            user=said.get("user", ""),
            clock_skew_s=_seconds(said.get("clock", ""), began) - (began + ended) / 2,
            rtt_s=ended - began,
            free_mb=int(space) * 1024 // 1_000_000 if space.isdecimal() else None,
            has_runner=said.get("runner") == runner,
            tools=frozenset(text for kind, text in lines if kind == "tool"),
            limits=limits,
            answers=answered(code, complaint),
            accounting=answered(history[0], history[2]),
            troubles=tuple(text for kind, text in lines if kind == "trouble"),
            silence=complaint.strip() if code != 0 and is_silence(complaint) else "",
        )

    async def allowed(self, *, accounting: bool) -> Allowed:
        """What its partitions let one job ask for. Raises WireError, TruncatedAnswer."""
        line = f"{ASK}; {ASK_QOS}" if accounting else ASK
        _, output, _ = await self.run(["sh", "-c", line])
        return read_bounds(output.splitlines())

    async def send(
        self,
        parcels: Sequence[Parcel],
        *,
        again: Collection[str] = (),
        runner: Path | None = None,
        accounting: bool = False,
    ) -> dict[str, Sent]:
        """Ship batches and submit each once, as many in one tar as one command can name; what
        became of each, by key. Without any batch the runner goes alone.

        `again` are keys of which it is proven that no job exists.
        Raises WireError, TruncatedAnswer,
        and SiteTrouble when nothing was submitted; trouble later on leaves the rest untold.
        """
        outcomes: dict[str, Sent] = {}
        for first in range(0, max(1, len(parcels)), MOST_SENT):
            some = parcels[first : first + MOST_SENT]
            try:
                outcomes |= await self._send(some, again, None if first else runner, accounting)
            except SiteTrouble:
                if not outcomes:
                    raise
                break
        return outcomes

    async def _send(
        self,
        parcels: Sequence[Parcel],
        again: Collection[str],
        runner: Path | None,
        accounting: bool,
    ) -> dict[str, Sent]:
        words = [self.root]
        for each in parcels:
            words += [
                each.key,
                "again" if each.key in again else "first",
                shlex.join(slurm.sbatch_command(each.key)),
                shlex.join(slurm.squeue_by_key_command(each.key)),
                shlex.join(slurm.sacct_by_key_command(each.key)) if accounting else "",
            ]
        self.submissions += len(parcels)
        content = pack(parcels, runner)
        lines = await self._say("send", *words, stdin=content, deadline_s=LONG_DEADLINE_S)
        outcomes = _fates(lines)
        troubles = [text for kind, text in lines if kind == "trouble"]
        if troubles and not outcomes:
            raise SiteTrouble("; ".join(troubles))
        return outcomes

    async def look(
        self,
        keys: Sequence[str],
        *,
        queue: bool = True,
        history: str | None = None,
        starts: bool = False,
        known: Collection[str] = (),
    ) -> PollResult:
        """One look at every job of these keys. Raises WireError, TruncatedAnswer.

        `known` are results, by `<key>/<name>`, that are not to be told again.
        `history`: None asks for no ends, `disk` for those that jobs left on the disk,
        `accounting` for those that accounting knows as well.
        """
        asked = shlex.join(slurm.squeue_command(keys)) if queue else ""
        back = {None: "", "disk": "none"}.get(history)
        if back is None:
            back = shlex.join(slurm.sacct_command(keys))
        self.polls += queue
        lines = await self._say(
            "watch",
            *(self.root, asked, back, str(MOST_RESULTS), "starts" if starts else ""),
            stdin=_rows([*keys, *known]),
        )
        ended: dict[str, dict[str, int]] = {}
        for key, native, code in (text.split(" ") for kind, text in lines if kind == "ended"):
            ended.setdefault(key, {})[native] = int(code) if code.isdecimal() else 1
        found = (text.partition(" ") for kind, text in lines if kind == "result")
        shown = _asked(lines, "queue")
        return PollResult(
            queue=slurm.read_queue(*shown, keys) if queue else None,
            history=slurm.read_accounting(*_asked(lines, "history"), keys),
            ended=ended,
            results={name: text for name, _, text in found},
            starts=_numbered(lines, "started"),
            more=any(kind == "more" for kind, _ in lines),
            silence=_silence(shown) if queue else "",
        )

    async def taken(self, names: Iterable[str]) -> None:
        """Set result files aside that were applied."""
        await self._say("taken", self.root, stdin=_rows(names))

    async def take(
        self, attempts: Iterable[tuple[str, int]]
    ) -> tuple[frozenset[int], dict[int, str]]:
        """Take the starts of attempts, by key and id: those that are ours now, and what jobs
        wrote of those that they have. Raises WireError, TruncatedAnswer, SiteTrouble."""
        rows = _rows(f"{key} {attempt}" for key, attempt in attempts)
        lines = await self._say("take", self.root, stdin=rows)
        _complain(lines)
        return frozenset(_numbered(lines, "taken")), _numbered(lines, "started")

    async def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """The sizes in bytes of those files that are there, named `<guid>/<file>`."""
        lines = await self._say("sizes", self.root, stdin=_rows(names))
        found = (text.partition(" ") for kind, text in lines if kind == "size")
        return {name: int(size) for size, _, name in found}

    async def place(self, packed: Stdin, size: int) -> None:
        """Put a tar's files, `size` bytes in all, into their assets' folders.

        Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        deadline = LONG_DEADLINE_S + size / SLOWEST_BYTES_S
        _complain(await self._say("place", self.root, stdin=packed, deadline_s=deadline))

    async def place_wheels(self, packed: Stdin, deadline_s: float) -> None:
        """Unpack a tar of wheels into the site's folder.

        Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        _complain(await self._say("wheels", self.root, stdin=packed, deadline_s=deadline_s))

    async def cancel(self, jobs: Mapping[str, Collection[str]]) -> str:
        """End jobs, given by their names; that they ended is seen at a later look.

        Only what the queue shows under its name is ended: an id alone may be another's, since a
        controller that lost its state counts from the beginning again. (`scancel --name` with
        some tasks of an array that waits would end them all.) What squeue said instead of its
        answer, else nothing. Raises WireError, TruncatedAnswer.
        """
        shown = await self.run(slurm.squeue_command(jobs))
        answer = slurm.read_queue(shown[0], shown[1].splitlines(), shown[2], jobs)
        if answer is None:
            return shown[2].strip() or f"it ended with code {shown[0]}"
        if alive := slurm.shown_alive(answer, jobs):
            await self.run(slurm.scancel_command(alive))
        return ""

    async def tidy(self, open_keys: Iterable[str], days: int) -> list[str]:
        """Remove what ended batches left; the folders removed."""
        lines = await self._say("tidy", self.root, str(days), stdin=_rows(open_keys))
        return [text for kind, text in lines if kind == "removed"]

    async def old_scratch(self, days: int) -> list[str]:
        """The folders of assets that were left alone for so many days."""
        lines = await self._say("scratch", self.root, str(days))
        return [text for kind, text in lines if kind == "old"]

    async def remove(self, guids: Iterable[str]) -> list[str]:
        """Remove the folders of assets; those that are gone."""
        lines = await self._say("remove", self.root, stdin=_rows(guids), deadline_s=LONG_DEADLINE_S)
        return [text for kind, text in lines if kind == "gone"]

    async def run(self, words: Sequence[str], deadline_s: float = 60.0) -> tuple[int, str, str]:
        """One command over there: exit code, output, complaints."""
        lines = await self._say("run", shlex.join(words), deadline_s=deadline_s)
        code, output, complaint = _asked(lines, "line")
        return code, "\n".join(output), complaint

    async def script(self, key: str, folder: str, words: Sequence[str]) -> tuple[str, str]:
        """Run a script of the site's own, once per key: (exit code, what it said).

        Instead of a code `busy` while it runs, `unknown` when it was begun and its end is
        nowhere to be seen. Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        lines = await self._say(
            "script", self.root, key, folder, shlex.join(words), deadline_s=LONG_DEADLINE_S
        )
        said = "\n".join(text for kind, text in lines if kind in ("err", "out"))
        for kind, text in lines:
            if kind == "trouble":
                raise SiteTrouble(text)
            if kind == "code":
                return text, said
        return lines[0][0] if lines else "unknown", said

    async def _say(
        self, script: str, *words: str, stdin: Stdin = b"", deadline_s: float = 60.0
    ) -> Lines:
        mark = new_mark()
        answer = await run_script(
            self.wire,
            script,
            mark,
            *words,
            prelude=self.prelude,
            stdin=stdin,
            deadline_s=deadline_s,
        )
        return read_lines(answer, mark)


def _numbered(lines: Lines, kind: str) -> dict[int, str]:
    """Lines of a kind that begin with an attempt's number: the rest of each by it."""
    found = (text.partition(" ") for each, text in lines if each == kind)
    return {int(number): rest for number, _, rest in found if number.isdecimal()}


def _seconds(said: str, else_: float) -> float:
    return float(said) if said.isdecimal() else else_


def _complain(lines: Lines) -> None:
    troubles = [text for kind, text in lines if kind == "trouble"]
    if troubles:
        raise SiteTrouble("; ".join(troubles))


def _rows(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _asked(lines: Lines, kind: str) -> tuple[int, list[str], str]:
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


def _fates(lines: Lines) -> dict[str, Sent]:
    outcomes: dict[str, Sent] = {}
    out: list[str] = []
    err: list[str] = []
    for kind, text in lines:
        key, _, rest = text.partition(" ")
        match kind:
            case "id":
                outcomes[key] = Sent(SubmitOutcome.KNOWN, job_id=rest)
            case "double":
                known = outcomes[key]
                outcomes[key] = Sent(
                    SubmitOutcome.KNOWN, known.job_id, others=(*known.others, rest)
                )
            case "busy" | "absent" | "blind":
                outcomes[key] = Sent(SubmitOutcome(kind), why=rest)
            case "out":
                out.append(text)
            case "err":
                err.append(text)
            case "failed":
                outcomes[key] = _declined(rest, "\n".join(out), "\n".join(err))
                out, err = [], []
    return outcomes


def _declined(code: str, out: str, err: str) -> Sent:
    exit_code = int(code) if code.isdecimal() else None
    answer = slurm.read_submission(exit_code, out, err)
    if isinstance(answer, slurm.Accepted):
        return Sent(SubmitOutcome.KNOWN, job_id=answer.job_id)
    return Sent(FATES[answer.complaint], why=answer.why)
