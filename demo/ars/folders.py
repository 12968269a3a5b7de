"""The two directories: the share mount, where clients write, and ERDA, where files rest.

Institution, collection, guid and file path come from outside. Each is checked part by part
before it is joined, so no request can reach a file elsewhere.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from demo.ars.errors import BadRequest

PARENTS = "parents"
_LONGEST_NAME = 200


def is_safe_name(name: str) -> bool:
    """One path segment that stays where it is put on every file system."""
    return (
        0 < len(name.encode()) <= _LONGEST_NAME
        and name not in (".", "..")
        and not any(c in "/\\" or ord(c) < 32 for c in name)
    )


def safe_parts(path: str) -> list[str]:
    """The segments of a relative path, or `BadRequest` naming the path."""
    parts = path.split("/")
    if not all(is_safe_name(part) for part in parts):
        raise BadRequest(f"Invalid file path: {path}")
    return parts


@dataclass(frozen=True)
class AssetPlace:
    """Where an asset's files live, the same below both directories."""

    institution: str
    collection: str
    guid: str

    @property
    def parts(self) -> list[str]:
        return safe_parts(f"{self.institution}/{self.collection}/{self.guid}")

    @property
    def http_path(self) -> str:
        return f"/assetfiles/{self.institution}/{self.collection}/{self.guid}/"

    def row_path(self, name: str) -> str:
        return f"/{self.institution}/{self.collection}/{self.guid}/{name}"


class Folders:
    """Checked paths below the share mount and below ERDA, and copies between the two."""

    def __init__(self, share_dir: Path, erda_dir: Path) -> None:
        self._mount = share_dir / "assetfiles"
        self._incoming = share_dir / "incoming"
        self._erda = erda_dir

    def prepare(self) -> None:
        """Create the directories; leftovers of interrupted uploads go."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (self._mount, self._incoming, self._erda):
            folder.mkdir(parents=True, exist_ok=True)

    def share(self, place: AssetPlace) -> Path:
        return self._mount.joinpath(*place.parts)

    def erda(self, place: AssetPlace) -> Path:
        return self._erda.joinpath(*place.parts)

    def incoming(self) -> Path:
        """A fresh temporary name on the file system of the share mount."""
        return self._incoming / uuid4().hex

    def open_share(self, place: AssetPlace, parents: list[AssetPlace]) -> None:
        """Materialise the share: the asset's own files and, to read, those of its parents.

        A folder already there belonged to a share whose row is gone (a crash came between the
        two), so it is thrown away first.
        """
        folder = self.share(place)
        self.remove_share(place)
        folder.mkdir(parents=True, exist_ok=True)
        self._copy_tree(self.erda(place), folder)
        for parent in parents:
            self._copy_tree(self.erda(parent), folder / PARENTS / parent.guid, read_only=True)

    def remove_share(self, place: AssetPlace) -> None:
        folder = self.share(place)
        if folder.exists():
            shutil.rmtree(folder)

    def put_in_erda(self, place: AssetPlace, names: list[str]) -> None:
        """Copy the named files share → ERDA and delete every other file of the asset there."""
        source, target = self.share(place), self.erda(place)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            parts = safe_parts(name)
            self._copy_file(source.joinpath(*parts), target.joinpath(*parts))
        wanted = set(names)
        for name in relative_files(target):
            if name not in wanted:
                (target / name).unlink()

    def wipe(self) -> None:
        for folder in (self._mount, self._incoming, self._erda):
            shutil.rmtree(folder, ignore_errors=True)
        self.prepare()

    def _copy_tree(self, source: Path, target: Path, *, read_only: bool = False) -> None:
        for name in relative_files(source):
            copy = target / name
            self._copy_file(source / name, copy)
            if read_only:
                copy.chmod(0o444)

    def _copy_file(self, source: Path, target: Path) -> None:
        """Copy through a temporary name: a reader sees the old file or the new, never half."""
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{uuid4().hex}.part")
        try:
            shutil.copyfile(source, half)
            os.replace(half, target)
        finally:
            half.unlink(missing_ok=True)


def relative_files(folder: Path) -> list[str]:
    """Every regular file below `folder`, as a path with forward slashes, sorted."""
    paths = sorted(folder.rglob("*"))
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
