"""A node's way out: directly, through the proxy its environment names, with TLS and without."""

import base64
import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

FAR = "http://api.museum.example"
LOGIN = f"Basic {base64.b64encode(b'node:p@ss').decode()}"


def environment(**more: str) -> dict[str, str]:
    """This process's, with no proxies but those in `more`."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return kept | more


def send_elsewhere(folder: Path, callback: str) -> None:
    """Have the lines of a batch call another address."""
    path = folder / "manifest.jsonl"
    lines = [json.loads(line) | {"callback": callback} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@contextmanager
def tunnels() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that only tunnels: its port, and what it was asked for."""
    asked: list[bytes] = []

    class Tunnel(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self.request.recv(4096)
            asked.append(head)
            host, port = head.split()[1].decode().split(":")
            with socket.create_connection((host, int(port)), timeout=20) as far:
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(far, self.request))
                back.start()
                pump(self.request, far)
                back.join()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def pump(source: socket.socket, to: socket.socket) -> None:
    """Hand on all that comes, and the end of it."""
    with suppress(OSError):
        while some := source.recv(65536):
            to.sendall(some)
        to.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("scheme", ["http://", ""])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_is_asked_for_the_whole_address(world, batch, scheme: str, variable: str) -> None:
    batch.add(world, 7, "load")
    send_elsewhere(batch.folder, FAR)
    proxy = scheme + world.url.replace("http://", "node:p%40ss@")
    assert batch.run(env=environment(**{variable: proxy})) == 0
    assert world.outcome(7)[0] == "complete"
    for command, path, headers in world.asked:
        assert (command, path.rpartition("/")[0]) == ("POST", f"{FAR}/attempts/7")
        assert (headers["Host"], headers["Proxy-Authorization"]) == ("api.museum.example", LOGIN)
        assert headers["Authorization"] == "Bearer token-7"


def test_a_proxy_is_not_asked_for_what_it_is_not_for(world, batch) -> None:
    batch.add(world, 7, "load")
    nobody = "http://127.0.0.1:1"
    exempt = environment(http_proxy=nobody, no_proxy="other.example,127.0.0.1")
    assert batch.run("--patience", "0.2", env=environment(http_proxy=nobody)) == os.EX_TEMPFAIL
    assert world.asked == []
    assert batch.run(env=exempt | {"https_proxy": nobody}) == 0
    assert world.outcome(7)[0] == "complete"
    assert not any("Proxy-Authorization" in headers for _, _, headers in world.asked)


def test_a_server_behind_tls_is_held_to_its_certificate(secure_world, batch, tmp_path) -> None:
    batch.add(secure_world, 7, "load")
    assert batch.run("--patience", "0.2", env=environment()) == os.EX_TEMPFAIL
    assert "CERTIFICATE_VERIFY_FAILED" in batch.log()
    assert secure_world.asked == []
    trusting = environment(SSL_CERT_FILE=str(tmp_path / "localhost.pem"))
    assert batch.run(env=trusting) == 0
    assert secure_world.outcome(7)[0] == "complete"


def test_a_proxy_sees_nothing_of_what_goes_through_tls(secure_world, batch, tmp_path) -> None:
    batch.add(secure_world, 7, "load")
    trusting = environment(SSL_CERT_FILE=str(tmp_path / "localhost.pem"))
    with tunnels() as (port, asked):
        proxy = f"http://node:p%40ss@127.0.0.1:{port}"
        assert batch.run(env=trusting | {"https_proxy": proxy}) == 0
    assert secure_world.outcome(7)[0] == "complete"
    assert len(asked) == 2
    for head in asked:
        assert head.startswith(f"CONNECT {secure_world.url.removeprefix('https://')} ".encode())
        assert f"Proxy-Authorization: {LOGIN}".encode() in head
        assert b"token-7" not in head
    assert not any("Proxy-Authorization" in headers for _, _, headers in secure_world.asked)


@pytest.mark.parametrize("proxy", ["http://[", "http://127.0.0.1:port", "socks5://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_a_server_out_of_reach(world, batch, proxy: str) -> None:
    batch.add(world, 7, "load")
    code = batch.run("--patience", "0.2", env=environment(http_proxy=proxy))
    assert code == os.EX_TEMPFAIL
    assert "gave up" in batch.log()
    assert world.asked == []
