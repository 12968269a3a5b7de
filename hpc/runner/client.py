"""Calls from a cluster node to our server: start, outcome, token, a file to look at.

Every call has a deadline and is retried with full-jitter backoff until our server itself has
answered. Between a node and the server stand proxies, gateways and portals, and each of them
answers for itself: an answer that has not the shape known here does not count.
"""

import http.client
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from hpc.runner.deadline import Deadline
from hpc.runner.errors import NotGranted, Refused, Unreachable
from hpc.runner.exchange import Again, Denied, answered, make_request, put, read_json, shown
from hpc.runner.files import crc32_of
from hpc.runner.grant import ArsToken, ars_token

CALL_TIMEOUT_S = 30.0
CALL_S = 120.0
"""All that one call to the server may take; CALL_TIMEOUT_S is for each of its waits."""
APPLIED = frozenset({"applied", "repeated", "stale"})
REFUSALS = frozenset({400, 401, 403, 409, 413, 422})
"""Statuses under which our server refuses."""
GRANTED = frozenset({"guid", "params", "metadata"})
"""Fields that every grant has, whatever they hold."""


MakeDeadline = Callable[[], Deadline]
Ask = Callable[[], AbstractContextManager[http.client.HTTPResponse]]
Known = Callable[[Any, int], bool]
"""Whether an answer's JSON is our server's about an attempt."""


def retried(what: str, deadline: Deadline, once: Callable[[], Any]) -> Any:
    """`once()` until it answers; raises Unreachable naming `what` and the last trouble."""
    while True:
        try:
            return once()
        except Again as trouble:
            if not deadline.wait(trouble.after):
                raise Unreachable(f"{what}: gave up, the last answer was: {trouble}") from trouble


def is_outcome(body: Any, attempt: int) -> bool:
    """Whether `body` acknowledges a message about `attempt`."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("applied"), str)
        and body["applied"] in APPLIED
        # A server of an earlier version does not name the attempt.
        and body.get("attempt", attempt) == attempt
    )


def is_grant(body: Any, attempt: int) -> bool:
    """Whether `body` grants the start of `attempt`; its fields may still be wrong."""
    return isinstance(body, dict) and body.keys() >= GRANTED and body.get("attempt") == attempt


def is_token(body: Any, attempt: int) -> bool:
    """Whether `body` is a token of the archive for `attempt`."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("token"), str)
        and isinstance(body.get("expires_in"), int | float)
        and body.get("attempt", attempt) == attempt
    )


def is_refusal(status: int, body: Any, attempt: int) -> bool:
    """Whether an answer is our server's own no to `attempt`."""
    is_error = isinstance(body, dict) and isinstance(body.get("error"), str)
    if status not in REFUSALS or not is_error:
        return False
    if "refused" in body:
        return isinstance(body["refused"], str) and body.get("attempt") == attempt
    # A server of an earlier version gives nothing but a text, which names the attempt.
    return body.keys() == {"error"} and bool(re.search(rf"\battempt {attempt}\b", body["error"]))


class AttemptClient:
    """The server, about one attempt. `nonce` proves that this very process was granted."""

    def __init__(
        self, base: str, attempt: int, token: str, native_id: str, make_deadline: MakeDeadline
    ) -> None:
        self._base = f"{base.rstrip('/')}/attempts/{attempt}"
        self.attempt = attempt
        self._token = token
        self.make_deadline = make_deadline
        self.native_id = native_id
        self.path = f"/attempts/{attempt}"

    def start(self, nonce: str) -> dict[str, Any]:
        """The grant. Raises NotGranted on 409, Refused on another no, Unreachable."""
        body = {"native_id": self.native_id, "nonce": nonce}
        try:
            grant: dict[str, Any] = self.post("start", body, known=is_grant)
        except Refused as no:
            if no.status == http.client.CONFLICT:
                raise NotGranted(str(no)) from no
            raise
        return grant

    def renew(self) -> ArsToken:
        """A fresh token for the archive."""
        return ars_token(self.post("token", {}, known=is_token))

    def post(
        self, verb: str, body: Any, deadline: Deadline | None = None, known: Known = is_outcome
    ) -> Any:
        """POST `/attempts/{id}/{verb}`; safe to repeat, the server knows the pair again.

        Returns once the server has acknowledged it. Raises Refused, Unreachable.
        """
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json"}
        request = partial(make_request, "POST", f"{self._base}/{verb}", self._token, headers, data)
        return self._call(
            f"POST {self.path}/{verb}",
            lambda: answered(request(), CALL_TIMEOUT_S, CALL_S),
            known,
            deadline,
        )

    def show(self, path: Path, name: str) -> None:
        """PUT `path` to `/attempts/{id}/outputs/{name}`."""
        query = urlencode({"crc32": crc32_of(path), "size_bytes": path.stat().st_size})
        url = f"{self._base}/outputs/{quote(name, safe='')}?{query}"
        self._call(f"PUT {name}", partial(put, path, url, self._token), is_outcome)

    def _call(self, what: str, ask: Ask, known: Known, deadline: Deadline | None = None) -> Any:
        """Ask until our server itself answers: with JSON that is `known`, or with its own no."""

        def once() -> Any:
            try:
                with ask() as answer:
                    body = read_json(answer)
            except Denied as no:
                if is_refusal(no.status, no.body, self.attempt):
                    raise Refused(str(no), no.status) from no
                raise Again(str(no), no.after) from no
            if known(body, self.attempt):
                return body
            raise Again(f"{answer.status} with an answer that is not our server's: {shown(body)}")

        return retried(what, deadline or self.make_deadline(), once)
