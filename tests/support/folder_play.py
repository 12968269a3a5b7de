"""What people and copying programs do to a session's folder, and what is known of it meanwhile."""

import json
import os
from pathlib import Path
from typing import Any

from schemas.metadata.document import read_document

START = 1_700_000_000
"""Seconds since 1970 when a play begins; each change is a second later than the one before."""

BASES = ("a", "b", "c")
FORMATS = ("TIF", "JPEG", "RAF", None)
ENDINGS = (".tif", ".jpg", ".raf")
TEMPORARIES = (".{}.Ab12Cd", "~syncthing~{}.tmp", "{}.filepart", ".{}.~1a2b3c")


def metadata(guid: str, file_format: str | None, **more: Any) -> bytes:
    """A document that ingest takes."""
    fields = {
        "asset_guid": guid,
        "institution": "NHMD",
        "collection": "Vascular plants",
        "pipeline_name": "P",
        "workstation_name": "WORKHERB0001",
        "digitiser": "Karen Blixen",
        "status": "WORKING_COPY",
        **({"file_format": file_format} if file_format else {}),
    }
    return json.dumps(fields | more).encode()


class FolderPlay:
    """One folder, changed file by file; `now` in seconds of a clock that the player turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.changed_at = 0.0
        self.ticks = 0
        self.files: dict[str, bytes] = {}
        self.came_at: dict[str, float] = {}
        self.rewrites = 0

    def write(self, name: str, content: bytes) -> None:
        """A file appears, grows, or is written over."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        self.files[name] = content
        self._dated(name)

    def replace(self, name: str, content: bytes) -> None:
        """Another file is put in its place, as a copying program does at its end."""
        aside = self.folder.with_name(".aside")
        aside.write_bytes(content)
        aside.replace(self.folder / name)
        self.files[name] = content
        self._dated(name)

    def rewrite(self, name: str) -> None:
        """Bytes come into a file that keeps its size and its time."""
        path, state = self.folder / name, (self.folder / name).stat()
        self.rewrites += 1
        content = self.rewrites.to_bytes(4)[-state.st_size :].rjust(state.st_size, b"=")
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        if content != self.files[name]:
            self.came_at[name] = self.now
        self.files[name] = content

    def rename(self, name: str, other: str) -> None:
        """A file gets another name, over what had it; its time stays."""
        (self.folder / name).rename(self.folder / other)
        self.files[other] = self.files.pop(name)
        self.came_at[other] = self.came_at.pop(name, self.now)
        self._changed()

    def remove(self, name: str) -> None:
        """A file is taken away."""
        (self.folder / name).unlink()
        del self.files[name]
        self._changed()

    def put_aside(self, name: str) -> Path:
        """A file is taken away and kept; where."""
        kept = self.folder.with_name(".kept")
        (self.folder / name).rename(kept)
        self._changed()
        return kept

    def put_back(self, name: str, kept: Path, content: bytes) -> None:
        """It comes back as it was, its time too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept.rename(self.folder / name)
        self.files[name] = content
        self._changed()

    def temporary(self) -> list[str]:
        """The names there under which a copying program keeps what is not complete."""
        made = {how.format(f"{base}.tif") for how in TEMPORARIES for base in BASES}
        return sorted(made & self.files.keys())

    def named(self, base: str) -> str | None:
        """The format that the metadata names as it lies there now."""
        content = self.files[f"{base}.json"]
        return read_document(content).metadata.file_format

    def complete(self) -> set[str]:
        """The base names whose metadata and named image are there."""
        meant = {"TIF": (".tif",), "JPEG": (".jpg",), "RAF": (".raf",), None: (".tif", ".jpg")}
        found = set()
        for base in BASES:
            if f"{base}.json" in self.files:
                endings = meant[self.named(base)]
                if any(f"{base}{ending}" in self.files for ending in endings):
                    found.add(base)
        return found

    def _dated(self, name: str) -> None:
        self._changed()
        moment = START + self.ticks
        os.utime(self.folder / name, (moment, moment))

    def _changed(self) -> None:
        self.ticks += 1
        self.changed_at = self.now
