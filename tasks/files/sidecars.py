"""The files that hold checksums of others: `x.tif.md5`, `x.md5`, `SHA256SUMS`, `md5sum.txt` …

Which they are, and which file of a specimen a sum in them is about. A sum alone in a file that is
named after another is that one's, whatever name it had when the sum was made; else the name beside
the sum counts, capitals apart.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.errors import TooLarge
from tasks.files.checksums import Sum, lines_in
from tasks.files.copies import document_content
from tasks.files.formats import is_picture
from tasks.files.mounts import Pulse
from tasks.files.names import is_left_alone, is_unfinished
from tasks.files.ndrive import Listing
from tasks.files.pairing import Entry, Pair, normal

MAX_LIST_BYTES = 8 << 20
"""Bytes of a list of checksums; one of 5,000 files has about half of one million."""

_ENDING = re.compile(r"\.(?:md5|sha1|sha256|sha384|sha512)(?:sums?)?$", re.IGNORECASE)
_LIST = re.compile(
    r"(?:(?:md5|sha(?:1|256|384|512))[-_]?(?:sums?)?|check_?sums?|hashes"
    r"|(?:tag)?manifest-(?:md5|sha\d+))"
    r"(?:\.(?:txt|md5|sha1|sha256|sha384|sha512))?",
    re.IGNORECASE,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SidecarContent:
    """What one such file holds: its sums by name in one form, and the sum that is alone in it."""

    file: str
    sums: Mapping[str, tuple[Sum, ...]]
    names: tuple[str, ...]
    alone: Sum | None = None


def is_sidecar(name: str) -> bool:
    """Whether a file of this name holds checksums of others."""
    return bool(_ENDING.search(name) or _LIST.fullmatch(name))


def lists_in(listing: Listing) -> tuple[Entry, ...]:
    """The files of checksums in a folder that belong to no specimen."""
    return tuple(each for each in listing.others if is_sidecar(each.name))


def parse_sidecar(content: bytes, file: str) -> SidecarContent:
    """Read the content of a file of checksums; one that is too large counts as empty."""
    if len(content) > MAX_LIST_BYTES:
        log.warning("%s is left alone: a list of checksums has no %d bytes", file, MAX_LIST_BYTES)
        return SidecarContent(file, {}, ())
    lines = lines_in(content, file)
    sums: dict[str, tuple[Sum, ...]] = {}
    for each in lines:
        if each.name:
            sums[_key(each.name)] = (*sums.get(_key(each.name), ()), each.sum)
    names = tuple(dict.fromkeys(each.name for each in lines if each.name))
    return SidecarContent(file, sums, names, lines[0].sum if len(lines) == 1 else None)


def sums_of(pair: Pair, sidecars: Iterable[SidecarContent]) -> dict[str, tuple[Sum, ...]]:
    """The sums of a specimen's files, by file name: all of them must be right."""
    found: dict[str, tuple[Sum, ...]] = {}
    for each in sidecars:
        owner = _owner(each.file, pair)
        if owner is not None and each.alone is not None:
            found[owner.name] = (*found.get(owner.name, ()), each.alone)
            continue
        for entry in pair.files:
            if sums := each.sums.get(_key(entry.name)):
                found[entry.name] = (*found.get(entry.name, ()), *sums)
    return found


def lacking(listing: Listing, sidecars: Iterable[SidecarContent]) -> dict[str, str]:
    """Files that are named in a list of checksums and are not there: name, and who says it."""
    every = (*listing.files, *listing.others, *listing.unfinished)
    there = {_key(each.name) for each in every}
    there |= {_key(name) for name in (*listing.nested, *listing.refused)}
    found: dict[str, str] = {}
    for each in sidecars:
        stem = _ENDING.sub("", each.file)
        named_after = stem != each.file and (_key(stem) in there or normal(stem) in listing.items)
        if each.alone is not None and named_after:
            continue  # that file's, whatever name stands beside the sum
        for name in each.names:
            if not (_key(name) in there or is_left_alone(name) or is_unfinished(name)):
                found.setdefault(name, each.file)
    return found


class Sidecars:
    """What was read of them, once for each name, size and time."""

    def __init__(self) -> None:
        self._known: dict[Entry, SidecarContent] = {}

    def of(self, pulse: Pulse, pair: Pair, lists: Iterable[Entry]) -> dict[str, tuple[Sum, ...]]:
        """The sums of a specimen's files by name; for who is in a thread already.

        Raises a FileError when a file of checksums cannot be read.
        """
        mine = [each for each in pair.extras if is_sidecar(each.name)]
        return sums_of(pair, [self._content_of(pulse, each) for each in (*mine, *lists)])

    def _content_of(self, pulse: Pulse, entry: Entry) -> SidecarContent:
        if entry not in self._known:
            pulse.beat()
            try:
                content = document_content(pulse, entry.path)
            except TooLarge:
                content = bytes(MAX_LIST_BYTES + 1)
            self._known[entry] = parse_sidecar(content, entry.name)
        return self._known[entry]


def _owner(sidecar: str, pair: Pair) -> Entry | None:
    """The file that a sidecar is named after: `x.tif` by `x.tif.md5`, the only image by `x.md5`."""
    stem = _key(_ENDING.sub("", sidecar))
    files = [each for each in pair.files if each.name != sidecar]
    named = [each for each in files if _key(each.name) == stem]
    if named:
        return named[0]
    images = [each for each in files if is_picture(each.name) and _key(each.path.stem) == stem]
    return images[0] if len(images) == 1 else None


def _key(name: str) -> str:
    return normal(name).lower()
