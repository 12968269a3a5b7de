"""Reads a file for sending, piece by piece, and sees to it that it stays the one in the journal."""

from collections.abc import Callable, Iterator
from pathlib import Path

from workstation.files import PIECE_BYTES, FileChanged, read_file
from workstation.ingest.renaming import check_unchanged
from workstation.journal.records import JournalFile
from workstation.problems import translated

CHANGED = "it was changed after its session was planned"


def pieces_from(
    path: Path, file: JournalFile, offset: int, passed: Callable[[int], None]
) -> Iterator[bytes]:
    """The bytes of a file from `offset` on; `passed` is told how far it has been read.

    Raises FileChanged when it is not the planned one, before the first byte or after the last.
    """
    check_unchanged(path.parent, [file])
    left = file.size_bytes - offset
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            while left and (piece := stream.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece
                passed(file.size_bytes - left)
    except OSError as error:
        raise translated(error, path) from error
    if left:
        raise FileChanged(path, CHANGED)
    check_unchanged(path.parent, [file])


def check_content(path: Path, file: JournalFile) -> None:
    """Read a file once more, because it arrived as another. Raises FileChanged if it is one."""
    if read_file(path).sha256 != file.sha256:
        what = "its content is another than when its session was planned, its time is not"
        raise FileChanged(path, what, "look that the disk is sound; then photograph it again")
