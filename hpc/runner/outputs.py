"""The files that a stage declares as its outputs, as they lie once its module is done."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hpc.runner.errors import BadInput

CHUNK = 1 << 20


def listed(folder: Path, patterns: Iterable[str]) -> list[dict[str, Any]]:
    """Name under `folder`, size in bytes and SHA-256 of every file that a pattern names.

    Raises BadInput for a pattern without a file, and for a file that lies elsewhere.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        mine = {str(path.relative_to(folder)): path for path in folder.glob(pattern)}
        files = {name: path for name, path in mine.items() if path.is_file()}
        if not files:
            raise BadInput(f"outputs: the module left no file {pattern!r} in its asset's folder")
        found |= files
    for name, path in found.items():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"outputs: {name!r} leads out of its asset's folder")
    return [
        {"path": name, "size_bytes": found[name].stat().st_size, "sha256": sha256_of(found[name])}
        for name in sorted(found)
    ]


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    summed = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            summed.update(chunk)
    return summed.hexdigest()
