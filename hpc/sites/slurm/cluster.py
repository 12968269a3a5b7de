"""Runs commands on a Slurm cluster's login node.

Their text comes from `hpc.scheduler`, the connection from `hpc.transport`, and the answers are
read by `hpc.sites.slurm.answers`. Nothing here decides anything.
"""

import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpc.remote import new_mark, read_lines, run_script
from hpc.runner.tail import TAIL_BYTES
from hpc.scheduler import slurm
from hpc.scheduler.bounds import ASK, ASK_QOS, Allowed, read_bounds
from hpc.scheduler.slurm import SubmitResult
from hpc.sites.retrieval import MIN_BYTES_S, RemoteSource
from hpc.sites.shipping import Parcel, pack
from hpc.sites.slurm.answers import (
    Hello,
    Lines,
    PollResult,
    ProgramAnswer,
    SiteTrouble,
    by_attempt,
    failure,
    program_answer,
    raise_trouble,
    read_hello,
    read_outcomes,
    read_poll,
    read_printed,
    texts,
)
from hpc.transport.channel import Stdin
from hpc.transport.ssh import SshLink

LONG_DEADLINE_S = 300.0
MAX_RESULTS = 300
"""Result files read in one poll; the next one takes the rest."""

MAX_SENT = 200
"""Batches in one command: each is an `sbatch`, and all of them share the command's deadline."""


