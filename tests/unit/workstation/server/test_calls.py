"""The server's address, and what answers that are none of ours are taken for."""

import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.uploads import SentFile
from tests.support.problems import problem
from workstation.server.calls import Server, UploadPlace, checked_address
from workstation.server.errors import (
    BadServerAddress,
    LoginNeeded,
    ServerAway,
    ServerNotUnderstood,
    ServerProblem,
    ServerRefused,
)
from workstation.server.outbox import CannotSendNow, ProblemRejected


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Something on a port that reads a request and its body, and says this."""
    listening = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        try:
            while True:
                with listening.accept()[0] as one:
                    _read_request(one)
                    one.sendall(answer)
        except OSError:  # the test is over
            return

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _read_request(one: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += one.recv(65536)
    head, _, body = head.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    left = int(lengths[0].partition(b":")[2]) - len(body) if lengths else 0
    while left > 0:
        left -= len(one.recv(65536))


def said(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("refinery.example.org", "https://refinery.example.org"),
        (" https://refinery.example.org/upload/ ", "https://refinery.example.org/upload"),
        ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("http://localhost:8100/", "http://localhost:8100"),
    ],
)
def test_an_address_is_used_as_it_was_meant(given: str, used: str) -> None:
    assert checked_address(given) == used


@pytest.mark.parametrize(
    "given",
    [
        "http://refinery.example.org",
        "ftp://refinery.example.org",
        "https://",
        "",
        "https://name:word@refinery.example.org",
        "https://refinery.example.org:port",
        "https://[",
    ],
)
def test_what_is_no_address_or_would_carry_passwords_readable_is_refused(given: str) -> None:
    with pytest.raises(BadServerAddress):
        checked_address(given)


def login(server: Server) -> object:
    return server.log_in("Åse", "a password")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said("200 OK", b"<html>log in to the hotel's network</html>"), ServerNotUnderstood),
        (said("404 Not Found", b"<html>"), ServerNotUnderstood),
        (said("302 Found", b"", "Location: https://elsewhere/"), ServerNotUnderstood),
        (said("502 Bad Gateway", b"<html>"), ServerRefused),
        (said("401 Unauthorized", b'{"code": "wrong_login", "error": "no"}'), LoginNeeded),
        (b"no HTTP at all\r\n\r\n", ServerAway),
        (b"", ServerAway),
    ],
    ids=["portal", "elsewhere", "moved", "proxy", "login", "garbage", "nothing"],
)
def test_other_answers_have_names(answer: bytes, kind: type[ServerProblem]) -> None:
    with answering(answer) as url, Server(url) as server, pytest.raises(kind) as caught:
        login(server)
    assert caught.value.may_retry == (kind in (ServerAway, ServerRefused))


def test_the_wish_to_be_left_alone_is_read_and_bounded() -> None:
    body = b'{"code": "try_later", "error": "later"}'
    for header, wait in (("7", 7.0), ("99999999999", 300.0), ("tomorrow", None)):
        answer = said("503 Busy", body, f"Retry-After: {header}")
        refused = pytest.raises(ServerRefused)
        with answering(answer) as url, Server(url) as server, refused as caught:
            login(server)
        assert (caught.value.code, caught.value.retry_after) == ("try_later", wait)


def test_a_token_is_never_shown_to_the_place_that_an_answer_names() -> None:
    place = said("201 Created", b"", "Location: https://elsewhere/files/abc", "Upload-Offset: 3")
    with answering(place) as url, Server(url, "token") as server:
        sent = SentFile(name="a.tif", size_bytes=5, sha256="0" * 64)
        assert server.begin_file("W", "S", sent) == UploadPlace("/files/abc", 3)


def test_a_file_is_sent_in_memory_that_does_not_grow_with_it(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64_000_000)

    def pieces() -> Iterator[bytes]:
        with path.open("rb", buffering=0) as stream:
            while piece := stream.read(1 << 20):
                yield piece

    done = said("204 No Content", b"", "Upload-Offset: 64000000")
    with answering(done) as url, Server(url) as server:
        tracemalloc.start()
        try:
            assert server.send(UploadPlace("/files/a", 0), 64_000_000, pieces()) == 64_000_000
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said("503 Busy", b'{"code": "try_later", "error": "later"}'), CannotSendNow),
        (said("401 No", b'{"code": "login_expired", "error": "ended"}'), CannotSendNow),
        (said("422 No", b'{"code": "bad_request", "error": "unfit"}'), ProblemRejected),
        (b"", CannotSendNow),
    ],
    ids=["busy", "login", "unfit", "away"],
)
def test_a_problem_waits_or_is_put_aside(answer: bytes, kind: type[Exception]) -> None:
    with answering(answer) as url, Server(url) as server, pytest.raises(kind):
        server.tell(problem())
