"""Fetches a stage's outputs from its site: streamed, checked, put in place, then noted.

A file lies at `<outputs>/<guid>/<stage>/<path>`, complete or not at all. After a kill what is
in place stays, and the rest is fetched next time.
"""

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.remote import TruncatedAnswer, new_mark, run_script
from hpc.sites.retries import Retries
from hpc.transport.errors import WireError
from hpc.transport.ssh import SshLink
from schemas.files import Output
from schemas.guid import check_guid
from track.jobs.outputs import (
    OUTPUTS_WAIT,
    Outputs,
    note_retrieved,
    note_waiting,
    wanted_outputs,
)
from track.schema.database import transact

CHUNK = 1 << 20
MIN_BYTES_S = 500_000
PATIENCE_S = 120.0
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What the next one would meet as well."""

log = logging.getLogger(__name__)


TRIES_UNTIL_GONE = 5
"""How often a file is looked for on a shared disk before it counts as gone: over some two and
a half minutes (see `hpc.sites.retries`), for such a disk may show a new file late."""


class OutputSource(Protocol):
    """Where outputs lie; `tries`: how often one is looked for that is not there."""

    tries: int

    async def fetch(self, guid: str, paths: Sequence[str], size: int, into: Path) -> None:
        """Put what there is of these files of an asset under `into`; `size` bytes in all."""


async def retrieve(
    engine: AsyncEngine,
    site: str,
    source: OutputSource,
    outputs: Path,
    retries: Retries[int] | None = None,
) -> int:
    """Fetch all outputs that are wanted from a site and due; of how many attempts.

    One that cannot be kept here waits, by `retries`, with that as its reason, and the others are
    fetched. Raises what `source` raises; what is in place then stays, and others come first next
    time.
    """
    retries = Retries() if retries is None else retries
    found = await transact(engine, wanted_outputs, site)
    retries.keep({each.attempt for each in found})
    brought = 0
    for each in [each for each in found if retries.is_due(each.attempt)]:
        try:
            trouble = await _fetch(each, source, outputs)
        except OSError as error:  # our own disk: nothing is wrong with the site
            await _note_waiting(engine, each, error, retries)
            if error.errno in DISK_FULL:
                break
            continue
        except (WireError, TruncatedAnswer):
            retries.fail(each.attempt)
            raise
        if trouble and retries.times(each.attempt) + 1 < source.tries:
            retries.fail(each.attempt)
            why = f"{OUTPUTS_WAIT}are looked for: {trouble}"
            await transact(engine, note_waiting, each.attempt, why)
            continue
        if trouble:
            log.warning("its outputs cannot be had: %s", trouble, extra=_about(each))
        await transact(engine, note_retrieved, each.attempt, trouble)
        brought += 1
    return brought


async def _note_waiting(
    engine: AsyncEngine, wanted: Outputs, error: OSError, retries: Retries[int]
) -> None:
    pause = retries.fail(wanted.attempt)
    why = f"{OUTPUTS_WAIT}cannot be kept here: {error}"
    log.error("%s; again in %.0f s", why, pause, extra=_about(wanted))
    await transact(engine, note_waiting, wanted.attempt, why)


def _about(outputs: Outputs) -> dict[str, object]:
    """What a line is about that tells of them."""
    return {"guid": outputs.guid, "stage": outputs.stage, "attempt": outputs.attempt}


async def _fetch(wanted: Outputs, source: OutputSource, outputs: Path) -> str:
    """Fetch one attempt's outputs; why that is impossible, or nothing."""
    home = wanted.home(outputs)
    missing = await asyncio.to_thread(_missing, wanted.files, home)
    if not missing:
        return ""
    home.mkdir(parents=True, exist_ok=True)
    mine = outputs / check_guid(wanted.guid)
    with TemporaryDirectory(prefix=".incoming-", dir=mine, ignore_cleanup_errors=True) as same_disk:
        size = sum(each.size_bytes for each in missing)
        await source.fetch(wanted.guid, [each.path for each in missing], size, Path(same_disk))
        return await asyncio.to_thread(_place, missing, Path(same_disk), home)


def _missing(files: Sequence[Output], home: Path) -> list[Output]:
    return [each for each in files if not _matches(home / each.path, each)]


def _matches(path: Path, wanted: Output) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != wanted.size_bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == wanted.sha256


def _place(files: Sequence[Output], fetched: Path, home: Path) -> str:
    """Move what is as it was announced; which file is not, in words."""
    for each in files:
        source, place = fetched / each.path, home / each.path
        if not _matches(source, each):
            return f"{each.path} is not there any more as it was when its module ended"
        place.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as stream:
            os.fsync(stream.fileno())
        source.replace(place)
    return ""


class LocalSource:
    """The assets' folders of this machine's own site."""

    tries = 1

    def __init__(self, root: Path) -> None:
        self._root = root

    async def fetch(self, guid: str, paths: Sequence[str], size: int, into: Path) -> None:
        """Copy the files that are there."""
        await asyncio.to_thread(self._copy, check_guid(guid), paths, into)

    def _copy(self, guid: str, paths: Sequence[str], into: Path) -> None:
        for path in paths:
            source, place = self._root / "assets" / guid / path, into / path
            if source.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)


class RemoteSource:
    """The assets' folders at a site that is reached over SSH."""

    tries = TRIES_UNTIL_GONE

    def __init__(self, wire: SshLink, root: str, prelude: str = "") -> None:
        self._wire, self._root, self._prelude = wire, root, prelude

    async def fetch(self, guid: str, paths: Sequence[str], size: int, into: Path) -> None:
        """Stream them as one tar. Raises WireError, TruncatedAnswer."""
        mark = new_mark()
        names = "".join(f"./{path}\n" for path in paths).encode()
        deadline = PATIENCE_S + size / MIN_BYTES_S
        packed = into / ".tar"
        with packed.open("w+b") as kept:
            cut = _AfterMark(f"{mark} begin\n".encode(), kept.write)
            await run_script(
                self._wire,
                "outputs",
                mark,
                *(self._root, check_guid(guid)),
                prelude=self._prelude,
                stdin=names,
                deadline_s=deadline,
                sink=cut,
            )
            if not cut.begun:
                raise TruncatedAnswer(f"the outputs of {guid} were asked for and nothing was said")
            kept.flush()
            await asyncio.to_thread(_unpack, packed, set(paths), into)


class _AfterMark:
    """Passes on what comes after a mark; what comes before is a login banner."""

    def __init__(self, mark: bytes, write: Callable[[bytes], object]) -> None:
        self._mark, self._write, self._before, self.begun = mark, write, b"", False

    def __call__(self, piece: bytes) -> None:
        if not self.begun:
            self._before += piece
            _, found, piece = self._before.partition(self._mark)
            self.begun = bool(found)
        if self.begun:
            self._write(piece)


def _unpack(packed: Path, wanted: set[str], into: Path) -> None:
    """Take the files that were asked for out of a tar. Raises TruncatedAnswer when it was cut."""
    if packed.stat().st_size == 0:  # there is no folder over there
        return
    try:
        with tarfile.open(packed, mode="r:") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                content = tar.extractfile(member) if name in wanted and member.isreg() else None
                if content is not None:
                    place = into / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with place.open("wb") as out:
                        shutil.copyfileobj(content, out, CHUNK)
    except tarfile.ReadError as error:
        raise TruncatedAnswer(f"the tar of outputs was cut: {error}") from error
