"""Files from and to the archive's open shares, for nodes that have no network.

The inputs of a batch are brought before it starts, and what a job made for the archive is sent
there before its result counts.
"""

import logging
import math
import os
import zlib
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Set
from urllib.parse import urlencode, urlsplit

from hpc.agent.background import BackgroundCalls, FinishedCall
from hpc.agent.files import CHUNK, UnsafeName
from hpc.agent.folders import SiteFolders, read_rows, read_tokens
from hpc.agent.held import HeldBatch, HeldMember
from hpc.agent.https import HttpAnswer, NoAnswer, UnsafeAddress
from hpc.agent.journal import Journal
from hpc.agent.pauses import GrowingPause
from hpc.agent.server import ServerLink
from hpc.agent.spool import read_result, result_path, set_aside

INPUTS, CARRY = "inputs ", "carry "
TRIES = 3
"""How often a file is tried before its job goes without it, or fails for the lack of it."""
CHECKSUM_REFUSED = 507

log = logging.getLogger(__name__)


class ShareError(Exception):
    """The archive does not give or take a file now."""


PASSING = (ShareError, OSError, UnsafeName, ValueError, KeyError, TypeError, AttributeError)
"""What may be wrong with a file, its name, or what a grant or a result says of it."""


class ShareFiles:
    """The archive's files, with the token of one attempt, renewed when it is refused."""

    def __init__(self, link: ServerLink, attempt: int, token: str, ars: str) -> None:
        self._link, self._attempt, self._token, self._ars = link, attempt, token, ars

    def fetch(self, file: Dict[str, Any], to: Path) -> None:
        """Put a file at `to`, unless it is there. Raises ShareError, OSError."""
        if _matches(to, file):
            return
        partial_file = to.with_name(f".{to.name}.{self._attempt}.part")
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            answer = self._ask("GET", file["url"], into=partial_file)
            if answer.status != 200 or not _matches(partial_file, file):
                raise ShareError("{}: {}".format(file["name"], answer.words()))
            os.replace(str(partial_file), str(to))
        finally:
            if partial_file.exists():
                partial_file.unlink()

    def send(self, path: Path, url: str, file: Dict[str, Any]) -> None:
        """Put `path` into the share; the same again is harmless. Raises ShareError, OSError."""
        size_mb = max(1, math.ceil(file["size_bytes"] / 1000000))
        query = urlencode({"crc": file["crc32"], "file_size_mb": size_mb})
        whole = "{}{}{}".format(url, "&" if urlsplit(url).query else "?", query)
        answer = self._ask("PUT", whole, source=path, size=file["size_bytes"])
        if not 200 <= answer.status < 300 and not self._holds(url, file):
            raise ShareError("{}: {}".format(file["name"], answer.words()))

    def _holds(self, url: str, file: Dict[str, Any]) -> bool:
        """Whether the share has it: an earlier answer may have been lost."""
        try:
            content = self._ask("GET", url).content
        except ShareError:
            return False
        return (len(content), zlib.crc32(content)) == (file["size_bytes"], file["crc32"])

    def _ask(
        self,
        method: str,
        url: str,
        into: Optional[Path] = None,
        source: Optional[Path] = None,
        size: int = 0,
    ) -> HttpAnswer:
        answer = self._once(method, url, into, source, size)
        if answer.status in (401, 403):
            self._renew()
            answer = self._once(method, url, into, source, size)
        return answer

    def _once(
        self, method: str, url: str, into: Optional[Path], source: Optional[Path], size: int
    ) -> HttpAnswer:
        client = self._link.client
        try:
            if into is not None:
                with into.open("wb") as out:
                    return client.ask(method, url, self._ars, into=out)
            if source is not None:
                headers = {
                    "Content-Length": str(size),
                    "Content-Type": "application/octet-stream",
                }
                with source.open("rb") as body:
                    return client.ask(method, url, self._ars, body, headers)
            return client.ask(method, url, self._ars)
        except (NoAnswer, UnsafeAddress) as trouble:
            raise ShareError(str(trouble)) from trouble

    def _renew(self) -> None:
        url = f"{self._link.server}/attempts/{self._attempt}/token"
        headers = {"Content-Type": "application/json"}
        try:
            answer = self._link.client.ask("POST", url, self._token, b"{}", headers)
            self._ars = str(answer.json()["token"])
        except (NoAnswer, KeyError, TypeError) as trouble:
            raise ShareError(f"no token of the archive is given: {trouble}") from trouble


