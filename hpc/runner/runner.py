"""One line of a batch after another: ask for the grant, run what it names, deliver the outcome.

The server decides who runs: without a grant nothing is touched. Once granted, an outcome is
always left behind: called back, or in `results/` for the site's driver or agent. Of a run that
was interrupted there is none but the exit code.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from hpc.runner.batch import ManifestLine, keep_for_driver
from hpc.runner.deadline import Deadline
from hpc.runner.errors import NotGranted, Refused, Unreachable
from hpc.runner.files import listed
from hpc.runner.grant import ArsToken, ars_token, job_of
from hpc.runner.job import FileTransfer, Job, Result
from hpc.runner.log import LineLog, line_log
from hpc.runner.outcome import RunOutcome, UsageMeter, failure_of
from hpc.runner.printed import printed_to
from hpc.runner.registry import load_prepared
from hpc.runner.signals import Signals
from hpc.runner.spool import GRANTS, Spool
from hpc.runner.tail import output_of, read_tail

if TYPE_CHECKING:
    from hpc.runner.client import AttemptClient
    from hpc.runner.descendants import Descendants

RESULT_NOT_TAKEN = frozenset({400, 413, 422})
"""Answers to `complete` that mean the result itself is wrong: the job then fails, visibly."""
TOKEN_NOT_TAKEN = frozenset({401, 403})
Server = Union["AttemptClient", Spool]
"""Who grants a start and takes an outcome: our server itself, or on its behalf who brought the
grants along with the batch."""


class Runner:
    """Runs lines of the batch in `folder` as the native job `native_id`."""

    def __init__(
        self,
        folder: Path,
        native_id: str,
        patience_s: float = 300.0,
        threads: int = 1,
        signals: Signals | None = None,
    ) -> None:
        self.folder, self.native_id = folder, native_id
        self.patience_s, self.threads = patience_s, threads
        self.signals = signals or Signals()
        self._log: LineLog  # of the line that is run

    def run(self, lines: list[ManifestLine]) -> int:
        """Run `lines`; the exit code, of which the gravest wins (see --help)."""
        code = 0
        for line in lines:
            with line_log(self.folder / "log", line) as self._log:
                code = max(code, self._run_line(line))
            if self.signals.ended:
                return 128 + self.signals.ended
        return code

    def _run_line(self, line: ManifestLine) -> int:
        server = self._server(line)
        nonce = os.urandom(16).hex()
        try:
            grant = server.start(nonce)
        except NotGranted as no:
            self._log.write("INFO", f"not granted, nothing touched: {no}")
            return 0
        except Unreachable as error:
            self._log.write("ERROR", str(error))
            return os.EX_TEMPFAIL
        except Refused as no:
            self._log.write("ERROR", f"the server refuses the start: {no}")
            return os.EX_NOPERM
        self._log.write("INFO", f"granted to {self.native_id}")
        outcome = self._outcome(line, grant, server)
        if outcome is None:
            return 0  # the exit code of `run` names the signal
        verb, body = outcome
        who = {"native_id": self.native_id, "nonce": nonce}
        return self._deliver(line, server, verb, {**who, **body})

    def _server(self, line: ManifestLine) -> Server:
        if not line.callback or (self.folder / GRANTS).exists():
            return Spool(self.folder, line, self.native_id)
        return self._client(line)

    def _client(self, line: ManifestLine) -> "AttemptClient":
        from hpc.runner.client import AttemptClient

        return AttemptClient(
            line.callback, line.attempt, line.token, self.native_id, self._deadline
        )

    def _files(self, line: ManifestLine, grant: dict[str, Any], server: Server) -> FileTransfer:
        if isinstance(server, Spool) and not line.callback:
            return server
        from hpc.runner.share import ArchiveShare

        token = ars_token(grant["ars"]) if grant.get("ars") else ArsToken("", 0.0)
        if isinstance(server, Spool):
            return ArchiveShare(self._client(line), token, server.show)
        return ArchiveShare(server, token, server.show)

    def _outcome(
        self, line: ManifestLine, grant: dict[str, Any], server: Server
    ) -> tuple[str, dict[str, Any]] | None:
        """Run the module or the command; the verb and the body that report what became of it.

        None when a signal ended it: whether that was the time limit, somebody's cancel or
        another job's right of way is known to the scheduler alone, whom the driver asks.
        """
        outcome, log = RunOutcome(), output_of(self.folder, line.position)
        started = _started_from_now() if line.runs_command else None
        own = nullcontext() if line.runs_command else printed_to(log)
        with own, outcome, self.signals.interruptible():
            run = self._prepared(line, outcome.usage, started)
            job = job_of(line, grant, self._files(line, grant, server), self.threads)
            outcome.result = run(job)
            if job.outputs:
                outcome.result["outputs"] = listed(job.folder, job.output_patterns)
        if started is not None:
            # No signal interrupts here, so nothing stays behind wherever the last one struck.
            started.end()
        if self.signals.ended and outcome.result is None:
            # Also where a library made an error of its own of it: its helpers were stopped too.
            self._log.write("WARNING", f"interrupted by signal {self.signals.ended}")
            return None
        printed = read_tail(log) or ""
        if outcome.failure is None:
            self._log.write("INFO", "done")
            return "complete", {"result": {**(outcome.result or {}), "printed": printed}}
        self._log.write("ERROR", outcome.failure["message"])
        self._log.write("DEBUG", outcome.failure["exception"])
        return "fail", {**outcome.failure, "printed": printed}

    def _prepared(
        self, line: ManifestLine, meter: UsageMeter, started: "Descendants | None"
    ) -> Callable[[Job], Result]:
        """What runs the job: its module, or a command, which `started` names when it has begun.

        Raises BadInput, NotPrepared.
        """
        if started is None:
            return load_prepared(line.module).result
        from hpc.runner.command import run_command

        log = output_of(self.folder, line.position)
        return partial(run_command, log=log, meter=meter, started=started)

    def _deliver(self, line: ManifestLine, server: Server, verb: str, body: dict[str, Any]) -> int:
        """Call back; what cannot be called back is kept. One quick try comes before keeping,
        and keeping before the further tries, since a kill may come at any moment."""
        try:
            try:
                self._send(line, server, verb, body)
            except Unreachable as error:
                self._log.write("ERROR", f"{error}; the outcome waits in results/")
            except Refused as no:
                return self._refused(line, server, verb, body, no)
        except OSError as trouble:
            why = f"the outcome can neither be sent nor kept: {trouble}"
            self._log.write("CRITICAL", why)
            return os.EX_IOERR
        return 0

    def _send(self, line: ManifestLine, server: Server, verb: str, body: dict[str, Any]) -> None:
        if self.signals.ended:
            self._keep(line, server, verb, body)
        try:
            server.post(verb, body, Deadline(0))
        except Unreachable as error:
            self._log.write("WARNING", str(error))
            self._keep(line, server, verb, body)
            server.post(verb, body)
        if not isinstance(server, Spool):
            self._forget(line)

    def _refused(
        self, line: ManifestLine, server: Server, verb: str, body: dict[str, Any], no: Refused
    ) -> int:
        """The server refused: an outdated attempt is forgotten; a bad result fails.

        A refusal of our token alone is none of the result: the driver, which needs no token,
        decides. Raises OSError.
        """
        self._log.write("ERROR", f"the server refuses {verb}: {no}")
        if no.status in TOKEN_NOT_TAKEN:
            self._keep(line, server, verb, body)
            return 0
        if verb != "complete" or no.status not in RESULT_NOT_TAKEN:
            self._forget(line)
            return 0
        failure = failure_of(no) | {
            "native_id": body["native_id"],
            "nonce": body["nonce"],
            "message": f"the server does not take the result of module {line.module}: {no}",
            "usage": body["result"]["usage"],
            "printed": body["result"].get("printed", ""),
        }
        return self._deliver(line, server, "fail", failure)

    def _keep(self, line: ManifestLine, server: Server, verb: str, body: dict[str, Any]) -> None:
        keep_for_driver(self.folder, line.attempt, f"{server.path}/{verb}", body)

    def _forget(self, line: ManifestLine) -> None:
        (self.folder / "results" / f"{line.attempt}.json").unlink(missing_ok=True)

    def _deadline(self) -> Deadline:
        return Deadline(self.patience_s, self.signals.hurry)


def _started_from_now() -> "Descendants":
    from hpc.runner.descendants import Descendants  # no module needs it

    return Descendants()
