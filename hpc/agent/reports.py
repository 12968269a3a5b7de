"""Reports what happened to attempts: who started them, their outcomes, and ends without one.

A message is sent until the server has taken or refused it, and the journal says so before the
result is set aside. So it may come twice, which changes nothing there, and never not at all.
"""

import json
import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

from hpc.agent.folders import SiteFolders, touched
from hpc.agent.held import HeldBatch, HeldMember
from hpc.agent.journal import Journal
from hpc.agent.pauses import GrowingPause
from hpc.agent.server import NotTaken, ServerLink, TryLater
from hpc.agent.spool import end_by_code, has_begun, read_result, result_path, set_aside, started_by
from hpc.agent.start_faults import StartFaults
from hpc.runner.tail import output_of, read_tail

MAX_BYTES = 1000000
"""Bytes of messages that go together; one that is larger goes alone."""
TAKEN = (200, 409)
NEVER = (400, 404, 413, 422)

log = logging.getLogger(__name__)


class Report:
    """One message about one member; `result`: the outcome it brings, if it does."""

    def __init__(
        self, member: HeldMember, folder: Path, verb: str, body: Dict[str, Any], last: bool
    ) -> None:
        self.member, self.folder, self.verb, self.body, self.last = (
            member,
            folder,
            verb,
            body,
            last,
        )

    def message(self) -> Dict[str, Any]:
        """It, as it is sent."""
        path = f"/attempts/{self.member.attempt}/{self.verb}"
        return {"path": path, "fence": self.member.fence, "body": self.body}


class Reporter:
    """Reports for one agent. `told` are attempts whose start is known there, `refused` results
    that the server does not take, with its words, `carried` those whose files are archived;
    `faults` hears of every end."""

    def __init__(
        self, link: ServerLink, folders: SiteFolders, journal: Journal, faults: StartFaults
    ) -> None:
        self.link, self.folders, self.journal, self.faults = link, folders, journal, faults
        self.told: Set[int] = set()
        self.refused: Dict[int, str] = {}
        self.carried: Set[int] = set()
        self.pause = GrowingPause()

    def turn(self) -> None:
        """Report all that is to be reported. Raises ShutOut, OSError, JournalError."""
        if not self.pause.is_due:
            return
        reports = [
            report for batch in self.journal.held.batches.values() for report in self._of(batch)
        ]
        try:
            for together in chunks(reports):
                self._send(together)
        except TryLater as trouble:
            self.pause.fail(trouble.after_s)
        else:
            self.pause.succeed()

    def _of(self, batch: HeldBatch) -> List[Report]:
        folder = self.folders.of(batch.key)
        found = []
        for member in batch.open:
            by = started_by(folder, member.attempt) if batch.granted else None
            # A process's start came with the claim; that of a job is won on the disk.
            if by and batch.launcher == "scheduler" and member.attempt not in self.told:
                found.append(Report(member, folder, "start", by, last=False))
            outcome = self._outcome(batch, member, folder, by)
            if outcome is not None:
                found.append(outcome)
        return found

    def _outcome(
        self, batch: HeldBatch, member: HeldMember, folder: Path, by: Optional[Dict[str, Any]]
    ) -> Optional[Report]:
        """What is to be said of a member's end; None as long as there is nothing."""
        result = read_result(folder, member)
        if result is None:
            # Of a batch that is over nothing more comes: its result could not be read.
            known = member.end or (end_by_code(None) if batch.state == "over" else None)
            if known is None:
                return None
            native_id = (by or {}).get("native_id") or batch.native_id or batch.key
            end = dict(known, native_id=native_id)
            if batch.granted:
                end["started"] = has_begun(folder, member.attempt)
            touched(folder / "log")
            printed = read_tail(output_of(folder, member.line))
            if printed is not None:
                end["printed"] = printed
            return Report(member, folder, "ended", end, last=True)
        verb, body = result["verb"], dict(result["body"])
        if body.pop("carry", None) and member.attempt not in self.carried:
            return None
        if verb == "complete" and member.attempt in self.refused:
            verb, body = "fail", _not_taken(body, self.refused[member.attempt])
        return Report(member, folder, verb, body, last=True)

    def _send(self, reports: List[Report]) -> None:
        """Send some together; when all of them are refused as one, halves of them."""
        try:
            messages = [each.message() for each in reports]
            answer = self.link.post("messages", {"messages": messages}, "outcomes")
        except NotTaken as no:
            if len(reports) == 1:
                self._take_in(reports[0], {"status": no.status, "error": str(no)})
                return
            middle = len(reports) // 2
            self._send(reports[:middle])
            self._send(reports[middle:])
            return
        outcomes = answer.get("outcomes")
        if not isinstance(outcomes, list) or len(outcomes) != len(reports):
            raise TryLater("as many outcomes as messages were expected")
        later = [each for each in map(self._take_in, reports, outcomes) if each]
        if later:
            raise TryLater(later[0])

    def _take_in(self, report: Report, outcome: Dict[str, Any]) -> str:
        """Note what became of one message; why it is to be sent again, or nothing."""
        status = outcome.get("status")
        words = str(outcome.get("error") or outcome.get("applied") or status)
        attempt = report.member.attempt
        if status not in TAKEN + NEVER:
            return f"attempt {attempt}: {words}"
        if status != 200:
            log.warning(
                "attempt %d: the server does not take '%s': %s", attempt, report.verb, words
            )
        if not report.last:
            self.told.add(attempt)
        elif status in NEVER and report.verb == "complete":
            self.refused[attempt] = words
            return f"attempt {attempt}: its result is refused"
        else:
            self._conclude(report, status == 200)
        return ""

    def _conclude(self, report: Report, taken: bool) -> None:
        outputs: List[Dict[str, Any]] = []
        if taken and report.verb == "complete":
            outputs = (report.body.get("result") or {}).get("outputs") or []
        if report.verb == "ended":
            self.faults.note(report.folder, report.body)
        else:
            self.faults.clear()
        attempt = report.member.attempt
        self.journal.append("reported", attempt=attempt, outputs=outputs)
        set_aside(result_path(report.folder, attempt), ".taken")


def chunks(reports: List[Report]) -> List[List[Report]]:
    """The reports in their order, as many together as are not too large."""
    found: List[List[Report]] = []
    size = 0
    for report in reports:
        length = len(json.dumps(report.message()))
        if not found or size + length > MAX_BYTES:
            found.append([])
            size = 0
        found[-1].append(report)
        size += length
    return found


def _not_taken(body: Dict[str, Any], words: str) -> Dict[str, Any]:
    """The failure that a result becomes which the server does not take."""
    return {
        "native_id": body.get("native_id"),
        "nonce": body.get("nonce"),
        "fail_status": "ERROR",
        "message": f"the server does not take the result: {words}",
        "exception": None,
        "exit_code": None,
        "usage": (body.get("result") or {}).get("usage") or {},
    }
