"""Passwords, kept as argon2id hashes only; at most two are looked at at once."""

import asyncio
import hashlib
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

MIN_LENGTH, MAX_LENGTH = 10, 1000
"""Characters of a password; what is longer costs time and makes nothing safer."""

AT_ONCE = 2
"""Each takes 64 MB and a core for a moment; more at once would be a way to stop the machine."""


class UnfitPassword(ValueError):
    """It cannot be somebody's password; the message says why, and never what it was."""


def check_new_password(password: str, name: str) -> None:
    """Raises UnfitPassword for one that is too short, too long, or the user's own name."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise UnfitPassword(f"password: write {MIN_LENGTH} to {MAX_LENGTH} characters")
    if _composed(password).casefold() == _composed(name).casefold():
        raise UnfitPassword("password: it is the name; choose another")


def fingerprint(hashed: str) -> str:
    """Of a hash so much that a session can tell whether it is still the same."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]


class Passwords:
    """Hashes passwords and compares them, in threads of its own."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")

    def hashed(self, password: str) -> str:
        """A hash to be kept."""
        return self._hasher.hash(_composed(password))

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    async def match(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; without a hash it is not, and that takes as long."""
        return await self.beside(self._match, hashed, password)

    async def beside(self, work: Callable[..., T], *args: object) -> T:
        """Do something that takes long or waits for a disk in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def _match(self, hashed: str | None, password: str) -> bool:
        too_long = len(password) > MAX_LENGTH
        try:
            self._hasher.verify(hashed or self._nobodys, _composed(password[:MAX_LENGTH]))
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None and not too_long

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody's")


def _composed(password: str) -> str:
    """One password, whichever keyboard or system it is typed on."""
    # A form's field may hold halves of characters, which have no UTF-8.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
