"""Asks the server for work, in a way that neither a kill nor a lost answer loses any of it.

What is asked for is in the journal before the request goes out. Until its answer is there as
well, with the folder of every batch before it, the very same is asked again.
"""

import hashlib
import logging
import os
import uuid
from functools import partial
from typing import Any, Callable, Dict, List

from hpc.agent.background import BackgroundCalls
from hpc.agent.contact import Contact
from hpc.agent.folders import BadBatch, SiteFolders
from hpc.agent.journal import Journal
from hpc.agent.launching import runner_path
from hpc.agent.pauses import GrowingPause
from hpc.agent.server import NotTaken, ServerLink, TryLater

WAIT_S = 25
"""Seconds that the server may keep a request open until there is work."""
CALL = "claim"

log = logging.getLogger(__name__)


class Claimer:
    """Asks for work beside the agent's turns; `wait_s` is how long the server may wait."""

    def __init__(
        self,
        link: ServerLink,
        folders: SiteFolders,
        journal: Journal,
        calls: BackgroundCalls,
        contact: Contact,
        wait_s: int = WAIT_S,
    ) -> None:
        self.link, self.folders, self.journal, self.calls = link, folders, journal, calls
        self.contact, self.wait_s = contact, wait_s
        self.pause = GrowingPause()

    def turn(self, count_free: Callable[[], Dict[str, int]]) -> None:
        """Take in what was given, and ask for more, as far as units are free then.

        Raises ShutOut, OSError, JournalError.
        """
        self._take_in()
        if self.calls.has(CALL) or not self.pause.is_due:
            return
        if self.journal.held.claim is None:
            free = count_free()
            if not any(free.values()):
                return
            self.journal.append("claim", request_id=uuid.uuid4().hex, free=free)
        claim = self.journal.held.claim
        assert claim is not None
        body = {
            "request_id": claim["request_id"],
            "free": claim["free"],
            "wait_s": self.wait_s,
        }
        self.calls.begin(CALL, partial(self._ask, body))
        self._take_in()

    def _take_in(self) -> None:
        for call in self.calls.finished(CALL):
            if isinstance(call.error, TryLater):
                self.pause.fail(call.error.after_s)
            elif isinstance(call.error, NotTaken):
                log.warning("the server does not take the request for work: %s", call.error)
                self.journal.append("claimed", batches=[])
                self.pause.fail()
            elif call.error is not None:
                raise call.error
            else:
                self._keep(call.value)

    def _keep(self, answer: Dict[str, Any]) -> None:
        """Write what was given to the disk, the journal last."""
        facts = []
        for given in answer.get("batches") or []:
            try:
                facts.append(self.folders.write_batch(given))
            except BadBatch as error:
                log.error("%s", error)
        self.journal.append("claimed", batches=facts)
        self.contact.take_no_more(str(answer.get("order")))
        self.pause.succeed(float(answer.get("again_s") or 0.0))
        for batch in facts:
            log.info(
                "batch %s: %d of stage %s", batch["key"], len(batch["members"]), batch["stage"]
            )

    def _ask(self, body: Dict[str, Any]) -> Dict[str, Any]:
        """Ask once; the runner of what is given is here before the answer counts."""
        answer = self.link.post(CALL, body, "batches")
        batches: List[Dict[str, Any]] = answer.get("batches") or []
        if not all(isinstance(given, dict) for given in batches):
            raise TryLater("batches that are none")
        for digest in sorted({str(given.get("runner")) for given in batches}):
            fetch_runner(self.link, self.folders, digest)
        return answer


def fetch_runner(link: ServerLink, folders: SiteFolders, digest: str) -> None:
    """Have a runner here, whole and proven by its SHA-256. Raises ShutOut, TryLater, OSError."""
    path = runner_path(folders, digest)
    if path.exists():
        return
    partial_file = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial_file.open("wb") as out:
            link.fetch(f"runner/{digest}", out)
            out.flush()
            os.fsync(out.fileno())
        if hashlib.sha256(partial_file.read_bytes()).hexdigest() != digest:
            raise TryLater(f"what came for runner {digest} is another file")
        partial_file.chmod(0o755)
        os.replace(str(partial_file), str(path))
    finally:
        if partial_file.exists():
            partial_file.unlink()