@dataclass
class Cluster:
    """One cluster, at the end of a link."""

    wire: SshLink
    root: str
    prelude: str = ""
    clock: Callable[[], float] = time.time

    @property
    def outputs(self) -> RemoteSource:
        """The assets' folders over there."""
        return RemoteSource(self.wire, self.root, self.prelude)

    async def hello(self, runner: str) -> Hello:
        """Make the site's folders and see what it is like. Raises WireError, TruncatedAnswer."""
        words = (self.root, runner, "scontrol show config", "sacct -n -X -S now -o JobID")
        began = self.clock()
        lines = await self._say("hello", *words)
        return read_hello(lines, runner, began, self.clock())

    async def allowed(self, *, accounting: bool) -> Allowed:
        """What its partitions let one job ask for. Raises WireError, TruncatedAnswer."""
        line = f"{ASK}; {ASK_QOS}" if accounting else ASK
        return read_bounds((await self.ask(["sh", "-c", line]))[1])

    async def send(
        self,
        parcels: Sequence[Parcel],
        *,
        again: Collection[str] = (),
        runner: Path | None = None,
        accounting: bool = False,
    ) -> dict[str, SubmitResult]:
        """Ship batches and submit each once, as many in one tar as one command can name; what
        became of each, by key. Without any batch the runner goes alone.

        `again` are keys of which it is proven that no job exists. Raises WireError,
        TruncatedAnswer, and SiteTrouble when nothing was submitted; trouble later on leaves the
        rest out.
        """
        outcomes: dict[str, SubmitResult] = {}
        for first in range(0, max(1, len(parcels)), MAX_SENT):
            some = parcels[first : first + MAX_SENT]
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
    ) -> dict[str, SubmitResult]:
        words = [self.root]
        for each in parcels:
            words += [
                each.key,
                "again" if each.key in again else "first",
                shlex.join(slurm.sbatch_command(each.key)),
                shlex.join(slurm.squeue_by_key_command(each.key)),
                shlex.join(slurm.sacct_by_key_command(each.key)) if accounting else "",
            ]
        content = pack(parcels, runner)
        lines = await self._say("send", *words, stdin=content, deadline_s=LONG_DEADLINE_S)
        outcomes = read_outcomes(lines)
        if not outcomes:
            raise_trouble(lines)
        return outcomes

    async def poll(
        self,
        keys: Sequence[str],
        *,
        queue: bool = True,
        history: str | None = None,
        starts: bool = False,
        known: Collection[str] = (),
    ) -> PollResult:
        """Poll every job of these keys. Raises WireError, TruncatedAnswer.

        `known` are results, by `<key>/<name>`, that are not to be read again.
        `history`: None asks for no ends, `disk` for those that jobs left on the disk,
        `accounting` for those that accounting knows as well.
        """
        question = shlex.join(slurm.squeue_command(keys)) if queue else ""
        back = {None: "", "disk": "none"}.get(history)
        if back is None:
            back = shlex.join(slurm.sacct_command(keys))
        lines = await self._say(
            "watch",
            *(self.root, question, back, str(MAX_RESULTS), "starts" if starts else ""),
            stdin=_rows([*keys, *known]),
        )
        return read_poll(lines, keys, queue=queue)

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
        raise_trouble(lines)
        return frozenset(by_attempt(lines, "taken")), by_attempt(lines, "started")

    async def printed(self, lines: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """The end of what these lines of batches printed, by key and line; of one whose work never
        began nothing is known. Raises WireError, TruncatedAnswer, SiteTrouble."""
        rows = _rows(f"{key} {line}" for key, line in lines)
        answer = await self._say("printed", self.root, str(TAIL_BYTES), stdin=rows)
        raise_trouble(answer)
        return read_printed(answer)

    async def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """The sizes in bytes of those files that are there, named `<guid>/<file>`."""
        lines = await self._say("sizes", self.root, stdin=_rows(names))
        found = (text.partition(" ") for text in texts(lines, "size"))
        return {name: int(size) for size, _, name in found}

    async def place(self, packed: Stdin, size: int) -> None:
        """Put a tar's files, `size` bytes in all, into their assets' folders.

        Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        deadline = LONG_DEADLINE_S + size / MIN_BYTES_S
        raise_trouble(await self._say("place", self.root, stdin=packed, deadline_s=deadline))

    async def place_wheels(self, packed: Stdin, deadline_s: float) -> None:
        """Unpack a tar of wheels into the site's folder.

        Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        raise_trouble(await self._say("wheels", self.root, stdin=packed, deadline_s=deadline_s))

    async def cancel(self, jobs: Mapping[str, Collection[str]]) -> str:
        """End jobs, given by their names; that they ended is seen at a later poll.

        Only what the queue shows under its name is ended: an id alone may be another's, since a
        controller that lost its state counts from the beginning again. (`scancel --name` with
        some tasks of an array that waits would end them all.) What squeue printed instead of its
        answer, else nothing. Raises WireError, TruncatedAnswer.
        """
        answer = await self.ask(slurm.squeue_command(jobs))
        shown = slurm.read_queue(*answer, jobs)
        if shown is None:
            return failure(answer)
        if alive := slurm.shown_alive(shown, jobs):
            await self.run(slurm.scancel_command(alive))
        return ""

    async def tidy(self, open_keys: Iterable[str], days: int) -> list[str]:
        """Remove what ended batches left; the folders removed."""
        lines = await self._say("tidy", self.root, str(days), stdin=_rows(open_keys))
        return texts(lines, "removed")

    async def old_scratch(self, days: int) -> list[str]:
        """The folders of assets that were left alone for so many days."""
        return texts(await self._say("scratch", self.root, str(days)), "old")

    async def remove(self, guids: Iterable[str]) -> list[str]:
        """Remove the folders of assets; those that are gone."""
        lines = await self._say("remove", self.root, stdin=_rows(guids), deadline_s=LONG_DEADLINE_S)
        return texts(lines, "gone")

    async def ask(self, words: Sequence[str], deadline_s: float = 60.0) -> ProgramAnswer:
        """Run one command over there. Raises WireError, TruncatedAnswer."""
        return program_answer(
            await self._say("run", shlex.join(words), deadline_s=deadline_s), "line"
        )

    async def run(self, words: Sequence[str], deadline_s: float = 60.0) -> tuple[int, str, str]:
        """The same, with its output as one text."""
        code, output, complaint = await self.ask(words, deadline_s)
        return code, "\n".join(output), complaint

    async def script(self, key: str, folder: str, words: Sequence[str]) -> tuple[str, str]:
        """Run a script of the site's own, once per key: (exit code, what it printed).

        Instead of a code `busy` while it runs, `unknown` when it was begun and its end is
        nowhere to be seen. Raises WireError, TruncatedAnswer, SiteTrouble.
        """
        lines = await self._say(
            "script", self.root, key, folder, shlex.join(words), deadline_s=LONG_DEADLINE_S
        )
        raise_trouble(lines)
        output = "\n".join(text for kind, text in lines if kind in ("err", "out"))
        if codes := texts(lines, "code"):
            return codes[0], output
        return lines[0][0] if lines else "unknown", output

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


def _rows(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
