"""Tokens of attempts: an HMAC over (key id, attempt, fence), valid while the attempt is.

They carry no clock: a job may wait in a cluster's queue for days. What a token may
do is decided by whether its attempt is still current.
"""

import hashlib
import hmac
from dataclasses import dataclass


class BadAttemptToken(Exception):
    """The token was not made with a key of ours, or for another attempt."""


@dataclass(frozen=True)
class Keys:
    """The signing keys by id; the first one signs, all of them verify (for rotation)."""

    keys: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, written: str) -> "Keys":
        """From `id:hex[,id:hex]`. Raises ValueError."""
        pairs = [each.strip().partition(":") for each in written.split(",") if each.strip()]
        if not pairs:
            raise ValueError("no token key: give at least one as id:hex")
        return cls(tuple((name, bytes.fromhex(key)) for name, _, key in pairs))

    def issue(self, attempt_id: int, fence: int) -> str:
        """The bearer token of one attempt."""
        name, key = self.keys[0]
        return f"{name}.{attempt_id}.{fence}.{_sign(key, name, attempt_id, fence)}"

    def read(self, token: str) -> tuple[int, int]:
        """(attempt, fence) that a token was issued for. Raises BadAttemptToken."""
        parts = token.split(".")
        if len(parts) != 4 or not parts[1].isdecimal() or not parts[2].isdecimal():
            raise BadAttemptToken("not a token of an attempt")
        name, attempt_id, fence = parts[0], int(parts[1]), int(parts[2])
        for known, key in self.keys:
            wanted = _sign(key, known, attempt_id, fence)
            if known == name and hmac.compare_digest(wanted, parts[3]):
                return attempt_id, fence
        raise BadAttemptToken("not signed with a key of ours")


def _sign(key: bytes, name: str, attempt_id: int, fence: int) -> str:
    message = f"{name}.{attempt_id}.{fence}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()
