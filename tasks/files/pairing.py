"""Which files of a folder belong to one specimen, and which of them is its master.

Files belong together by their base name. What has no metadata and no image of its name (a README,
a list of checksums) belongs to none.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from schemas.image_formats import IMAGES, RAWS, format_of_name
from tasks.files.formats import is_meant, is_picture, same_format

STILL = 10
"""What lacks a partner, or is still being copied, is waited for so many times `settle_seconds`."""


@dataclass(frozen=True)
class Entry:
    """A file as the listing saw it; `mtime_ns` is nanoseconds since 1970."""

    path: Path
    size_bytes: int
    mtime_ns: int

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def mtime(self) -> int:
        """Whole seconds since 1970: shares round times differently after a remount."""
        return self.mtime_ns // 10**9


@dataclass(frozen=True)
class Pair:
    """What shares a base name: the metadata, its image, and all else that came with them.

    `named` is the format that the metadata names, `""` when it names none, None while it has
    not been read.
    """

    json: Entry | None = None
    image: Entry | None = None
    extras: tuple[Entry, ...] = ()
    named: str | None = field(default=None, compare=False)

    @property
    def files(self) -> list[Entry]:
        """All of its files."""
        return [each for each in (self.json, self.image, *self.extras) if each is not None]

    @property
    def is_complete(self) -> bool:
        """Whether metadata and master are there; with metadata unread, any picture will do."""
        if self.json is None:
            return False
        if self.named is None:
            return self.image is not None or any(_suffix(each) in RAWS for each in self.extras)
        return self.image_of(self.named) is not None

    @property
    def differs_in_case(self) -> bool:
        """Whether metadata and image have one name only where capitals do not count."""
        if self.json is None or self.image is None:
            return False
        return _stem(self.json) != _stem(self.image)

    def image_of(self, file_format: str | None) -> Entry | None:
        """The file in the format the metadata names (`TIF`, `raf`, …); else the usual image.

        None when there is no such file: another is never taken in its place.
        """
        return next(iter(self.images_of(file_format)), None)

    def images_of(self, file_format: str | None) -> list[Entry]:
        """Every file that may be meant, the usual one first; more than one is for a person."""
        files = ([self.image] if self.image else []) + list(self.extras)
        if file_format:
            return [each for each in files if is_meant(each.name, file_format)]
        usual = format_of_name(self.image.name) if self.image else None
        return [each for each in files if usual and _is_of(each, usual)]

    @property
    def documents(self) -> list[Entry]:
        """Its metadata; more than one is for a person."""
        more = [each for each in self.extras if _suffix(each) == ".json"]
        return ([self.json] if self.json else []) + more


def _is_of(entry: Entry, usual: str) -> bool:
    found = format_of_name(entry.name)
    return found is not None and same_format(found, usual)


def pair_up(files: Iterable[Entry]) -> tuple[dict[str, Pair], tuple[Entry, ...]]:
    """(the specimens by base name in Unicode NFC, the files that belong to none)."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    rest: list[Entry] = []
    for entry in files:
        if _suffix(entry) == ".json" or is_picture(entry.name):
            groups[_stem(entry)].append(entry)
        else:
            rest.append(entry)
    _join_where_only_case_differs(groups)
    bases = {base.lower(): base for base in groups} | {base: base for base in groups}
    others: list[Entry] = []
    for entry in rest:
        owner = _owner(entry.name, bases)
        (others if owner is None else groups[owner]).append(entry)
    return {base: _pair(groups[base]) for base in sorted(groups)}, tuple(others)


def _join_where_only_case_differs(groups: dict[str, list[Entry]]) -> None:
    """Put `a.tif` with `A.json`, as Windows would, where no other file can be meant.

    The metadata's name counts, since its guid is written like it.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for base in groups:
        alike[base.lower()].append(base)
    for bases in alike.values():
        described = [
            base for base in bases if any(_suffix(each) == ".json" for each in groups[base])
        ]
        names = [normal(each.name).lower() for base in bases for each in groups[base]]
        if len(bases) > 1 and len(described) == 1 and len(set(names)) == len(names):
            for base in bases:
                if base != described[0]:
                    groups[described[0]] += groups.pop(base)


def _owner(name: str, bases: dict[str, str]) -> str | None:
    """The longest base name that this file's name continues after a dot, as in `x.tif.md5`."""
    base = normal(name)
    while "." in base:
        base = base.rpartition(".")[0]
        if (found := bases.get(base) or bases.get(base.lower())) is not None:
            return found
    return None


def _pair(entries: list[Entry]) -> Pair:
    document = next((each for each in entries if _suffix(each) == ".json"), None)
    preferred = list(IMAGES)
    images = [each for each in entries if _suffix(each) in IMAGES]
    image = min(images, key=lambda each: preferred.index(_suffix(each)), default=None)
    extras = tuple(each for each in entries if each not in (document, image))
    return Pair(document, image, extras)


def normal(name: str) -> str:
    """A name in the one form in which names are compared: composed letters."""
    return unicodedata.normalize("NFC", name)


def _suffix(entry: Entry) -> str:
    return entry.path.suffix.lower()


def _stem(entry: Entry) -> str:
    return normal(entry.path.stem)
