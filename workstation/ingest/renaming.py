"""Gives the files of a session their new names, and writes the metadata beside them.

It looks at what is there before each step, so that it goes on wherever it was stopped; it never
puts a file in the place of another.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

from workstation.files import FileChanged, size_and_time, sync_folder, write_whole
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState, FolderState, JournalFile, JournalSession
from workstation.places import long_path
from workstation.problems import FileGone, WorkstationError, translated
from workstation.session.folders import LONGEST_NAME

_NAMED_HERE = frozenset({FileState.PLANNED, FileState.RENAMED})

Renamed = Callable[[JournalFile], None]


class NameInUse(WorkstationError):
    """Another file has the name that a file is to get."""

    remedy = "move the file that was there first out of the folder, then run the command again"


def rename_files(
    journal: SessionJournal, session: JournalSession, progress: Renamed | None = None
) -> None:
    """Give every file of the session its new name; what has it already is left as it is.

    `progress` is told of each file. Raises FileGone, FileChanged or NameInUse, before the first
    change where it can be known; another WorkstationError when the disk refuses.
    """
    folder = long_path(session.folder, LONGEST_NAME)
    files = [file for file in journal.files(session.id) if file.state in _NAMED_HERE]
    for file in files:
        _is_to_be_renamed(folder, file)
    for _, specimen in groupby(files, key=lambda file: file.guid):
        times = {}
        for file in specimen:
            times[file.id] = _named(journal, folder, file)
            if progress is not None:
                progress(file)
        _sync(folder)
        journal.renamed(times)
    if session.state == FolderState.PLANNED:
        journal.move_session(session, FolderState.RENAMED)


def check_unchanged(folder: Path, files: Iterable[JournalFile]) -> None:
    """Look that files with their new names are those that were planned, by size and time.

    Raises FileGone or FileChanged for the first that is not.
    """
    for file in files:
        path = folder / file.new_name
        found = size_and_time(path)
        if found is None:
            raise FileGone(path, f"it is no longer there ({file.original_name or 'metadata'})")
        if found != (file.size_bytes, file.mtime_ns):
            raise FileChanged(path, "it was changed after its session was planned")


def _is_to_be_renamed(folder: Path, file: JournalFile) -> bool:
    """Whether the file still has its old name; what speaks against going on is raised."""
    new = folder / file.new_name
    if file.kind == "metadata":
        return size_and_time(new) is None
    old = folder / file.original_name
    there, before = size_and_time(new), size_and_time(old)
    # Once it has its name, a file of the old name is another photograph, for the next session.
    if there is not None and before is not None and file.state == FileState.PLANNED:
        raise NameInUse(new, f"it is there already, and {file.original_name} was to be named so")
    if there is None and before is None:
        raise FileGone(old, f"it is not there, nor under its new name {file.new_name}")
    if (there or before) != (file.size_bytes, file.mtime_ns):
        raise FileChanged(new if there else old, "it was changed after its session was planned")
    return there is None


def _named(journal: SessionJournal, folder: Path, file: JournalFile) -> int:
    """Give one file its name; its time of change (ns) under that."""
    new = folder / file.new_name
    to_be_renamed = _is_to_be_renamed(folder, file)
    if file.kind == "metadata":
        _write(new, journal.content(file), is_there=not to_be_renamed)
    elif to_be_renamed:
        old = folder / file.original_name
        try:
            old.rename(new)
        except FileExistsError as error:
            raise NameInUse(new, "it is there already") from error
        except OSError as error:
            raise translated(error, old) from error
    found = size_and_time(new)
    if found is None:
        raise FileGone(new, "it went away while it got its name")
    return found[1]


def _write(path: Path, content: bytes, *, is_there: bool) -> None:
    if not is_there:
        write_whole(path, content)
        return
    try:
        found = path.read_bytes()
    except OSError as error:
        raise translated(error, path) from error
    if found != content:
        raise NameInUse(path, "it is there already with another content")


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        raise translated(error, folder) from error
