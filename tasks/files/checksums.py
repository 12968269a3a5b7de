"""Checksums that came with files, as GNU and BSD tools, OpenSSL and Windows ones write them.

A line is `SUM  name`, `SUM *name`, `MD5 (name) = SUM`, or a `SUM` alone; capitals, `./`, byte
order marks and carriage returns make no difference, and a line that is none of these says nothing.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tasks.files.pairing import normal

BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
"""What makes a sum of so many hexadecimal digits, as hashlib calls it."""

COPY_AGAIN = "copy it again from the workstation, or correct the checksum"

_GNU = re.compile(r"(\\?)([0-9a-f]{32,128})[ \t]+\*?(\S.*)", re.IGNORECASE)
_BSD = re.compile(r"(?:md5|sha2?-?\d+) ?\((.+)\) ?= ?([0-9a-f]{32,128})", re.IGNORECASE)
_BARE = re.compile(r"[0-9a-f]{32,128}", re.IGNORECASE)
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Sum:
    """A checksum in lower case, what makes it as hashlib calls it, and the file that says it."""

    algorithm: str
    value: str
    said_by: str

    def differs(self, value: str) -> str | None:
        """How the sum of a content differs from this one, in words; None when it does not."""
        if value == self.value:
            return None
        made_by = self.algorithm.upper().replace("SHA", "SHA-")
        return f"its {made_by} is {value}, {self.said_by} says {self.value}"


@dataclass(frozen=True)
class ChecksumLine:
    """One sum, and the name it stands beside: "" where there is none, None in another folder."""

    name: str | None
    sum: Sum


def lines_in(content: bytes, said_by: str) -> list[ChecksumLine]:
    """Every checksum in a file of them."""
    found = []
    for text in _text(content).splitlines():
        if (read := _read(text.strip())) is not None:
            name, value = read
            if (algorithm := BY_LENGTH.get(len(value))) is not None:
                found.append(ChecksumLine(_plain(name), Sum(algorithm, value.lower(), said_by)))
    return found


def differing(sums: Iterable[Sum], found: Mapping[str, str]) -> str | None:
    """How the first of some sums differs from those found of a content, by algorithm."""
    differences = (each.differs(found[each.algorithm]) for each in sums)
    return next((text for text in differences if text), None)


def differing_content(sums: Collection[Sum], content: bytes) -> str | None:
    """The same of a content that is at hand."""
    return differing(
        sums, {each.algorithm: hashlib.new(each.algorithm, content).hexdigest() for each in sums}
    )


def _text(content: bytes) -> str:
    code = _MARKS.get(content[:2], "utf-8-sig")
    try:
        return content.decode(code)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _read(line: str) -> tuple[str, str] | None:
    """(name, sum) of a line."""
    if match := _GNU.fullmatch(line):
        # GNU tools begin a line with a backslash when those in the name are doubled.
        return match[3].replace("\\\\", "\\") if match[1] else match[3], match[2]
    if match := _BSD.fullmatch(line):
        return match[1], match[2]
    return ("", line) if _BARE.fullmatch(line) else None


def _plain(name: str) -> str | None:
    plain = name.replace("\\", "/").removeprefix("./")
    return None if "/" in plain else normal(plain)
