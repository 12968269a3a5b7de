"""One client at a time works on a folder.

The lock is one that SQLite takes on a small file: it works on every system, and ends with the
process that holds it, however that ends.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from workstation.places import private_folder
from workstation.problems import WorkstationError


class FolderInUse(WorkstationError):
    """Another client works on the folder."""

    remedy = "let the other one finish, or close it; then run the same command again"


class LockUnusable(WorkstationError):
    """It cannot be found out whether another client works on the folder."""

    remedy = "make room on that disk and look that the file may be written; then try again"


@contextmanager
def locked_folder(locks: Path, folder: str) -> Iterator[None]:
    """Hold the lock of `folder`, named by its key, in the folder `locks`.

    Raises FolderInUse when another process, or another part of this one, holds it.
    """
    path = private_folder(locks) / f"{hashlib.sha256(folder.encode()).hexdigest()[:32]}.lock"
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise LockUnusable(path, str(error)) from error
    with closing(connection):
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise FolderInUse(Path(folder), "another client is working on it") from error
            raise LockUnusable(path, str(error)) from error
        except sqlite3.Error as error:
            raise LockUnusable(path, str(error)) from error
        yield
