"""Files on the site's disk: their checksums, writing one at once, and a stage's outputs."""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hpc.runner.errors import BadInput
from hpc.runner.job import RemoteFile

CHUNK = 1 << 20
"""Bytes read at a time."""


def crc32_of(path: Path) -> int:
    """The CRC-32 (IEEE, unsigned) of a file, read in chunks."""
    crc = 0
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    import hashlib

    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def matches(path: Path, file: RemoteFile) -> bool:
    """Whether the file at `path` is the one that was announced."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    return crc32_of(path) == file.crc32


def must_match(path: Path, file: RemoteFile) -> None:
    """Raise BadInput unless the file at `path` is the one that was announced."""
    if not matches(path, file):
        raise BadInput(
            f"{path.name}: is missing on this site or is not the file that was made "
            f"({file.size_bytes} bytes, CRC-32 {file.crc32}); run the stage that makes it again"
        )


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to the disk under this name, all of it or nothing. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8", errors="replace") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def listed(folder: Path, patterns: Iterable[str]) -> list[dict[str, Any]]:
    """Name under `folder`, size in bytes and SHA-256 of every file that a pattern names.

    Raises BadInput for patterns without a file, and for a file that lies elsewhere.
    """
    found: dict[str, Path] = {}
    missing = []
    for pattern in patterns:
        mine = {str(path.relative_to(folder)): path for path in folder.glob(pattern)}
        files = {name: path for name, path in mine.items() if path.is_file()}
        missing += [] if files else [repr(pattern)]
        found |= files
    if missing:
        raise BadInput(f"outputs: there is no file {', '.join(missing)} in its asset's folder")
    for name, path in found.items():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"outputs: {name!r} leads out of its asset's folder")
    return [
        {"path": name, "size_bytes": found[name].stat().st_size, "sha256": sha256_of(found[name])}
        for name in sorted(found)
    ]
