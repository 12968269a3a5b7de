"""Reads a session's folder on the N-Drive, and leaves there what people must know.

A folder is listed, never changed file by file: originals stay as the workstation left
them. The refinery writes one note, `QUARANTINE.txt`, and renames the folder at the end.
"""

import hashlib
import json
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tasks.copies import sync_folder
from tasks.file_errors import FileError, SourceVanished, named
from tasks.formats import IMAGES, format_of_name, same_format
from tasks.threads import Stop, Threads

COMPLETE_MARKER = ".complete"
QUARANTINE_NOTE = "QUARANTINE.txt"
CLOSED_PREFIXES = ("imported_", "error_")
NOT_SESSIONS = (*CLOSED_PREFIXES, "new_", ".", "~", "$")
"""Beginnings of names that are no sessions: closed, unfinished and hidden folders."""

SERVERS_OWN = frozenset({"@eadir", "#recycle", "lost+found", "system volume information"})
"""Folders that file servers and Windows keep on a share for themselves."""

LEFT_ALONE = frozenset({"thumbs.db", "desktop.ini", QUARANTINE_NOTE.lower()})
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload")
"""Endings under which copying programs keep a file until it is whole."""

LISTING = Threads("listing", 2)

log = logging.getLogger(__name__)


class OutsideDrive(FileError):
    """The path leaves the N-Drive, by `..` or through a link."""

    remedy = "give a folder on the N-Drive; replace links by the files themselves"


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
    """What shares a base name: the metadata, its image, and all else that came with them."""

    json: Entry | None = None
    image: Entry | None = None
    extras: tuple[Entry, ...] = ()

    @property
    def whole(self) -> bool:
        return self.json is not None and self.image is not None

    def image_of(self, file_format: str | None) -> Entry | None:
        """The file in the format the metadata names (`TIF`, `raf`, …); else the usual image."""
        files = ([self.image] if self.image else []) + list(self.extras)
        for entry in files if file_format else ():
            found = format_of_name(entry.name)
            if found and same_format(found, str(file_format)):
                return entry
        return self.image


