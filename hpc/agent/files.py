"""Files on the agent's disk: written whole or not at all, and read as what they are."""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any, Optional

CHUNK = 1 << 20
"""Bytes read at a time."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class UnsafeName(Exception):
    """A name from outside that could lead out of the agent's folder."""


def plain_name(name: Any) -> str:
    """`name`, when it is one plain file name. Raises UnsafeName."""
    if not isinstance(name, str) or not _PLAIN.fullmatch(name):
        raise UnsafeName(f"{name!r} is not a plain name")
    return name


def inside(folder: Path, name: str) -> Path:
    """`folder/name`, when that is within `folder` as written. Raises UnsafeName."""
    parts = name.split("/")
    if not name.isprintable() or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise UnsafeName(f"{name!r} leads out of its folder")
    return folder.joinpath(*parts)


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to the disk under this name, all of it or nothing. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    if partial.exists():
        partial.unlink()
    handle = os.open(str(partial), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(handle, "w", encoding="utf-8", errors="replace") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(str(partial), str(path))
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder, as far as it can be asked to."""
    handle = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some network disks refuse it for folders
        pass
    finally:
        os.close(handle)


def read_object(path: Path) -> Optional[Any]:
    """The JSON in a file; None when it is not there or is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def remove_file(path: Path) -> None:
    """Remove a file, which may be gone already. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
