"""Keys and host keys that cannot be used are refused in words that never show them."""

import base64

import pytest

from hpc.transport.connect import read_private_key
from hpc.transport.errors import BadAddress
from hpc.transport.host_keys import HostKeys, read_host_keys
from schemas.ssh_address import SshHop

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGl0c21lIGl0c21lIGl0c21lIGl0c21lIGl0c21lMTI="


def key(kind: str, seed: int) -> str:
    """A key's public half as it is written; its bytes beyond the kind do not matter here."""
    named = kind.encode()
    blob = len(named).to_bytes(4) + named + seed.to_bytes(40)
    return f"{kind} {base64.b64encode(blob).decode()}"


ED_1, ED_2 = key("ssh-ed25519", 1), key("ssh-ed25519", 2)
RSA, ECDSA = key("ssh-rsa", 3), key("ecdsa-sha2-nistp256", 4)


def blob(written: str) -> bytes:
    return base64.b64decode(written.split()[1])


def read(*lines: str) -> HostKeys:
    return read_host_keys(hop("\n".join(lines)))


def hop(host_key: str = HOST_KEY, private_key: str = "SECRET") -> SshHop:
    return SshHop("login.example.org", "museum", host_key, private_key)


@pytest.mark.parametrize("before", ["", "login.example.org ", "[login.example.org]:2222 "])
def test_a_host_key_may_be_written_as_ssh_keyscan_prints_it(before: str) -> None:
    (pinned,) = read(before + HOST_KEY + " a comment").pinned["ssh-ed25519"]
    assert pinned.endswith(b"itsme12")


def test_every_key_of_several_login_nodes_counts_and_the_best_kind_is_asked_for_first() -> None:
    keys = read(
        "# login.example.org:22 SSH-2.0-OpenSSH_9.2p1",
        f"login.example.org {RSA}",
        f"login1.example.org,192.0.2.1 {ED_1} root@login1",
        f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {ED_2}",
        f"# {key('ssh-ed25519', 9)}",
        f"[login2.example.org]:2222 {ECDSA}",
    )
    assert list(keys.pinned) == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]
    assert keys.signatures[0] == "ssh-ed25519"
    assert keys.signatures[-1] == "rsa-sha2-256"
    for written in (RSA, ED_1, ED_2, ECDSA):
        assert keys.accept(blob(written))
    assert not keys.accept(blob(key("ssh-ed25519", 9)))


def test_a_form_that_has_one_line_only_loses_no_key() -> None:
    text = f"login1 {ED_1}\nlogin2 {ED_2} a comment\n{RSA}\n"
    assert read(text.replace("\n", " ")) == read(text)


def test_a_revoked_key_is_never_accepted() -> None:
    keys = read(f"login {ED_1}", f"@revoked * {ED_2}", f"login {ED_2}", f"@revoked {RSA}")
    assert keys.accept(blob(ED_1))
    assert not keys.accept(blob(ED_2))
    assert keys.signatures == ("ssh-ed25519",)
    with pytest.raises(BadAddress):
        read(f"@revoked * {ED_1}")


def test_an_authority_of_host_certificates_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadAddress, match="pin the keys of its login nodes themselves"):
        read(f"@cert-authority *.example.org {ED_1}")


def test_a_kind_that_is_not_safe_any_more_is_passed_over_or_refused_by_its_name() -> None:
    dss = key("ssh-dss", 5)
    assert list(read(dss, ED_1).pinned) == ["ssh-ed25519"]
    with pytest.raises(BadAddress, match="ssh-dss"):
        read(dss)


def test_a_key_under_another_kind_s_name_is_refused() -> None:
    with pytest.raises(BadAddress, match="not the ssh-rsa key"):
        read(f"ssh-rsa {ED_1.split()[1]}")


@pytest.mark.parametrize("written", ["", "hello", "ssh-ed25519 %%%"])
def test_a_host_key_that_is_none_is_refused_by_host(written: str) -> None:
    with pytest.raises(BadAddress, match=r"login\.example\.org"):
        read_host_keys(hop(written))


def test_a_private_key_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(BadAddress, match="OpenSSH key") as caught:
        read_private_key(hop())
    assert "SECRET" not in str(caught.value)


def test_an_address_does_not_show_its_secret() -> None:
    assert "SECRET" not in repr(hop())
