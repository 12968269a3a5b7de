"""The upload API, as a workstation calls it: plain calls, each tried once.

https://tus.io/protocols/resumable-upload for the files' part of it.
"""

import base64
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import certifi
import httpx

from schemas.digitisation import Values
from schemas.problems import WorkstationProblem
from schemas.proxies import LOOPBACK
from schemas.uploads import (
    TUS_VERSION,
    Login,
    SentFile,
    SessionEnd,
    SessionStatus,
    SpecimenStatus,
    StoredFile,
)
from workstation.server.answers import check_answer, not_understood, read_answer, unreached
from workstation.server.errors import BadServerAddress, LoginNeeded, ServerProblem
from workstation.server.outbox import CannotSendNow, ProblemRejected

CONNECT_S, ANSWER_S = 10.0, 60.0
"""Seconds for a connection, and for the first of an answer or the next piece on its way."""

READ_BACK_BYTES_S = 2_000_000
"""Bytes in a second that the server reads from its drive at the least."""

_TUS = {"Tus-Resumable": TUS_VERSION}


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where a file is sent to, a path on the server, and how many bytes of it are there."""

    url: str
    offset: int


class SessionDetail(SessionStatus):
    """A session and each of its specimens, those that need somebody first."""

    specimen_list: tuple[SpecimenStatus, ...] = ()


def checked_address(text: str) -> str:
    """The address of a server, as it is used. Raises BadServerAddress.

    Without https only this machine itself is taken: passwords would travel readable.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadServerAddress(f"{text!r} is no address of a server: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query:
        what = f"{text!r} is no address of a server; write it as https://refinery.example.org"
        raise BadServerAddress(what)
    if parts.scheme == "http" and host not in LOOPBACK:
        what = f"{text!r} would carry passwords readable; write https:// before the name"
        raise BadServerAddress(what)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


class Server:
    """The server at `address`; any thread may use it.

    Every call raises ServerAway, LoginNeeded, ServerRefused or another ServerProblem.
    """

    def __init__(self, address: str, token: str = "") -> None:
        self.address = checked_address(address)
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(certifi.where())
        self._http = httpx.Client(
            base_url=self.address,
            verify=trusted,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S, pool=None),
            follow_redirects=False,
        )
        self.show(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._http.close()

    def show(self, token: str) -> None:
        """Show this token from now on; it is kept in memory only."""
        if token:
            self._http.headers["Authorization"] = f"Bearer {token}"
        else:
            self._http.headers.pop("Authorization", None)

    def log_in(self, name: str, password: str) -> Login:
        """Log in by name and password, for all later calls."""
        self.show("")
        body = {"username": name, "password": password}
        login = read_answer(self._asked("POST", "/verify", json=body), Login)
        self.show(login.token)
        return login

    def values(self, workstation: str) -> Values:
        """What this workstation chooses from."""
        answer = self._asked("GET", "/values", params={"workstation": workstation})
        return read_answer(answer, Values)

    def begin_file(self, workstation: str, session: str, file: SentFile) -> UploadPlace:
        """Announce a file; one that was begun before goes on, one that is stored is all there."""
        said = {
            "workstation": workstation,
            "session": session,
            "filename": file.name,
            "checksum": file.sha256,
            "fixityAlgorithm": "sha256",
        }
        encoded = ",".join(f"{name} {_base64(text)}" for name, text in said.items())
        headers = {**_TUS, "Upload-Length": str(file.size_bytes), "Upload-Metadata": encoded}
        answer = self._asked("POST", "/files", headers=headers)
        check_answer(answer)
        place = answer.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not place:
            raise not_understood(answer)
        return UploadPlace(f"/files/{quote(place, safe='')}", _offset(answer))

    def offset(self, url: str) -> int:
        """Bytes of an upload that the server has."""
        answer = self._asked("HEAD", url, headers=_TUS)
        check_answer(answer)
        return _offset(answer)

    def send(self, place: UploadPlace, size_bytes: int, pieces: Iterable[bytes]) -> int:
        """Send the rest of a file in one request; bytes that the server has then.

        What `pieces` raises comes out of here.
        """
        left = size_bytes - place.offset
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(left),
            "Upload-Offset": str(place.offset),
        }
        answer = self._asked(
            "PATCH", place.url, headers=headers, content=pieces, timeout=_patience(size_bytes)
        )
        check_answer(answer)
        return _offset(answer)

    def take_back(self, url: str) -> None:
        """Have the server forget a file of a session that is not complete."""
        check_answer(self._asked("DELETE", url, headers=_TUS))

    def confirm(self, url: str, size_bytes: int) -> StoredFile:
        """What the server read back from its drive of a file that it stored."""
        answer = self._asked("GET", f"{url}/stored", timeout=_patience(size_bytes))
        return read_answer(answer, StoredFile)

    def end(self, workstation: str, session: str, files: Iterable[SentFile]) -> SessionStatus:
        """Say that these are all files of a session."""
        body = SessionEnd(files=tuple(files)).model_dump(mode="json")
        answer = self._asked("PUT", f"{_session(workstation, session)}/end", json=body)
        return read_answer(answer, SessionStatus)

    def session(self, workstation: str, session: str) -> SessionDetail:
        """Where a session and its specimens are."""
        return read_answer(self._asked("GET", _session(workstation, session)), SessionDetail)

    def sessions(self, workstation: str, most: int = 20) -> list[SessionStatus]:
        """The workstation's sessions, the newest first."""
        asked = {"workstation": workstation, "limit": str(most)}
        return read_answer(self._asked("GET", "/sessions", params=asked), list[SessionStatus])

    def tell(self, problem: WorkstationProblem) -> None:
        """Tell of a problem, as an outbox does. Raises CannotSendNow, ProblemRejected."""
        try:
            answer = self._asked("POST", "/problems", json=problem.model_dump(mode="json"))
            check_answer(answer)
        except ServerProblem as error:
            if error.may_retry or isinstance(error, LoginNeeded):
                raise CannotSendNow(error.text) from error
            raise ProblemRejected(error.text) from error

    def _asked(self, method: str, path: str, **given: Any) -> httpx.Response:
        with self._named_errors():
            return self._http.request(method, path, **given)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.RequestError as error:
            raise unreached(error, self.address) from error


def _session(workstation: str, session: str) -> str:
    return f"/sessions/{quote(workstation, safe='')}/{quote(session, safe='')}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _offset(answer: httpx.Response) -> int:
    said = answer.headers.get("upload-offset", "")
    if not said.isascii() or not said.isdigit():
        raise not_understood(answer)
    return int(said)


def _patience(size_bytes: int) -> httpx.Timeout:
    """For an answer before which the server reads or syncs all of a file."""
    read_s = ANSWER_S + size_bytes / READ_BACK_BYTES_S
    return httpx.Timeout(ANSWER_S, connect=CONNECT_S, read=read_s, pool=None)
