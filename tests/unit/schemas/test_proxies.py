"""What a process is told of proxies, read as the clients read it."""

import httpx
import pytest

from schemas.proxies import proxies, unproxied


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3"])
def test_a_client_that_reads_the_environment_asks_no_proxy_for_these(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    for name, value in unproxied({"NO_PROXY": "museum.example"}, ["10.1.2.3"]).items():
        monkeypatch.setenv(name, value)
    with httpx.Client() as client:
        direct = client._transport_for_url(httpx.URL(f"http://{host}:4200/"))
        assert direct is client._transport
        outside = client._transport_for_url(httpx.URL("http://ars.example/"))
        assert outside is not client._transport


def test_what_was_excepted_before_stays_so_once_in_both_spellings() -> None:
    given = {"no_proxy": "a.example, 127.0.0.1", "NO_PROXY": "b.example"}
    wanted = "a.example,127.0.0.1,b.example,localhost,::1"
    assert unproxied(given) == {"no_proxy": wanted, "NO_PROXY": wanted}
    assert unproxied({"NO_PROXY": "a.example, *"})["NO_PROXY"] == "*"


def test_proxies_keep_their_spelling_and_nothing_else_is_taken() -> None:
    given = {"https_proxy": "http://p:1", "HTTP_PROXY": "http://p:2", "PROXY_SECRET": "x"}
    assert proxies(given) == {"https_proxy": "http://p:1", "HTTP_PROXY": "http://p:2"}