@dataclass(frozen=True)
class Listing:
    """One look into a folder; equal listings mean that nothing moved between two looks.

    `items` is keyed by base name in Unicode NFC. `nested` are folders, `refused` maps a
    name to why it is not read, `unfinished` are uploads still under a temporary name.
    """

    folder: Path
    items: dict[str, Pair]
    nested: tuple[str, ...] = ()
    unfinished: tuple[Entry, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    marked: bool = False

    @property
    def unpaired(self) -> tuple[str, ...]:
        """Base names that lack their metadata or their image."""
        return tuple(base for base, pair in self.items.items() if not pair.whole)

    @property
    def files(self) -> list[Entry]:
        return [
            entry
            for pair in self.items.values()
            for entry in (pair.json, pair.image, *pair.extras)
            if entry is not None
        ]


@dataclass(frozen=True)
class QuarantineEntry:
    """One line of the note: which file, what is wrong with it, what to do."""

    file: str
    problem: str
    remedy: str


async def look_into(folder: Path, root: Path | None = None) -> Listing:
    """`list_session` in a thread: a share may take its time, or hang."""
    return await LISTING.run(_list, folder, root)


def is_session_name(name: str) -> bool:
    """Whether a folder of this name is to be taken; case is ignored, as on a file server."""
    lower = name.lower()
    hidden = lower.startswith(NOT_SESSIONS) or lower in SERVERS_OWN
    return bool(name) and not hidden and is_readable_name(name)


def inside(root: Path, path: Path) -> Path:
    """`path`, absolute or relative to `root`, resolved; raises OutsideDrive or SourceVanished."""
    if ".." in path.parts:
        raise OutsideDrive(path, "it contains `..`")
    try:
        base = root.resolve(strict=True)
        resolved = (base / path).resolve(strict=True)
    except RuntimeError as error:
        raise OutsideDrive(path, "its links lead round in a circle") from error
    except OSError as error:
        raise named(error, path, reading=True) from error
    if not resolved.is_relative_to(base):
        raise OutsideDrive(path, f"it lies outside {root}")
    return resolved


def list_session(folder: Path, root: Path | None = None) -> Listing:
    """List a folder; links are followed only inside `root` (the drive; else the folder).

    Raises SourceVanished, PermissionDenied or DeviceFault when it cannot be read.
    """
    return _list(Stop(), folder, root)


def _list(_: Stop, folder: Path, root: Path | None) -> Listing:
    files: list[Entry] = []
    nested: list[str] = []
    unfinished: list[Entry] = []
    refused: dict[str, str] = {}
    marker: int | None = None
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise named(error, folder, reading=True) from error
    for found_entry in entries:
        name = found_entry.name
        if name == COMPLETE_MARKER:
            marker = _marker(Path(found_entry.path))
        if name.startswith((".", "~$")) or name.lower() in LEFT_ALONE:
            continue
        entry = _entry(found_entry, root or folder)
        if isinstance(entry, str):
            refused[name] = entry
        elif entry is None:
            nested.append(name)
        elif name.lower().endswith(UNFINISHED):
            unfinished.append(entry)
        else:
            files.append(entry)
    # A marker older than a file belongs to an earlier upload into the same folder.
    marked = marker is not None and all(entry.mtime_ns <= marker for entry in files)
    return Listing(folder, _pairs(files), tuple(nested), tuple(unfinished), refused, marked)


def _entry(found: os.DirEntry[str], root: Path) -> Entry | str | None:
    """A file; None for a folder; or why the name is refused."""
    path = Path(found.path)
    if not is_readable_name(found.name):
        return "its name is no valid text"
    try:
        if found.is_symlink():
            path = inside(root, path.absolute())
        state = path.stat()
    except FileError as error:
        return f"it is a link that is not followed: {error.reason}"
    except OSError as error:
        return named(error, path, reading=True).reason
    if stat.S_ISDIR(state.st_mode):
        return None
    if not stat.S_ISREG(state.st_mode):
        return "it is neither a file nor a folder"
    return Entry(Path(found.path), state.st_size, state.st_mtime_ns)


def _marker(path: Path) -> int | None:
    """When the upload was marked complete; None while the mark is not whole."""
    try:
        whole = isinstance(json.loads(path.read_bytes()), dict)
        return path.stat().st_mtime_ns if whole else None
    except (OSError, ValueError):
        return None


def is_readable_name(name: str) -> bool:
    """Whether a name is text throughout: no control characters, no bytes that are no UTF-8."""
    # Undecodable bytes arrive as surrogates, which neither JSON nor the database can hold.
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


def _pairs(files: Iterable[Entry]) -> dict[str, Pair]:
    groups: dict[str, list[Entry]] = {}
    others: list[Entry] = []
    for entry in files:
        known = _suffix(entry) == ".json" or format_of_name(entry.name) is not None
        if known:
            groups.setdefault(_base(Path(entry.name).stem), []).append(entry)
        else:
            others.append(entry)
    for entry in others:
        groups.setdefault(_owner(entry.name, groups), []).append(entry)
    return {base: _pair(groups[base]) for base in sorted(groups)}


def _owner(name: str, groups: Container[str]) -> str:
    """The longest base name this file's name continues after a dot, as in `x.tif.md5`."""
    base = _base(name)
    while "." in base:
        base = base.rpartition(".")[0]
        if base in groups:
            return base
    return _base(Path(name).stem)


def _pair(entries: list[Entry]) -> Pair:
    documents = [entry for entry in entries if _suffix(entry) == ".json"]
    preferred = list(IMAGES)
    images = sorted(
        (entry for entry in entries if _suffix(entry) in IMAGES),
        key=lambda entry: preferred.index(_suffix(entry)),
    )
    chosen = documents[:1] + images[:1]
    extras = tuple(entry for entry in entries if entry not in chosen)
    return Pair(next(iter(documents), None), next(iter(images), None), extras)


def _suffix(entry: Entry) -> str:
    return entry.path.suffix.lower()


def _base(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def listing_hash(listing: Listing) -> str:
    """SHA-256 (hex) over names, sizes and times of the files: the identity of what was dropped.

    Times count in whole seconds.
    """
    lines = sorted(
        f"{_base(entry.name)}\0{entry.size_bytes}\0{entry.mtime}\n" for entry in listing.files
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def close_folder(folder: Path, prefix: str, *, known_hash: str | None = None) -> Path:
    """Rename a session's folder to `<prefix><name>`; the path it has then.

    Already renamed is fine; a taken name gets ` (2)`, ` (3)`, … and that is logged.
    `known_hash`, the listing's, tells several earlier namesakes apart after a crash.
    Raises SourceVanished when neither the folder nor a renamed one is there.
    """
    if prefix not in CLOSED_PREFIXES:
        raise ValueError(f"a folder is closed with one of {', '.join(CLOSED_PREFIXES)}")
    if folder.name.startswith(prefix) and folder.is_dir():
        return folder
    plain = re.sub(rf"^(?:{'|'.join(CLOSED_PREFIXES)})", "", folder.name)
    wanted = folder.with_name(prefix + plain)
    if not folder.is_dir():
        return _renamed_before(folder, wanted, known_hash)
    target, n = wanted, 1
    while os.path.lexists(target):
        n += 1
        target = wanted.with_name(f"{wanted.name} ({n})")
    try:
        folder.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise named(error, folder, reading=False) from error
    if n > 1:
        log.warning("%s exists already: the folder is now %s", wanted, target.name)
    return target


def _renamed_before(folder: Path, wanted: Path, known_hash: str | None) -> Path:
    namesakes, n = [], 1
    target = wanted
    while target.is_dir():
        namesakes.append(target)
        n += 1
        target = wanted.with_name(f"{wanted.name} ({n})")
    if not namesakes:
        raise SourceVanished(folder, f"neither it nor {wanted.name} is there")
    if known_hash is not None:
        same = [path for path in namesakes if listing_hash(list_session(path)) == known_hash]
        namesakes = same or namesakes
    return namesakes[-1]


def write_quarantine_note(folder: Path, entries: Iterable[QuarantineEntry]) -> Path | None:
    """Write the folder's `QUARANTINE.txt` for exactly these entries; None removes it.

    The same entries give the same bytes and touch nothing. Raises a FileError.
    """
    note = folder / QUARANTINE_NOTE
    listed = sorted(set(entries), key=lambda entry: (entry.file, entry.problem))
    try:
        if not listed:
            note.unlink(missing_ok=True)
            return None
        text = _note(listed)
        if note.is_symlink() or not note.is_file() or note.read_bytes() != text:
            temporary = note.with_name(f".{QUARANTINE_NOTE}.{uuid4().hex}.part")
            temporary.write_bytes(text)
            temporary.replace(note)
    except OSError as error:
        raise named(error, note, reading=False) from error
    return note


def _note(entries: list[QuarantineEntry]) -> bytes:
    head = (
        "These files of this folder were not taken in. Nothing here was changed or deleted.\n"
        "Put right what is named below and drop the corrected files again, metadata and\n"
        "image together, under the same names, into a new folder beside this one: that\n"
        "re-opens them. This folder is closed and not looked at again.\n"
    )
    blocks = [
        f"\n{entry.file}\n  wrong:  {entry.problem}\n  to do:  {entry.remedy}\n"
        for entry in entries
    ]
    # Windows' older editors show a file without carriage returns as a single line.
    return (head + "".join(blocks)).replace("\n", "\r\n").encode()
