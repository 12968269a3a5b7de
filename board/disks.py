"""How much is free where files lie, each place asked in a thread of its own.

A network drive may not answer: then it says so, and the page comes all the same.
"""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import FileError
from tasks.files.mounts import Mounts

ANSWER_S = 1.0
LOW_SHARE = 0.1
"""Less than this part of a disk is little."""

MOUNTS = Mounts(ANSWER_S)


@dataclass(frozen=True)
class DiskSpace:
    """A disk by the places that lie on it, in bytes; without numbers where it gave none."""

    names: tuple[str, ...]
    free: int | None = None
    total: int | None = None
    trouble: str = ""

    @property
    def is_low(self) -> bool:
        """Whether little is free."""
        return (
            self.free is not None and self.total is not None and self.free < self.total * LOW_SHARE
        )


async def disk_space(places: Mapping[str, Path]) -> list[DiskSpace]:
    """The disks that these places lie on, by their first place; each disk once."""
    found = await asyncio.gather(*(_ask(name, path) for name, path in places.items()))
    disks: dict[object, DiskSpace] = {}
    for device, each in found:
        known = disks.get(device)
        disks[device] = (
            each if known is None else DiskSpace(known.names + each.names, *_numbers(known))
        )
    return list(disks.values())


def _numbers(of: DiskSpace) -> tuple[int | None, int | None]:
    return of.free, of.total


async def _ask(name: str, path: Path) -> tuple[object, DiskSpace]:
    """A place's disk, known by its device; a place that cannot be asked is known by its name."""
    try:
        device, free, total = await MOUNTS.run(path, lambda _: _look(path))
    except (OSError, FileError) as error:
        why = _why(error)
        return name, DiskSpace((name,), trouble=why)
    return device, DiskSpace((name,), free, total)


def _why(error: OSError | FileError) -> str:
    if isinstance(error, FileError):
        return "it does not answer"
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    return error.strerror or str(error)


def _look(path: Path) -> tuple[int, int, int]:
    usage = shutil.disk_usage(path)
    return path.stat().st_dev, usage.free, usage.total
