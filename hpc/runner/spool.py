"""Where the grants came with the batch: the disk decides who starts, outcomes are left there.

A start is won by making one folder; what a job reports is left in its batch's `results`, for
the site's driver or agent to report. Where nodes have no network, inputs were brought before,
and what is to be sent is named for it to fetch.
"""

import json
from pathlib import Path
from typing import Any

from hpc.runner.batch import ManifestLine, keep_for_driver, rows
from hpc.runner.deadline import Deadline
from hpc.runner.errors import BatchError, NotGranted, Refused, Transient
from hpc.runner.files import matches, must_match, write_atomically
from hpc.runner.job import RemoteFile

GRANTS = "grants.jsonl"
"""The file of a batch's grants, a line each: where it is, nobody is asked for a start."""


class Spool:
    """Does what `AttemptClient` and `ArchiveShare` do, by way of the disk, for one attempt."""

    def __init__(self, folder: Path, line: ManifestLine, native_id: str) -> None:
        self._folder, self._line = folder, line
        self._sent: list[dict[str, Any]] = []
        self.native_id = native_id
        self.path = f"/attempts/{line.attempt}"

    def start(self, nonce: str) -> dict[str, Any]:
        """The grant that came with the batch. Raises NotGranted when another has the folder."""
        path = self._folder / GRANTS
        try:
            grant = json.loads(rows(path)[self._line.position])
        except (BatchError, IndexError, ValueError) as error:
            raise Refused(f"{path}, line {self._line.position}: {error}", 0) from error
        mine = self._folder / "started" / str(self._line.attempt)
        mine.parent.mkdir(exist_ok=True)
        try:
            mine.mkdir()
        except FileExistsError:
            raise NotGranted(f"{mine} is another's") from None
        write_atomically(mine / "by", json.dumps({"native_id": self.native_id, "nonce": nonce}))
        return grant if isinstance(grant, dict) else {}

    def post(self, verb: str, body: dict[str, Any], _: Deadline | None = None) -> None:
        """Leave a message to be reported, with what is to be carried. Raises OSError."""
        message = {**body, "carry": self._sent} if self._sent else body
        keep_for_driver(self._folder, self._line.attempt, f"{self.path}/{verb}", message)

    def fetch(self, file: RemoteFile, to: Path) -> None:
        """Check a file that was carried here; a wrong one is removed, to be carried anew."""
        if not matches(to, file):
            to.unlink(missing_ok=True)
            raise Transient(f"{file.name}: was not carried to this site whole; it comes again")

    def send(self, path: Path, file: RemoteFile) -> None:
        """Name a file to be carried. Raises BadInput when it is another one."""
        must_match(path, file)
        facts = {"name": file.name, "crc32": file.crc32, "size_bytes": file.size_bytes}
        inner = path.relative_to(self._line.root / "assets")
        self._sent.append({**facts, "path": str(inner)})

    def show(self, path: Path, name: str) -> None:
        """Keep a small file at the site, with the batch's logs."""
        (self._folder / "log" / f"{self._line.position}-{name}").write_bytes(path.read_bytes())
