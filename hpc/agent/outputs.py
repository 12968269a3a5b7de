"""Sends the files that results listed as outputs, each by its content, once its result counts."""

import logging
from functools import partial
from typing import Any, Dict

from hpc.agent.background import BackgroundCalls
from hpc.agent.files import UnsafeName
from hpc.agent.folders import SiteFolders
from hpc.agent.held import HeldMember
from hpc.agent.journal import Journal
from hpc.agent.pauses import GrowingPause
from hpc.agent.server import NotTaken, ServerLink, TryLater

PREFIX = "output "

log = logging.getLogger(__name__)


class OutputSender:
    """Sends outputs beside the agent's turns, one file after another of each attempt."""

    def __init__(
        self, link: ServerLink, folders: SiteFolders, journal: Journal, calls: BackgroundCalls
    ) -> None:
        self.link, self.folders, self.journal, self.calls = link, folders, journal, calls
        self.pause = GrowingPause()

    def turn(self) -> None:
        """Note what was sent, and begin more. Raises what sending raised, JournalError."""
        self._take_in()
        while self.pause.is_due and self._begin():
            if not self.calls.inline:
                return
            self._take_in()

    def _begin(self) -> bool:
        """Begin to send the next file of each attempt; whether there was room for any."""
        begun = False
        for member in list(self.journal.held.members()):
            for output in member.outputs[:1]:
                name = f"{PREFIX}{member.attempt} {output['sha256']}"
                begun |= self.calls.begin(name, partial(self._send, member, output))
        return begun

    def _take_in(self) -> None:
        for call in self.calls.finished(PREFIX):
            if isinstance(call.error, TryLater):
                self.pause.fail(call.error.after_s)
            elif call.error is not None:
                raise call.error
            else:
                attempt, sha256 = call.name[len(PREFIX) :].split(" ")
                self.journal.append("sent", attempt=int(attempt), sha256=sha256)
                self.pause.succeed()

    def _send(self, member: HeldMember, output: Dict[str, Any]) -> None:
        """Send one file, or say that it is not there any more. Raises ShutOut, TryLater."""
        where = "outputs/{}/{}".format(member.attempt, output["sha256"])
        try:
            path = self.folders.asset(member.guid, output["path"])
            if path.stat().st_size != output["size_bytes"]:
                raise NotTaken(422, "it has another size by now")
            with path.open("rb") as source:
                self.link.put(where, source, output["size_bytes"])
        except NotTaken as no:
            if no.status != 409:  # 409: nobody waits for it
                self._say_missing(member, output, str(no))
        except (OSError, UnsafeName) as trouble:
            self._say_missing(member, output, str(trouble))

    def _say_missing(self, member: HeldMember, output: Dict[str, Any], words: str) -> None:
        why = "{}: {}".format(output["path"], words)
        log.warning("attempt %d: an output cannot be sent: %s", member.attempt, why)
        message = {
            "path": f"/attempts/{member.attempt}/missing",
            "fence": member.fence,
            "body": {"why": why},
        }
        try:
            self.link.post("messages", {"messages": [message]}, "outcomes")
        except NotTaken as no:
            log.warning("attempt %d: %s", member.attempt, no)
