"""HTTP from a cluster node: callbacks to the server, files from and to the share.

Standard library only. Every call has a deadline and is retried with full-jitter backoff;
every file is CRC-checked and appears under its name whole or not at all. Redirects are not
followed: one would carry the bearer token to another host.
"""

import http.client
import json
import math
import mimetypes
import random
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from hpc.job.errors import BadInput, NotGranted, Refused, Transient, Unreachable
from hpc.job.grant import ArsToken, ars_token
from hpc.job.job import RemoteFile

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
"""Statuses worth another try; 507 is how the archive says the checksum did not match."""
SHARE_MAY_CHANGE = frozenset({400, 401, 403, 404, 409})
"""Answers of the archive that depend on the share being open, not on our file."""
CALL_TIMEOUT_S = 30.0
TRANSFER_TIMEOUT_S = 120.0
LONGEST_PAUSE_S = 30.0
RENEW_BEFORE_S = 30.0
CHUNK = 1 << 20
WRONG_CRC_TRIES = 3


class _Again(Exception):
    """One try went wrong in a way that may pass; `after` is what the server asked for, in s."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class Patience:
    """How long to keep trying: `seconds` from now, or no longer once `hurry` says so."""

    def __init__(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
        self._until = time.monotonic() + seconds
        self._hurry = hurry
        self._tries = 0

    def wait(self, least: float = 0.0) -> bool:
        """Pause before the next try; False when the deadline would pass meanwhile."""
        ceiling = min(LONGEST_PAUSE_S, 0.25 * 2.0 ** min(self._tries, 10))
        self._tries += 1
        wake = time.monotonic() + max(min(least, LONGEST_PAUSE_S), random.uniform(0, ceiling))
        if wake > self._until:
            return False
        # Short naps: the scheduler's signal must be able to end the wait, and a signal
        # handler that does not raise would let one long sleep run to its end.
        while (left := wake - time.monotonic()) > 0:
            if self._hurry():
                return False
            time.sleep(min(left, 0.25))
        return True


PatienceMaker = Callable[[], Patience]


def crc32_of(path: Path) -> int:
    """The CRC-32 (IEEE, unsigned) of a file, read in chunks."""
    crc = 0
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc


def retried(what: str, patience: Patience, once: Callable[[], Any]) -> Any:
    """`once()` until it answers; raises Unreachable naming `what` and the last trouble."""
    while True:
        try:
            return once()
        except _Again as trouble:
            if not patience.wait(trouble.after):
                raise Unreachable(f"{what}: gave up, the last answer was: {trouble}") from trouble


def _open(request: urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    """One request. Raises _Again for what may pass and Refused for any other answer."""
    opener = urllib.request.build_opener(_StayHere)
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout)
        return response
    except urllib.error.HTTPError as answer:
        with answer:
            text = answer.read(500).decode("utf-8", "replace").strip()
            message = f"{answer.code} {answer.reason}: {text}"
            if answer.code in PASSING:
                raise _Again(message, _retry_after(answer.headers.get("Retry-After"))) from answer
            raise Refused(message, answer.code) from answer
    except (OSError, http.client.HTTPException) as trouble:
        raise _Again(f"{type(trouble).__name__}: {trouble}") from trouble


def _retry_after(value: str | None) -> float:
    return float(value) if value and value.isdecimal() else 0.0


def _request(
    method: str, url: str, bearer: str, headers: dict[str, str], data: Any = None
) -> urllib.request.Request:
    """A request to http(s) only: a URL from outside must not read a local file."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInput(f"{url!r} is not an http(s) address")
    return urllib.request.Request(
        url, data=data, method=method, headers={"Authorization": f"Bearer {bearer}", **headers}
    )


def _read_json(response: http.client.HTTPResponse) -> Any:
    try:
        with response:
            text = response.read()
        return json.loads(text) if text.strip() else None
    except (OSError, http.client.HTTPException, ValueError) as trouble:
        raise _Again(f"the answer was cut short or is not JSON ({trouble})") from trouble


class Callbacks:
    """The server, about one attempt. `nonce` proves that this very process was granted."""

    def __init__(
        self, base: str, attempt: int, token: str, native_id: str, patience: PatienceMaker
    ) -> None:
        self._base = f"{base.rstrip('/')}/attempts/{attempt}"
        self._token = token
        self._patience = patience
        self.native_id = native_id
        self.path = f"/attempts/{attempt}"

    def start(self, nonce: str) -> dict[str, Any]:
        """The grant. Raises NotGranted on 409, Refused on another no, Unreachable."""
        try:
            answer = self.post("start", {"native_id": self.native_id, "nonce": nonce})
        except Refused as no:
            if no.status == http.client.CONFLICT:
                raise NotGranted(str(no)) from no
            raise
        return answer if isinstance(answer, dict) else {}

    def renew(self) -> ArsToken:
        """A fresh token for the archive."""
        return ars_token(self.post("token", {}) or {})

    def post(self, verb: str, body: dict[str, Any], patience: Patience | None = None) -> Any:
        """POST `/attempts/{id}/{verb}`; safe to repeat, the server knows the pair again."""
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        url = f"{self._base}/{verb}"

        def once() -> Any:
            headers = {"Content-Type": "application/json"}
            return _read_json(
                _open(_request("POST", url, self._token, headers, data), CALL_TIMEOUT_S)
            )

        return retried(f"POST {self.path}/{verb}", patience or self._patience(), once)

    def show(self, path: Path, name: str) -> None:
        """PUT `path` to `/attempts/{id}/outputs/{name}`."""
        query = urlencode({"crc32": crc32_of(path), "size_bytes": path.stat().st_size})
        url = f"{self._base}/outputs/{quote(name, safe='')}?{query}"
        retried(f"PUT {name}", self._patience(), lambda: _put(path, url, self._token))


