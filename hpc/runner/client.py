"""HTTP from a cluster node: callbacks to the server, files from and to the share.

Standard library only. Every call has a deadline and is retried with full-jitter backoff until
the one who was asked has answered, whatever others in between say; every file is CRC-checked
and appears under its name whole or not at all.
"""

import http.client
import json
import math
import mimetypes
import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from hpc.runner import answers
from hpc.runner.errors import BadInput, NotGranted, Refused, Transient, Unreachable
from hpc.runner.exchange import NO_ANSWER, SHOWN, Again, Denied, answered, make_request, read_json
from hpc.runner.grant import ArsToken, ars_token
from hpc.runner.job import RemoteFile

SHARE_SAYS = frozenset({400, 401, 403, 404, 409, 413})
"""Noes of the archive, or of what bounds it: they depend on its share, not on our file. 507 is
how it says that the checksum did not match."""
CALL_TIMEOUT_S = 30.0
CALL_S = 120.0
"""All that one call to the server may take; CALL_TIMEOUT_S is for each of its waits."""
TRANSFER_TIMEOUT_S = 120.0
LONGEST_PAUSE_S = 30.0
RENEW_BEFORE_S = 30.0
CHUNK = 1 << 20
WRONG_CRC_TRIES = 3


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
Known = Callable[[Any, int], bool]
"""Whether an answer's JSON is our server's about an attempt."""


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
        except Again as trouble:
            if not patience.wait(trouble.after):
                raise Unreachable(f"{what}: gave up, the last answer was: {trouble}") from trouble


class Callbacks:
    """The server, about one attempt. `nonce` proves that this very process was granted."""

    def __init__(
        self, base: str, attempt: int, token: str, native_id: str, patience: PatienceMaker
    ) -> None:
        self._base = f"{base.rstrip('/')}/attempts/{attempt}"
        self._attempt = attempt
        self._token = token
        self._patience = patience
        self.native_id = native_id
        self.path = f"/attempts/{attempt}"

    def start(self, nonce: str) -> dict[str, Any]:
        """The grant. Raises NotGranted on 409, Refused on another no, Unreachable."""
        body = {"native_id": self.native_id, "nonce": nonce}
        try:
            grant: dict[str, Any] = self._post("start", body, answers.is_grant)
        except Refused as no:
            if no.status == http.client.CONFLICT:
                raise NotGranted(str(no)) from no
            raise
        return grant

    def renew(self) -> ArsToken:
        """A fresh token for the archive."""
        return ars_token(self._post("token", {}, answers.is_token))

    def post(self, verb: str, body: dict[str, Any], patience: Patience | None = None) -> None:
        """POST `/attempts/{id}/{verb}`; safe to repeat, the server knows the pair again.

        Returns once the server has acknowledged it. Raises Refused, Unreachable.
        """
        self._post(verb, body, answers.is_outcome, patience)

    def show(self, path: Path, name: str) -> None:
        """PUT `path` to `/attempts/{id}/outputs/{name}`."""
        query = urlencode({"crc32": crc32_of(path), "size_bytes": path.stat().st_size})
        url = f"{self._base}/outputs/{quote(name, safe='')}?{query}"

        def once() -> Any:
            with self._asked(), _put(path, url, self._token) as answer:
                return self._known(answer, answers.is_outcome)

        retried(f"PUT {name}", self._patience(), once)

    def _post(
        self, verb: str, body: dict[str, Any], known: Known, patience: Patience | None = None
    ) -> Any:
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json"}
        request = partial(make_request, "POST", f"{self._base}/{verb}", self._token, headers, data)

        def once() -> Any:
            with self._asked(), answered(request(), CALL_TIMEOUT_S, CALL_S) as answer:
                return self._known(answer, known)

        return retried(f"POST {self.path}/{verb}", patience or self._patience(), once)

    def _known(self, answer: http.client.HTTPResponse, known: Known) -> Any:
        """The answer's JSON when it is one of the server's. Raises Again."""
        body = read_json(answer)
        if not known(body, self._attempt):
            raise Again(f"{answer.status} with an answer that is not our server's: {_shown(body)}")
        return body

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Tell our server's own no, which is Refused, from that of others in between."""
        try:
            yield
        except Denied as no:
            if answers.is_refusal(no.status, no.body, self._attempt):
                raise Refused(str(no), no.status) from no
            raise Again(str(no), no.after) from no


def _shown(body: Any) -> str:
    """What an answer is that is none, in a few plain characters."""
    return ascii(list(body) if isinstance(body, dict) else body)[:SHOWN]


@contextmanager
def _put(path: Path, url: str, bearer: str) -> Iterator[http.client.HTTPResponse]:
    """PUT a file as a stream."""
    with path.open("rb") as source:
        headers = {
            "Content-Length": str(path.stat().st_size),
            "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        request = make_request("PUT", url, bearer, headers, source)
        with answered(request, TRANSFER_TIMEOUT_S) as answer:
            yield answer


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
            self._with_token(f"upload of {file.name}", lambda: self._upload(path, url, file))
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
            try:
                return once()
            except Denied as no:
                if no.status in SHARE_SAYS:
                    raise Refused(str(no), no.status) from no
                raise Again(str(no), no.after) from no

        try:
            try:
                retried(what, self._patience(), attempt)
            except Refused as no:
                if no.status not in (401, 403):
                    raise
                self._keep(self._callbacks.renew())
                retried(what, self._patience(), attempt)
        except Refused as no:
            raise Transient(f"{what}: the share answered {no}") from no

    def _upload(self, path: Path, url: str, file: RemoteFile) -> None:
        """Send a file once. A yes without the archive's checksum is taken for none."""
        with _put(path, url, self._token) as answer:
            said = read_json(answer)
        told = said.get("actual_crc") if isinstance(said, dict) else None
        if told != file.crc32 and not self._holds(file):
            raise Again(f"{answer.status} without the file's checksum: {_shown(said)}")

    def _holds(self, file: RemoteFile) -> bool:
        """Whether the share has the very bytes of `file`; False when it does not say."""
        request = make_request("GET", file.url, self._token, {})
        size = crc = 0
        try:
            with answered(request, TRANSFER_TIMEOUT_S) as answer:
                while chunk := answer.read(CHUNK):
                    size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        except (Again, Denied, *NO_ANSWER):
            return False
        return (size, crc) == (file.size_bytes, file.crc32)

    def _download(self, file: RemoteFile, partial: Path) -> None:
        have = partial.stat().st_size if partial.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        request = make_request("GET", file.url, self._token, headers)
        with answered(request, TRANSFER_TIMEOUT_S) as answer:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            with partial.open("ab" if resumed else "wb") as out:
                _pour(answer, out, file.size_bytes - have * resumed + 1)
                size = out.tell()
        if size < file.size_bytes:
            raise Again(f"the connection ended after {size} of {file.size_bytes} bytes")


def _pour(answer: http.client.HTTPResponse, out: IO[bytes], most: int) -> None:
    """Copy up to `most` bytes of a body to a file; only the reading side may be tried again, a
    full disk may not."""
    while most > 0:
        try:
            chunk = answer.read(min(CHUNK, most))
        except NO_ANSWER as trouble:
            raise Again(f"{type(trouble).__name__}: {trouble}") from trouble
        if not chunk:
            return
        most -= out.write(chunk)


def matches(path: Path, file: RemoteFile) -> bool:
    """Whether the file at `path` is the one that was announced."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    return crc32_of(path) == file.crc32
