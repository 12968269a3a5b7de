"""A session folder, filled as a workstation fills it: unseen until it is complete."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

UNFINISHED, IMPORTED, REFUSED = "new_", "imported_", "error_"


class FolderError(Exception):
    """A session folder cannot be made; the message says which and what to do."""


@contextmanager
def session_folder(ndrive_root: Path, workstation: str, now: datetime) -> Iterator[Path]:
    """Yield `<ndrive>/<workstation>/new_<time>/`; drop the `new_` when the block has ended well.

    The name is the second of `now`. `FolderError` when that name is in use in any form,
    or `now` has no zone. After an exception the folder stays under its unfinished name,
    which nobody takes for a session.
    """
    unfinished = ndrive_root / workstation / f"{UNFINISHED}{folder_name(now)}"
    finished = finished_path(ndrive_root, workstation, now)
    for taken in (finished, *(finished.with_name(p + finished.name) for p in (IMPORTED, REFUSED))):
        if taken.exists():
            raise FolderError(
                f"{taken} exists already, so this session cannot have its name. "
                "Wait a second and try again."
            )
    try:
        unfinished.mkdir(parents=True)
    except FileExistsError:
        raise FolderError(
            f"{unfinished} exists already: another session is being written there, or one was "
            "broken off. Wait for it, or delete that folder."
        ) from None
    yield unfinished
    unfinished.rename(finished)


def finished_path(ndrive_root: Path, workstation: str, now: datetime) -> Path:
    """Where a session that is started at `now` will be found."""
    return ndrive_root / workstation / folder_name(now)


def folder_name(now: datetime) -> str:
    if now.tzinfo is None:
        raise FolderError("the session's time has no zone; pass datetime.now().astimezone()")
    return f"{now:%Y-%m-%d_%H-%M-%S}"
