"""Whose address counts: the nearest hop that no listed proxy vouches for."""

from ipaddress import ip_address, ip_network

import pytest

from blocks.access.addresses import client_address

PROXIES = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.9.9.9"], "10.0.0.1"),
        ("192.0.2.1", ["10.9.9.9"], "10.9.9.9"),
        ("192.0.2.1", ["10.9.9.9, 10.8.8.8"], "10.8.8.8"),
        ("192.0.2.1", ["10.9.9.9", "10.8.8.8, 192.0.2.2"], "10.8.8.8"),
        ("192.0.2.1", [], "192.0.2.1"),
        ("2001:db8::1", ["10.9.9.9"], "10.9.9.9"),
        ("::ffff:192.0.2.1", ["10.9.9.9"], "10.9.9.9"),
        ("::ffff:10.0.0.1", [], "10.0.0.1"),
        ("192.0.2.1", ["10.9.9.9:1234"], None),
        ("192.0.2.1", ["unknown"], None),
        ("", [], None),
        ("unix:/socket", ["10.9.9.9"], None),
    ],
)
def test_the_address_that_counts(peer: str, forwarded: list[str], found: str | None) -> None:
    address = client_address(peer, forwarded, PROXIES)
    assert address == (ip_address(found) if found else None)
