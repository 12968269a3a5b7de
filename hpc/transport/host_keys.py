"""The pinned host keys of a login node: any of them counts, since a name may have many nodes.

They are written as `ssh-keyscan` or a `known_hosts` file has them: a line each, with or
without the host's name, plain or hashed. A form field that joins the lines to one is read too.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from hpc.transport.errors import BadAddress
from schemas.ssh_address import SshHop

SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""The kinds of host key that are safe, the best first, and how each may sign."""

HOW = "write them as `ssh-keyscan {host}` prints them"


@dataclass(frozen=True)
class HostKeys:
    """What is pinned: keys by kind, in the order of SIGNATURES, and keys never to be trusted."""

    pinned: dict[str, frozenset[bytes]]
    revoked: frozenset[bytes] = frozenset()

    @property
    def signatures(self) -> tuple[str, ...]:
        """What to ask the host to sign with."""
        return tuple(each for kind in self.pinned for each in SIGNATURES[kind])

    @property
    def kinds(self) -> str:
        """For messages: the kinds of key that are pinned."""
        return " or ".join(self.pinned)

    @property
    def fingerprints(self) -> str:
        """For messages: every pinned key."""
        keys = sorted(key for each in self.pinned.values() for key in each)
        return " or ".join(fingerprint(key) for key in keys)

    def accept(self, key: bytes) -> bool:
        """Whether a host that proves to have this key is one of those pinned."""
        return key not in self.revoked and any(key in each for each in self.pinned.values())


def read_host_keys(hop: SshHop) -> HostKeys:
    """The keys that a block pins. Raises BadAddress."""
    pinned: dict[str, set[bytes]] = {kind: set() for kind in SIGNATURES}
    revoked, others = set(), set()
    for marker, kind, text in _entries(_words(hop.host_key)):
        if marker == "@cert-authority":
            raise BadAddress(
                f"the host keys of {hop.host} name a certificate authority, and certificates of "
                "hosts are not read: pin the keys of its login nodes themselves"
            )
        key = _decode(hop, kind, text)
        if marker == "@revoked":
            revoked.add(key)
        elif kind in pinned:
            pinned[kind].add(key)
        else:
            others.add(kind)
    usable = {kind: frozenset(keys - revoked) for kind, keys in pinned.items() if keys - revoked}
    if not usable:
        raise BadAddress(_lacking(hop, others))
    return HostKeys(usable, frozenset(revoked))


def _words(text: str) -> list[str]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return " ".join(lines).split()


def _entries(words: list[str]) -> Iterable[tuple[str, str, str]]:
    """(marker or nothing, kind, base64) of each key; names, hashes and comments are skipped."""
    for place, kind in enumerate(words[:-1]):
        if kind.startswith(("ssh-", "ecdsa-")) and not words[place + 1].startswith("SSH-"):
            before = words[max(0, place - 2) : place]
            marker = next((word for word in before if word.startswith("@")), "")
            yield marker, kind, words[place + 1]


def _decode(hop: SshHop, kind: str, text: str) -> bytes:
    """A key's bytes, which begin with its kind. Raises BadAddress."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadAddress(f"the pinned host key of {hop.host} is no base64") from error
    named = kind.encode()
    if key[:4] != len(named).to_bytes(4) or key[4 : 4 + len(named)] != named:
        raise BadAddress(f"the pinned host key of {hop.host} is not the {kind} key it is called")
    return key


def _lacking(hop: SshHop, others: Iterable[str]) -> str:
    how = HOW.format(host=hop.host)
    if kinds := sorted(others):
        return f"the pinned host keys of {hop.host} are of no kind that is safe ({kinds}): {how}"
    return f"the pinned host key of {hop.host} reads '{hop.host_key[:20]}…': {how}"


def fingerprint(key: bytes) -> str:
    """As `ssh-keygen -l` writes it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"
