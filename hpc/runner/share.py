"""Files from and to the archive's share, over HTTP from a cluster node.

Every file is CRC-checked and appears under its name whole or not at all.
"""

import http.client
import math
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

from hpc.runner.client import AttemptClient, retried
from hpc.runner.errors import Refused, Transient, Unreachable
from hpc.runner.exchange import (
    NO_ANSWER,
    TRANSFER_TIMEOUT_S,
    Again,
    Denied,
    answered,
    make_request,
    put,
    read_json,
    shown,
)
from hpc.runner.files import CHUNK, matches, must_match
from hpc.runner.grant import ArsToken
from hpc.runner.job import RemoteFile

SHARE_REFUSALS = frozenset({400, 401, 403, 404, 409, 413})
"""Statuses with which the archive, or what bounds it, refuses: they depend on its share, not on
our file. 507 is how it says that the checksum did not match."""
RENEW_BEFORE_S = 30.0
WRONG_CRC_TRIES = 3


class ArchiveShare:
    """The archive's open share, read and written with a short-lived token renewed as needed.

    `show` takes the small files that people look at: they are none of the archive's.
    """

    def __init__(
        self, server: AttemptClient, token: ArsToken, show: Callable[[Path, str], None]
    ) -> None:
        self._server, self._show = server, show
        self._keep(token)

    def fetch(self, file: RemoteFile, to: Path) -> None:
        """Put `file` at `to` unless it is there already, byte for byte.

        Raises Transient (also for bytes that never match their CRC) and Refused. A cut
        transfer goes on where it ended when the archive supports ranges.
        """
        if matches(to, file):
            return
        # Named by the attempt: a forgotten native job of an earlier one may still be writing.
        partial = to.with_name(f".{to.name}.{self._server.attempt}.part")
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
        must_match(path, file)
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
        """Hand on a small file for people."""
        self._show(path, name)

    def _keep(self, token: ArsToken) -> None:
        self._token = token.token
        self._renew_at = time.monotonic() + max(token.expires_in - RENEW_BEFORE_S, 0.0)

    def _with_token(self, what: str, once: Callable[[], Any]) -> None:
        """Retry `once`; a 401 or 403 is answered, one time, with a fresh token."""

        def attempt() -> Any:
            if time.monotonic() >= self._renew_at:
                self._keep(self._server.renew())
            try:
                return once()
            except Denied as no:
                if no.status in SHARE_REFUSALS:
                    raise Refused(str(no), no.status) from no
                raise Again(str(no), no.after) from no

        try:
            try:
                retried(what, self._server.make_deadline(), attempt)
            except Refused as no:
                if no.status not in (401, 403):
                    raise
                self._keep(self._server.renew())
                retried(what, self._server.make_deadline(), attempt)
        except Refused as no:
            raise Transient(f"{what}: the share answered {no}") from no

    def _upload(self, path: Path, url: str, file: RemoteFile) -> None:
        """Send a file once. A yes without the archive's checksum is taken for none.

        Where no answer came, a look tells whether the file is there: a second one of the same
        bytes may have no room beside it.
        """
        try:
            with put(path, url, self._token) as answer:
                body = read_json(answer)
        except Again:
            if not self._holds(file):
                raise
            return
        crc = body.get("actual_crc") if isinstance(body, dict) else None
        if crc != file.crc32 and not self._holds(file):
            raise Again(f"{answer.status} without the file's checksum: {shown(body)}")

    def _holds(self, file: RemoteFile) -> bool:
        """Whether the share has the very bytes of `file`; False when it does not answer."""
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
                _copy(answer, out, file.size_bytes - have * resumed + 1)
                size = out.tell()
        if size < file.size_bytes:
            raise Again(f"the connection ended after {size} of {file.size_bytes} bytes")


def _copy(answer: http.client.HTTPResponse, out: IO[bytes], max_bytes: int) -> None:
    """Copy up to `max_bytes` of a body to a file; only the reading side may be tried again, a
    full disk may not."""
    while max_bytes > 0:
        try:
            chunk = answer.read(min(CHUNK, max_bytes))
        except NO_ANSWER as trouble:
            raise Again(f"{type(trouble).__name__}: {trouble}") from trouble
        if not chunk:
            return
        max_bytes -= out.write(chunk)
