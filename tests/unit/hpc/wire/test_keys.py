"""Keys and host keys that cannot be used are refused in words that never show them."""

import pytest

from hpc.wire.connect import read_host_key, read_private_key
from hpc.wire.errors import BadAddress
from schemas.ssh_address import SshHop

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGl0c21lIGl0c21lIGl0c21lIGl0c21lIGl0c21lMTI="


def hop(host_key: str = HOST_KEY, private_key: str = "SECRET") -> SshHop:
    return SshHop("login.example.org", "museum", host_key, private_key)


@pytest.mark.parametrize("before", ["", "login.example.org ", "[login.example.org]:2222 "])
def test_a_host_key_may_be_written_as_ssh_keyscan_prints_it(before: str) -> None:
    kind, key = read_host_key(hop(before + HOST_KEY + " a comment"))
    assert kind == "ssh-ed25519"
    assert key.endswith(b"itsme12")


@pytest.mark.parametrize("written", ["", "hello", "ssh-ed25519 %%%"])
def test_a_host_key_that_is_none_is_refused_by_host(written: str) -> None:
    with pytest.raises(BadAddress, match=r"login\.example\.org"):
        read_host_key(hop(written))


def test_a_private_key_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(BadAddress, match="OpenSSH key") as caught:
        read_private_key(hop())
    assert "SECRET" not in str(caught.value)


def test_an_address_does_not_show_its_secret() -> None:
    assert "SECRET" not in repr(hop())
