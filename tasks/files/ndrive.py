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
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from uuid import uuid4

from schemas.quarantine import QuarantineEntry
from tasks.errors import FileError, SourceVanished, named
from tasks.files.copies import sync_folder
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.names import (
    COMPLETE_MARKER,
    QUARANTINE_NOTE,
    UNFINISHED_FOLDERS,
    is_left_alone,
    is_readable_name,
    is_unfinished,
)
from tasks.files.pairing import Entry, Pair, normal, pair_up

CLOSED_PREFIXES = ("imported_", "error_")
NOT_SESSIONS = (*CLOSED_PREFIXES, "new_", ".", "~", "$")
"""Beginnings of names that are no sessions: closed, unfinished and hidden folders."""

SERVERS_OWN = frozenset({"@eadir", "#recycle", "lost+found", "system volume information"})
"""Folders that file servers and Windows keep on a share for themselves."""

log = logging.getLogger(__name__)


class OutsideDrive(FileError):
    """The path leaves the N-Drive, by `..` or through a link."""

    remedy = "give a folder on the N-Drive; replace links by the files themselves"


@dataclass(frozen=True)
class Listing:
    """One look into a folder; equal listings mean that nothing moved between two looks.

    `items` is keyed by base name in Unicode NFC. `nested` are folders, `refused` maps a
    name to why it is not read, `unfinished` are uploads still under a temporary name, `others`
    files that belong to no specimen.
    """

    folder: Path
    items: dict[str, Pair]
    nested: tuple[str, ...] = ()
    unfinished: tuple[Entry, ...] = ()
    others: tuple[Entry, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    marked: bool = False

    @property
    def unpaired(self) -> tuple[str, ...]:
        """Base names that lack their metadata, or the image that it names."""
        return tuple(base for base, pair in self.items.items() if not pair.is_complete)

    @property
    def files(self) -> list[Entry]:
        """The files of all specimens: what a session is about."""
        return [entry for pair in self.items.values() for entry in pair.files]


async def look_into(folder: Path, root: Path | None = None) -> Listing:
    """`list_session` in a thread of its workstation; raises NotAnswering too."""
    return await MOUNTS.run(folder.parent, listed, folder, root)


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
    return listed(Pulse(), folder, root)


def listed(pulse: Pulse, folder: Path, root: Path | None) -> Listing:
    """`list_session`, for who is in a thread already."""
    files: list[Entry] = []
    nested: list[str] = []
    unfinished: list[Entry] = []
    refused: dict[str, str] = {}
    marker: int | None = None
    for found in _scan(folder):
        pulse.beat()
        name = found.name
        if name == COMPLETE_MARKER:
            marker = _marker(Path(found.path))
        if name.lower() in UNFINISHED_FOLDERS:
            unfinished += _unfinished_in(found, root or folder)
            continue
        partial = is_unfinished(name)
        if is_left_alone(name) and not partial:
            continue
        entry = _entry(found, root or folder)
        if isinstance(entry, str):
            refused[name] = entry
        elif entry is None:
            nested.append(name)
        else:
            (unfinished if partial else files).append(entry)
    # A marker older than a file belongs to an earlier upload into the same folder.
    marked = marker is not None and all(entry.mtime_ns <= marker for entry in files)
    items, others = pair_up(files)
    return Listing(folder, items, tuple(nested), tuple(unfinished), others, refused, marked)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise named(error, folder, reading=True) from error


def _unfinished_in(found: os.DirEntry[str], root: Path) -> list[Entry]:
    """The files that a copying program keeps in a folder of its own until they are complete."""
    try:
        entries = [_entry(each, root) for each in _scan(Path(found.path))]
    except FileError:
        return []  # gone by now, or never a folder
    return [entry for entry in entries if isinstance(entry, Entry)]


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
    """When the upload was marked complete; None while the mark is not all there."""
    try:
        written = isinstance(json.loads(path.read_bytes()), dict)
        return path.stat().st_mtime_ns if written else None
    except (OSError, ValueError):
        return None


def is_written_in(listing: Listing, since: float) -> bool:
    """Whether a file that is no specimen's own (a raw, a note) changed `since` seconds after 1970.

    The others have been read twice by then. The file server's time of the last change counts,
    which no copying program sets. Raises a FileError when one of them is gone.
    """
    extras = (entry for pair in listing.items.values() for entry in pair.extras)
    for entry in (*extras, *listing.others):
        try:
            if os.stat(entry.path).st_ctime >= since:
                return True
        except OSError as error:
            raise named(error, entry.path, reading=True) from error
    return False


def listing_hash(listing: Listing) -> str:
    """SHA-256 (hex) over names, sizes and times of the files: the identity of what was dropped.

    Times count in whole seconds.
    """
    lines = sorted(
        f"{normal(entry.name)}\0{entry.size_bytes}\0{entry.mtime}\n" for entry in listing.files
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def close_folder(folder: Path, prefix: str, *, known: Collection[str] = ()) -> Path:
    """Rename a session's folder to `<prefix><name>`; the path it has then.

    Already renamed is fine; a taken name gets ` (2)`, ` (3)`, … and that is logged.
    `known`, hashes of listings, tells several earlier namesakes apart after a crash.
    Raises SourceVanished when neither the folder nor a renamed one is there.
    """
    if prefix not in CLOSED_PREFIXES:
        raise ValueError(f"a folder is closed with one of {', '.join(CLOSED_PREFIXES)}")
    if folder.name.startswith(prefix) and folder.is_dir():
        return folder
    plain = re.sub(rf"^(?:{'|'.join(CLOSED_PREFIXES)})", "", folder.name)
    wanted = folder.with_name(prefix + plain)
    if not folder.is_dir():
        return _renamed_before(folder, wanted, known)
    target = next(path for path in _numbered(wanted) if not os.path.lexists(path))
    try:
        folder.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise named(error, folder, reading=False) from error
    if target != wanted:
        log.warning("%s exists already: the folder is now %s", wanted, target.name)
    return target


def _numbered(wanted: Path) -> Iterator[Path]:
    """`wanted`, then with ` (2)`, ` (3)`, … behind its name."""
    return (wanted.with_name(wanted.name + (f" ({n})" if n > 1 else "")) for n in count(1))


def _renamed_before(folder: Path, wanted: Path, known: Collection[str]) -> Path:
    namesakes = list(takewhile(Path.is_dir, _numbered(wanted)))
    if not namesakes:
        raise SourceVanished(folder, f"neither it nor {wanted.name} is there")
    if known:
        same = [path for path in namesakes if listing_hash(list_session(path)) in known]
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