def _put(path: Path, url: str, bearer: str) -> Any:
    """PUT a file as a stream; the answer's JSON."""
    with path.open("rb") as source:
        headers = {
            "Content-Length": str(path.stat().st_size),
            "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        return _read_json(_open(_request("PUT", url, bearer, headers, source), TRANSFER_TIMEOUT_S))


class Share:
    """The archive's open share, read and written with a short-lived token renewed as needed."""

    def __init__(
        self, callbacks: Callbacks, token: ArsToken, attempt: int, patience: PatienceMaker
    ) -> None:
        self._callbacks = callbacks
        self._attempt = attempt
        self._patience = patience
        self._keep(token)

    def fetch(self, file: RemoteFile, to: Path) -> None:
        """Put `file` at `to` unless it is there already, byte for byte.

        Raises Transient (also for bytes that never match their CRC) and Refused. A cut
        transfer goes on where it ended when the archive supports ranges.
        """
        if matches(to, file):
            return
        # Named by the attempt: a forgotten native job of an earlier one may still be writing.
        partial = to.with_name(f".{to.name}.{self._attempt}.part")
        try:
            for _ in range(WRONG_CRC_TRIES):
                what = f"download of {file.name}"
                self._with_token(what, lambda: self._download(file, partial))
                if matches(partial, file):
                    partial.replace(to)
                    return
                partial.unlink()
        finally:
            partial.unlink(missing_ok=True)
        raise Transient(
            f"{file.name}: what the share sends is not the file expected "
            f"({file.size_bytes} bytes, CRC-32 {file.crc32}), {WRONG_CRC_TRIES} times over"
        )

    def send(self, path: Path, file: RemoteFile) -> None:
        """PUT `path` on the share; the archive checks the CRC. Harmless to repeat.

        Raises BadInput when `path` is not the file the server expects, Transient, Refused.
        """
        if not matches(path, file):
            raise BadInput(
                f"{path.name}: is missing on this site or is not the file that was made "
                f"({file.size_bytes} bytes, CRC-32 {file.crc32}); run the stage that makes it again"
            )
        size_mb = max(1, math.ceil(file.size_bytes / 1_000_000))
        query = urlencode({"crc": file.crc32, "file_size_mb": size_mb})
        url = f"{file.url}{'&' if urlsplit(file.url).query else '?'}{query}"
        try:
            self._with_token(f"upload of {file.name}", lambda: _put(path, url, self._token))
        except Unreachable:
            raise
        except Transient:
            # The archive counts what lies there and what is sent: where the answer to an
            # earlier try was lost, the same file again has no room in its share.
            if not self._holds(file):
                raise

    def show(self, path: Path, name: str) -> None:
        """Send a small file to the server itself."""
        self._callbacks.show(path, name)

    def _keep(self, token: ArsToken) -> None:
        self._token = token.token
        self._renew_at = time.monotonic() + max(token.expires_in - RENEW_BEFORE_S, 0.0)

    def _with_token(self, what: str, once: Callable[[], Any]) -> None:
        """Retry `once`; a 401 or 403 is answered, one time, with a fresh token."""

        def attempt() -> Any:
            if time.monotonic() >= self._renew_at:
                self._keep(self._callbacks.renew())
            return once()

        try:
            try:
                retried(what, self._patience(), attempt)
            except Refused as no:
                if no.status not in (401, 403):
                    raise
                self._keep(self._callbacks.renew())
                retried(what, self._patience(), attempt)
        except Refused as no:
            if no.status in SHARE_MAY_CHANGE:
                raise Transient(f"{what}: the share answered {no}") from no
            raise Refused(f"{what}: the share answered {no}", no.status) from no

    def _holds(self, file: RemoteFile) -> bool:
        """Whether the share has the very bytes of `file`; False when it does not say."""
        request = _request("GET", file.url, self._token, {})
        size = crc = 0
        try:
            with _open(request, TRANSFER_TIMEOUT_S) as answer:
                while chunk := answer.read(CHUNK):
                    size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        except (_Again, Refused, OSError, http.client.HTTPException):
            return False
        return (size, crc) == (file.size_bytes, file.crc32)

    def _download(self, file: RemoteFile, partial: Path) -> None:
        have = partial.stat().st_size if partial.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with _open(_request("GET", file.url, self._token, headers), TRANSFER_TIMEOUT_S) as answer:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            with partial.open("ab" if resumed else "wb") as out:
                _pour(answer, out)
                size = out.tell()
        if size < file.size_bytes:
            raise _Again(f"the connection ended after {size} of {file.size_bytes} bytes")


def _pour(answer: http.client.HTTPResponse, out: IO[bytes]) -> None:
    """Copy a body to a file; only the reading side may be tried again, a full disk may not."""
    while True:
        try:
            chunk = answer.read(CHUNK)
        except (OSError, http.client.HTTPException) as trouble:
            raise _Again(f"{type(trouble).__name__}: {trouble}") from trouble
        if not chunk:
            return
        out.write(chunk)


def matches(path: Path, file: RemoteFile) -> bool:
    """Whether the file at `path` is the one that was announced."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    return crc32_of(path) == file.crc32
