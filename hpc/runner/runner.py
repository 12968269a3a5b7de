"""One line of a batch after another: ask for the grant, run the module, deliver the outcome.

The server decides who runs: without a grant nothing is touched. Once granted, an outcome is
always left behind: called back, or in `results/` for the site's driver. Of a run that was
interrupted there is none but the exit code.
"""

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpc.runner.batch import Line, keep_for_driver
from hpc.runner.client import Callbacks, Patience, Share
from hpc.runner.errors import NotGranted, Refused, Unreachable
from hpc.runner.grant import ArsToken, ars_token, job_of
from hpc.runner.job import Files
from hpc.runner.outputs import listed
from hpc.runner.registry import load_prepared
from hpc.runner.signals import Signals
from hpc.runner.spool import Spool
from hpc.runner.verdict import Verdict

LOG = logging.getLogger("hpc.runner")
RESULT_NOT_TAKEN = frozenset({400, 413, 422})
"""Answers to `complete` that mean the result itself is wrong: the job then fails, visibly."""
TOKEN_NOT_TAKEN = frozenset({401, 403})


@dataclass(frozen=True)
class Runner:
    """Runs lines of the batch in `folder` as the native job `native_id`."""

    folder: Path
    native_id: str
    patience_s: float = 300.0
    threads: int = 1
    signals: Signals = field(default_factory=Signals)

    def run(self, lines: list[Line]) -> int:
        """Run `lines`; the exit code, of which the gravest wins (see --help)."""
        code = 0
        for line in lines:
            with self._log(line):
                code = max(code, self._run_line(line))
            if self.signals.ended:
                return 128 + self.signals.ended
        return code

    def _run_line(self, line: Line) -> int:
        callbacks = self._callbacks(line)
        nonce = uuid.uuid4().hex
        try:
            grant = callbacks.start(nonce)
        except NotGranted as no:
            LOG.info("%r: not granted, nothing touched: %s", line, no)
            return 0
        except Unreachable as silence:
            LOG.error("%r: %s", line, silence)
            return os.EX_TEMPFAIL
        except Refused as no:
            LOG.error("%r: the server refuses the start: %s", line, no)
            return os.EX_NOPERM
        LOG.info("%r: granted to %s", line, self.native_id)
        outcome = self._outcome(line, grant, callbacks)
        if outcome is None:
            return 0  # `run` tells the signal by its exit code
        verb, body = outcome
        who = {"native_id": self.native_id, "nonce": nonce}
        return self._deliver(line, callbacks, verb, {**who, **body})

    def _callbacks(self, line: Line) -> Callbacks | Spool:
        if not line.callback:
            return Spool(self.folder, line, self.native_id)
        return Callbacks(line.callback, line.attempt, line.token, self.native_id, self._patience)

    def _files(self, line: Line, grant: dict[str, Any], callbacks: Callbacks | Spool) -> Files:
        if isinstance(callbacks, Spool):
            return callbacks
        token = ars_token(grant["ars"]) if grant.get("ars") else ArsToken("", 0.0)
        return Share(callbacks, token, line.attempt, self._patience)

    def _outcome(
        self, line: Line, grant: dict[str, Any], callbacks: Callbacks | Spool
    ) -> tuple[str, dict[str, Any]] | None:
        """Run the module; the verb and the body that tell what became of it.

        None when a signal ended it: whether that was the time limit, somebody's cancel or
        another job's right of way is known to the scheduler alone, whom the driver asks.
        """
        verdict = Verdict()
        with verdict, self.signals.interruptible():
            module = load_prepared(line.module)
            job = job_of(line, grant, self._files(line, grant, callbacks), self.threads)
            verdict.result = module.result(job)
            if job.outputs:
                verdict.result["outputs"] = listed(job.folder, job.outputs)
        if self.signals.ended and verdict.result is None:
            # Also where a library made an error of its own of it: its helpers were stopped too.
            LOG.warning("%r: interrupted by signal %d", line, self.signals.ended)
            return None
        if verdict.failure is None:
            LOG.info("%r: done", line)
            return "complete", {"result": verdict.result}
        LOG.error("%r: %s", line, verdict.failure["message"])
        LOG.debug("%s", verdict.failure["exception"])
        return "fail", verdict.failure

    def _deliver(
        self, line: Line, callbacks: Callbacks | Spool, verb: str, body: dict[str, Any]
    ) -> int:
        """Call back; what cannot be called back is kept. One quick try comes before keeping,
        and keeping before the patient tries, since a kill may come at any moment."""
        try:
            try:
                self._tell(line, callbacks, verb, body)
            except Unreachable as silence:
                LOG.error("%r: %s; the outcome waits in results/", line, silence)
            except Refused as no:
                return self._refused(line, callbacks, verb, body, no)
        except OSError as trouble:
            LOG.critical("%r: the outcome can neither be sent nor kept: %s", line, trouble)
            return os.EX_IOERR
        return 0

    def _tell(
        self, line: Line, callbacks: Callbacks | Spool, verb: str, body: dict[str, Any]
    ) -> None:
        if self.signals.ended:
            self._keep(line, callbacks, verb, body)
        try:
            callbacks.post(verb, body, Patience(0))
        except Unreachable as silence:
            LOG.warning("%r: %s", line, silence)
            self._keep(line, callbacks, verb, body)
            callbacks.post(verb, body)
        if line.callback:
            self._forget(line)

    def _refused(
        self,
        line: Line,
        callbacks: Callbacks | Spool,
        verb: str,
        body: dict[str, Any],
        no: Refused,
    ) -> int:
        """The server said no: an outdated attempt is nobody's business; a bad result fails.

        What is said to our token alone is no word about the result: the driver, which needs
        none, decides. Raises OSError.
        """
        LOG.error("%r: the server refuses %s: %s", line, verb, no)
        if no.status in TOKEN_NOT_TAKEN:
            self._keep(line, callbacks, verb, body)
            return 0
        if verb != "complete" or no.status not in RESULT_NOT_TAKEN:
            self._forget(line)
            return 0
        failure = {
            "native_id": body["native_id"],
            "nonce": body["nonce"],
            "fail_status": "ERROR",
            "message": f"the server does not take the result of module {line.module}: {no}",
            "exception": "Refused",
            "exit_code": None,
            "usage": body["result"]["usage"],
        }
        return self._deliver(line, callbacks, "fail", failure)

    def _keep(
        self, line: Line, callbacks: Callbacks | Spool, verb: str, body: dict[str, Any]
    ) -> None:
        keep_for_driver(self.folder, line.attempt, f"{callbacks.path}/{verb}", body)

    def _forget(self, line: Line) -> None:
        (self.folder / "results" / f"{line.attempt}.json").unlink(missing_ok=True)

    def _patience(self) -> Patience:
        return Patience(self.patience_s, self.signals.hurry)

    @contextmanager
    def _log(self, line: Line) -> Iterator[None]:
        """What happens to a line is told in `log/<index>.log`."""
        folder = self.folder / "log"
        folder.mkdir(exist_ok=True)
        handler = logging.FileHandler(folder / f"{line.index}.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOG.addHandler(handler)
        try:
            yield
        finally:
            LOG.removeHandler(handler)
            handler.close()
