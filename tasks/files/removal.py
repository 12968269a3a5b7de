"""Deleting files below a root, and nothing else, whatever lies on the way.

Folders are opened one by one from the root, never through a link, and names are deleted
in the folder that was opened: a link put in later leads nowhere.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import FileError, SourceVanished, named
from tasks.files.threads import Threads

REMOVING = Threads("removing", 2)

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OutsideRoot(FileError):
    """What is to be deleted does not lie where such copies lie; nothing was touched."""

    remedy = "find out how its row came to name it; nothing outside the root is ever deleted"


def below(root: Path, path: Path, depth: int | None = None) -> tuple[str, ...]:
    """The steps from `root` to `path`. Raises OutsideRoot, also at another depth than given."""
    if not path.is_absolute() or ".." in path.parts:
        raise OutsideRoot(path, "it is no plain absolute path")
    for base in (root, root.resolve()):
        if path.is_relative_to(base):
            steps = path.relative_to(base).parts
            if steps and depth in (None, len(steps)):
                return steps
    raise OutsideRoot(path, f"it is not where such copies lie below {root}")


@contextmanager
def folder_below(root: Path, steps: Sequence[str]) -> Iterator[int]:
    """A descriptor of the folder `steps` below `root`; no step may be a link.

    Raises SourceVanished when it is not there, OutsideRoot for a link on the way.
    """
    where = root
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise named(error, root, reading=True) from error
    try:
        for step in steps:
            where = where / step
            fd = _enter(fd, step, where)
        yield fd
    finally:
        os.close(fd)


def _enter(parent: int, name: str, where: Path) -> int:
    """Open a folder in an open one; the parent is closed once it is."""
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise OutsideRoot(where, "it is a link or no folder, and is not followed") from error
        raise named(error, where, reading=True) from error
    os.close(parent)
    return fd


def remove_tree(root: Path, steps: Sequence[str]) -> int | None:
    """Delete a folder below `root` with all in it; bytes freed, None when it was gone already.

    Raises OutsideRoot for a link in its place, and any other FileError.
    """
    *way, name = steps
    where = root.joinpath(*steps)
    with folder_below(root, way) as parent:
        try:
            state = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise named(error, where, reading=False) from error
        if not stat.S_ISDIR(state.st_mode):
            raise OutsideRoot(where, "it is a link or no folder, and is not followed")
        freed = size_of(root, steps)
        try:
            shutil.rmtree(name, dir_fd=parent)
        except OSError as error:
            raise named(error, where, reading=False) from error
        return freed


def size_of(root: Path, steps: Sequence[str]) -> int | None:
    """Bytes of the files in a folder below `root`; None when it is not there."""
    try:
        with folder_below(root, steps) as fd:
            walk = os.fwalk(".", dir_fd=fd)
            return sum(
                os.stat(name, dir_fd=here, follow_symlinks=False).st_size
                for _, _, names, here in walk
                for name in names
            )
    except SourceVanished:
        if not root.is_dir():
            raise
        return None
    except OSError as error:
        raise named(error, root.joinpath(*steps), reading=True) from error


@contextmanager
def file_in(folder: int, name: str, where: Path) -> Iterator[int | None]:
    """A descriptor of a regular file in an open folder; None when it is gone.

    Raises OutsideRoot for a link or anything else that is no file.
    """
    try:
        fd = os.open(name, FILE, dir_fd=folder)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OutsideRoot(where / name, "it is a link, and is not followed") from error
        raise named(error, where / name, reading=True) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OutsideRoot(where / name, "it is no regular file")
        yield fd
    finally:
        os.close(fd)


def remove_file(folder: int, name: str, where: Path, looked_at: os.stat_result) -> int:
    """Delete a file in an open folder if it is still the one that was looked at; bytes freed."""
    try:
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if _identity(now) != _identity(looked_at):
            return 0
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise named(error, where / name, reading=False) from error
    return now.st_size


def _identity(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns


def remove_empty(root: Path, steps: Sequence[str], leftovers: frozenset[str]) -> bool:
    """Delete a folder that holds nothing but our `leftovers`; whether it went."""
    *way, name = steps
    try:
        with folder_below(root, way) as parent, folder_below(root, steps) as folder:
            held = set(os.listdir(folder))
            if held - leftovers:
                return False
            for each in sorted(held):
                os.unlink(each, dir_fd=folder)
            os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return False  # somebody has just put something in
        raise named(error, root.joinpath(*steps), reading=False) from error
    return True
