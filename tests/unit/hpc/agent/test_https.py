"""One request and its answer, against a real server: what a token must never be shown to."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hpc.agent.https import HttpClient, NoAnswer, UnsafeAddress, check_address

SEEN: list[tuple[str, str, str | None]] = []


class Odd(BaseHTTPRequestHandler):
    """Answers as the path says."""

    def log_message(self, *_args: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:
        SEEN.append((self.command, self.path, self.headers.get("Authorization")))
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        elif self.path == "/chunked":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        elif self.path == "/none":
            self.wfile.write(b"who knows\r\n\r\n")
        elif self.path == "/moved":
            self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /fine\r\nContent-Length: 0\r\n\r\n")
        elif self.path == "/later":
            self.wfile.write(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nlate")
        else:
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 12}')


def served(secured: ssl.SSLContext | None = None) -> Iterator[int]:
    SEEN.clear()
    server = HTTPServer(("127.0.0.1", 0), Odd)
    if secured is not None:
        server.socket = secured.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    for port in served():
        yield f"http://127.0.0.1:{port}"


def test_an_answer_is_its_status_and_what_it_says(url: str) -> None:
    answer = HttpClient().ask("GET", f"{url}/fine", "token")
    assert (answer.status, answer.json()) == (200, {"a": 12})
    assert SEEN == [("GET", "/fine", "Bearer token")]


def test_a_redirect_is_an_answer_and_nobody_else_is_shown_the_token(url: str) -> None:
    assert HttpClient().ask("GET", f"{url}/moved", "token").status == 302
    assert [path for _, path, _ in SEEN] == ["/moved"]


def test_what_the_other_side_asks_to_wait_is_told(url: str) -> None:
    answer = HttpClient().ask("GET", f"{url}/later", "token")
    assert (answer.status, answer.after_s, answer.words()) == (503, 7.0, "503 late")


@pytest.mark.parametrize("path", ["cut", "chunked", "none"])
def test_an_answer_that_is_cut_is_none(url: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(NoAnswer):
        HttpClient().ask("GET", f"{url}/{path}", "token")
    with (tmp_path / "x").open("wb") as into, pytest.raises(NoAnswer):
        HttpClient().ask("GET", f"{url}/{path}", "token", into=into)


def test_what_goes_to_a_file_is_not_kept_in_memory(url: str, tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as into:
        assert HttpClient().ask("GET", f"{url}/fine", "token", into=into).content == b""
    assert (tmp_path / "x").read_bytes() == b'{"a": 12}'


def test_this_machine_is_never_asked_by_way_of_a_proxy(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert HttpClient().ask("GET", f"{url}/fine", "token").status == 200


def test_others_are_asked_by_way_of_the_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    client = HttpClient(insecure_http=True)
    assert client.ask("GET", "http://refinery.invalid/fine", "token").status == 200
    assert SEEN[0][1] == "http://refinery.invalid/fine"


@pytest.mark.parametrize(
    "wrong",
    [
        "http://refinery.example.org",
        "ftp://refinery.example.org",
        "file:///etc/passwd",
        "https://",
        "refinery.example.org",
        "https://me:secret@refinery.example.org",
        "https://x:port",
    ],
)
def test_an_address_that_would_show_the_token_is_refused(wrong: str) -> None:
    with pytest.raises(UnsafeAddress):
        check_address(wrong)
    with pytest.raises(UnsafeAddress):
        HttpClient().ask("GET", wrong, "token")


@pytest.mark.parametrize(
    "right", ["https://refinery.example.org", "http://127.0.0.1:8", "http://localhost/x"]
)
def test_an_address_that_hides_it_or_never_leaves_the_machine_is_not(right: str) -> None:
    assert check_address(right) == right


def test_plain_http_is_allowed_when_it_is_asked_for() -> None:
    assert check_address("http://refinery.example.org", insecure_http=True)


def test_a_certificate_that_nobody_vouches_for_is_no_answer(tmp_path: Path) -> None:
    key, certificate = tmp_path / "localhost.key", tmp_path / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for port in served(context):
        trusting = HttpClient(ca=str(certificate))
        assert trusting.ask("GET", f"https://localhost:{port}/fine", "token").status == 200
        with pytest.raises(NoAnswer, match=r"(?i)certificate"):
            HttpClient().ask("GET", f"https://localhost:{port}/fine", "token")
        with pytest.raises(NoAnswer, match=r"(?i)certificate|match"):
            trusting.ask("GET", f"https://127.0.0.1:{port}/fine", "token")


def test_where_nobody_listens_there_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="refused"):
        HttpClient().ask("GET", "http://127.0.0.1:1/", "token")
