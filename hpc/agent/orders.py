"""Heeds what the server answers a heartbeat: stop this, forget that, take another token."""

import logging
from pathlib import Path
from typing import Any, Dict, Set

from hpc.agent.config import draw_token, read_token, write_token
from hpc.agent.contact import Contact
from hpc.agent.files import remove_file
from hpc.agent.folders import SiteFolders
from hpc.agent.held import HeldBatch, HeldMember
from hpc.agent.journal import Journal
from hpc.agent.server import NotTaken, ServerLink, TryLater
from hpc.agent.spool import read_result

log = logging.getLogger(__name__)


class Orders:
    """Heeds orders for one agent. `removable` are batches whose folders nobody wants any more."""

    def __init__(
        self,
        home: Path,
        link: ServerLink,
        folders: SiteFolders,
        journal: Journal,
        contact: Contact,
    ) -> None:
        self.home, self.link, self.folders = home, link, folders
        self.journal, self.contact = journal, contact
        self.removable: Set[str] = set()

    def heed(self, news: Dict[str, Any]) -> None:
        """Note what a heartbeat was answered. Raises ShutOut, OSError, JournalError."""
        before = self.contact.order
        self.contact.take_in(news)
        if self.contact.order != before:
            log.info("the order is now '%s'", self.contact.order)
        for attempt, word in (news.get("attempts") or {}).items():
            self._heed_attempt(int(attempt), str(word))
        for key, word in (news.get("batches") or {}).items():
            if word == "remove" and key in self.journal.held.batches:
                self.removable.add(key)
        if news.get("rotate"):
            self.rotate()

    def _heed_attempt(self, attempt: int, word: str) -> None:
        batch, member = self.journal.held.find_both(attempt)
        if batch is None or member is None or not member.open:
            return
        if word == "cancel" and not member.stop:
            self.journal.append("stop", attempt=attempt, why="cancelled")
        # A result may have been taken and the answer lost: it is sent, and 409 says otherwise.
        elif word == "lost" and not self._has_last_word(batch, member):
            if batch.granted:  # a job that reports itself is over in the usual way
                log.info("attempt %d is not this agent's any more", attempt)
            self.journal.append("lost", attempt=attempt)

    def _has_last_word(self, batch: HeldBatch, member: HeldMember) -> bool:
        """Whether a result lies there that can be sent as it is."""
        result = read_result(self.folders.of(batch.key), member)
        return result is not None and not result["body"].get("carry")

    def remove(self) -> None:
        """Remove the folders of batches that are over and not wanted; stop those that are not."""
        for key in sorted(self.removable):
            batch = self.journal.held.batches.get(key)
            if batch is None:
                self.removable.discard(key)
                continue
            for member in batch.open:
                if not self._has_last_word(batch, member):
                    self.journal.append("lost", attempt=member.attempt)
            if batch.open:
                continue
            if batch.state in ("claimed", "over"):
                self.folders.forget(key, _went_well(batch))
                self.journal.append("removed", key=key)
                self.removable.discard(key)

    def rotate(self) -> None:
        """Give the server a new token, then use it; both are on the disk before it is sent.

        One that was given and never used is given again. Raises ShutOut, OSError.
        """
        number = self.link.bearer.partition(".")[0]
        new = read_token(self.home, "token.new") or f"{number}.{draw_token()}"
        write_token(self.home, new, "token.new")
        try:
            self.link.post("token", {"token": new.partition(".")[2]}, "agent")
        except (TryLater, NotTaken) as trouble:
            log.warning("the token is not changed yet: %s", trouble)
            return
        write_token(self.home, new)
        self.link.bearer = new
        remove_file(self.home / "token.new")
        log.info("the token is changed")


def _went_well(batch: HeldBatch) -> bool:
    return not any((member.lost and batch.granted) or member.end for member in batch.members)
