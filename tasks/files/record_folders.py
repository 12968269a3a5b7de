"""Folders of records: a gzipped CSV for each table, and a manifest that says what is in them.

`<root>/2026-11/29T034107Z-1a2b3c4d/` comes about under another name and gets its own once all of
it is on the disk. One that a killed sweep left unfinished, or whose rows never left, does no harm.
"""

import csv
import gzip
import hashlib
import io
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import named
from tasks.files.copies import sync_folder
from tasks.files.threads import Stop, Threads

WRITING = Threads("records", 1)

MANIFEST = "manifest.json"
UNFINISHED = ".part"
UNFINISHED_S = 24 * 3600.0
"""So long a folder may be unfinished; an older one was left by a sweep that was killed."""

FROM_BACKUP = "take this folder from a backup"


class UnreadableRecords(ValueError):
    """A folder of records is not as it was written; the text names file, field and remedy."""


class RecordFile(BaseModel):
    """One table's rows: how many there are, of which columns, and the file's own checksum."""

    model_config = ConfigDict(extra="forbid")

    table: str
    rows: int
    columns: list[str]
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.table}.csv.gz"


class Manifest(BaseModel):
    """What a folder of records holds: whose, since when, by which version of the tables."""

    model_config = ConfigDict(extra="forbid")

    written_at: datetime
    revision: str
    assets: list[str]
    files: list[RecordFile]


def write_folder(
    _: Stop, root: Path, revision: str, assets: Sequence[str], tables: Mapping[str, bytes]
) -> str:
    """Write each table's CSV and the manifest; the folder's name below `root`. Raises FileError."""
    now = datetime.now(UTC)
    name = f"{now:%Y-%m}/{now:%dT%H%M%SZ}-{uuid4().hex[:8]}"
    folder = root / name
    part = folder.with_name(folder.name + UNFINISHED)
    try:
        part.mkdir(parents=True, mode=0o700)
        files = [_write_table(part, table, rows) for table, rows in tables.items()]
        manifest = Manifest(written_at=now, revision=revision, assets=[*assets], files=files)
        _write(part / MANIFEST, manifest.model_dump_json(indent=1).encode())
        sync_folder(part)
        part.rename(folder)
        for each in (folder.parent, root):
            sync_folder(each)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise named(error, part, reading=False) from error
    return name


def _write_table(part: Path, table: str, rows: bytes) -> RecordFile:
    packed = gzip.compress(rows, compresslevel=6)
    ids, columns = read_table(rows)
    made = RecordFile(
        table=table, rows=len(ids), columns=columns, sha256=hashlib.sha256(packed).hexdigest()
    )
    _write(part / made.name, packed)
    return made


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
        # Clean pages are dropped so that what is read back comes from the disk.
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_table(rows: bytes) -> tuple[list[str], list[str]]:
    """The ids in a CSV's first column, and the names in its header."""
    header, *lines = csv.reader(io.StringIO(rows.decode("utf-8"), newline=""))
    return [line[0] for line in lines], header


def read_folder(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """What a folder holds, by table; every checksum and count is compared.

    Raises UnreadableRecords.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UnreadableRecords(
            f"{path}: it is not there; name a folder that holds one, as `refinery why GUID` does"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise UnreadableRecords(f"{path}, {field}: {first['msg']}; {FROM_BACKUP}") from error
    return manifest, {each.table: _read(folder / each.name, each) for each in manifest.files}


def _read(path: Path, said: RecordFile) -> bytes:
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UnreadableRecords(f"{path}: {error.strerror}; {FROM_BACKUP}") from error
    if hashlib.sha256(packed).hexdigest() != said.sha256:
        raise UnreadableRecords(f"{path}, sha256: its content is another; {FROM_BACKUP}")
    rows = gzip.decompress(packed)
    ids, columns = read_table(rows)
    if (len(ids), columns) != (said.rows, said.columns):
        raise UnreadableRecords(f"{path}, rows or columns: the manifest says others; {FROM_BACKUP}")
    return rows


def read_ids(_: Stop, folder: Path) -> dict[str, list[str]]:
    """The ids of all rows that a folder holds, by table, as they are read from it."""
    _manifest, tables = read_folder(folder)
    return {table: read_table(rows)[0] for table, rows in tables.items()}


def remove_unfinished(_: Stop, root: Path) -> None:
    """Remove folders that were never finished, a day after they were begun. Raises FileError."""
    try:
        for part in root.glob(f"*/*{UNFINISHED}"):
            if part.stat().st_mtime < time.time() - UNFINISHED_S:
                shutil.rmtree(part)
    except OSError as error:
        raise named(error, root, reading=False) from error