class ShareCarrier:
    """Carries files for offline batches. `ready` are batches whose inputs were brought, `tries`
    counts how often something failed, by the name of its call."""

    def __init__(
        self, link: ServerLink, folders: SiteFolders, journal: Journal, calls: BackgroundCalls
    ) -> None:
        self.link, self.folders, self.journal, self.calls = link, folders, journal, calls
        self.ready: Set[str] = set()
        self.tries: Dict[str, int] = {}
        self.pause = GrowingPause()

    def is_ready(self, batch: HeldBatch) -> bool:
        """Whether a batch may start; else its inputs are being brought."""
        if not batch.offline or batch.key in self.ready:
            return True
        self._take_in_inputs()
        if batch.key not in self.ready and self.pause.is_due:
            self.calls.begin(INPUTS + batch.key, partial(self._bring, batch))
            self._take_in_inputs()
        return batch.key in self.ready

    def carry(self, carried: Set[int]) -> None:
        """Send what results want archived; attempts of which all is there are added to `carried`.

        Raises OSError, JournalError.
        """
        self._take_in_carried(carried)
        for batch in self.journal.held.batches.values():
            for member in batch.open if batch.offline else ():
                if member.attempt in carried or not self.pause.is_due:
                    continue
                result = read_result(self.folders.of(batch.key), member)
                if result is not None and result["body"].get("carry"):
                    call = partial(self._send_all, batch, member, result["body"]["carry"])
                    self.calls.begin(CARRY + str(member.attempt), call)
        self._take_in_carried(carried)

    def _take_in_inputs(self) -> None:
        for call in self.calls.finished(INPUTS):
            if call.error is None or self._has_given_up(call):
                self.ready.add(call.name[len(INPUTS) :])

    def _take_in_carried(self, carried: Set[int]) -> None:
        for call in self.calls.finished(CARRY):
            attempt = int(call.name[len(CARRY) :])
            if call.error is None:
                carried.add(attempt)
            elif self._has_given_up(call) and not isinstance(call.error, ShareError):
                # Not the archive's fault: the file is not what the result says, or not there.
                self._give_up(attempt)

    def _give_up(self, attempt: int) -> None:
        """Set aside a result that names what is not there: its job ended without one."""
        end = {"state": "failed", "exit_code": None}
        for batch in list(self.journal.held.batches.values()):
            if any(member.attempt == attempt for member in batch.open):
                self.journal.append("ended", key=batch.key, ends={str(attempt): end})
                set_aside(result_path(self.folders.of(batch.key), attempt), ".unsent")

    def _has_given_up(self, call: FinishedCall) -> bool:
        if not isinstance(call.error, PASSING):
            raise call.error
        self.tries[call.name] = self.tries.get(call.name, 0) + 1
        self.pause.fail()
        log.warning("%s: %s", call.name, call.error)
        return self.tries[call.name] >= TRIES

    def _files(self, batch: HeldBatch, line: int) -> ShareFiles:
        folder = self.folders.of(batch.key)
        grant, member = self._grant(batch, line), batch.members[line]
        token = read_tokens(folder)[line]
        ars = str((grant.get("ars") or {}).get("token") or "")
        return ShareFiles(self.link, member.attempt, token, ars)

    def _grant(self, batch: HeldBatch, line: int) -> Dict[str, Any]:
        grant = read_rows(self.folders.of(batch.key) / "grants.jsonl")[line]
        return grant if isinstance(grant, dict) else {}

    def _bring(self, batch: HeldBatch) -> None:
        """Bring every input of a batch; the first trouble is raised after all were tried."""
        troubles = []
        for member in batch.open:
            files = self._files(batch, member.line)
            for file in self._grant(batch, member.line).get("inputs") or []:
                try:
                    files.fetch(file, self.folders.asset(member.guid, file["name"]))
                except ShareError as trouble:
                    troubles.append(trouble)
        if troubles:
            raise troubles[0]

    def _send_all(self, batch: HeldBatch, member: HeldMember, wanted: List[Dict[str, Any]]) -> None:
        files, grant = self._files(batch, member.line), self._grant(batch, member.line)
        urls = {each["name"]: each["url"] for each in grant.get("uploads") or []}
        for file in wanted:
            owner, _, inner = file["path"].partition("/")
            files.send(self.folders.asset(owner, inner), urls[file["name"]], file)


def _matches(path: Path, file: Dict[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != file["size_bytes"]:
        return False
    crc = 0
    with path.open("rb") as source:
        for piece in iter(lambda: source.read(CHUNK), b""):
            crc = zlib.crc32(piece, crc)
    return bool(crc == file["crc32"])
