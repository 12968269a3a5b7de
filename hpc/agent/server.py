"""The server, as an agent asks it: which answers go on, which end it and which pass."""

import json
from typing import IO, Any, Dict, Optional

from hpc.agent.https import HttpAnswer, HttpClient, NoAnswer

VERSION = "1"
"""The version of the messages, which each heartbeat names."""

_SHUT_OUT = {
    401: "its token is not valid",
    403: "its token is of another site",
    410: "it was declared gone",
}


class ShutOut(Exception):
    """The server does not know this agent any more: it has to join again."""


class NotTaken(Exception):
    """The server said no to this one item: it is dropped, and others go on."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class TryLater(Exception):
    """No answer that counts: the same is sent again, after `after_s` seconds at least."""

    def __init__(self, words: str, after_s: float = 0.0) -> None:
        super().__init__(words)
        self.after_s = after_s


class ServerLink:
    """Asks the server on behalf of one agent of one site; `bearer` may change while it lives."""

    def __init__(self, client: HttpClient, server: str, site: str, bearer: str) -> None:
        self.client = client
        self.server = server.rstrip("/")
        self.base = f"{self.server}/sites/{site}"
        self.bearer = bearer

    def post(self, verb: str, body: Dict[str, Any], answers: str) -> Dict[str, Any]:
        """The answer to a message, which has the field `answers`: a proxy's has not.

        Raises ShutOut, NotTaken, TryLater.
        """
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json"}
        return _object(self._ask("POST", verb, data, headers), answers)

    def fetch(self, path: str, into: IO[bytes]) -> None:
        """Write what lies under a path of the site to a file. Raises as `post`, and OSError."""
        self._ask("GET", path, None, {}, into)

    def put(self, path: str, body: IO[bytes], size: int) -> Dict[str, Any]:
        """Send a file of `size` bytes to a path of the site. Raises as `post`."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        return _object(self._ask("PUT", path, body, headers), "left")

    def _ask(
        self,
        method: str,
        path: str,
        body: Any,
        headers: Dict[str, str],
        into: Optional[IO[bytes]] = None,
    ) -> HttpAnswer:
        try:
            url = f"{self.base}/{path}"
            answer = self.client.ask(method, url, self.bearer, body, headers, into)
        except NoAnswer as trouble:
            raise TryLater(str(trouble)) from trouble
        if answer.status == 200:
            return answer
        if answer.status in _SHUT_OUT:
            raise ShutOut(f"{_SHUT_OUT[answer.status]} ({answer.words()})")
        if answer.status in (409, 413, 422):
            raise NotTaken(answer.status, answer.words())
        raise TryLater(answer.words(), answer.after_s)


def _object(answer: HttpAnswer, field: str) -> Dict[str, Any]:
    try:
        body = answer.json()
    except NoAnswer as trouble:
        raise TryLater(str(trouble)) from trouble
    if not isinstance(body, dict) or field not in body:
        raise TryLater(f"an answer that is not our server's: {answer.words()}")
    return body
