"""How much there is to be read of a folder, and how much of it has been."""

import os
from collections.abc import Callable
from pathlib import Path

from workstation.images.reading import IMAGE_SUFFIXES, RAW_SUFFIXES
from workstation.watching import StopSign, Watcher


def camera_sizes(folder: Path) -> dict[str, int]:
    """The bytes of each camera's file in a folder, by name; nothing where it cannot be read."""
    try:
        entries = [entry for entry in os.scandir(folder) if entry.is_file()]
        return {
            entry.name: entry.stat().st_size
            for entry in entries
            if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES | RAW_SUFFIXES
        }
    except OSError:  # looking at it for good says what is wrong
        return {}


def adding_pieces(
    watcher: Watcher, stop: StopSign, sizes: dict[str, int]
) -> Callable[[Path, int], None]:
    """Adds up the pieces that were read of each file, for the watcher."""
    done: dict[str, int] = {}

    def moved(path: Path, size_bytes: int) -> None:
        stop.check()
        done[path.name] = done.get(path.name, 0) + size_bytes
        watcher.moves(path.name, done[path.name], sizes.get(path.name, 0))
        if done[path.name] >= sizes.get(path.name, 0):
            watcher.ends(path.name)

    return moved
