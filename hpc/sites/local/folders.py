"""The folders of batches on this machine: what lies in them, and what goes when they are over.

Tokens never stay. Of a batch that did not go well its logs stay for a while, and so does a
result that is unreadable.
"""

import os
import shutil
import time
from pathlib import Path

from hpc.manifest import manifest, tokens
from hpc.tokens import Keys
from track.jobs.batches import Batch

KEPT_DAYS = 14
KEPT = ("log", "results", "out", "err")
"""Logs, results that were not taken, and what a script printed."""


def write_batch(folder: Path, batch: Batch, keys: Keys, callback: str, root: Path) -> None:
    """Write manifest and tokens; the same batch written again is the same batch."""
    for name in ("results", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write(folder / "tokens", tokens(batch, keys), 0o600)
    _write(folder / "manifest.jsonl", manifest(batch, callback, str(root)), 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
        stream.write(text)
    new.replace(path)


def clear_folder(folder: Path, *, well: bool) -> None:
    """Remove an ended batch's folder; when it did not go well, all but its logs."""
    if not folder.is_dir():  # its driver was killed before it made one
        return
    (folder / "tokens").unlink(missing_ok=True)
    unreadable = list((folder / "results").glob("*.unreadable"))
    if well and not unreadable:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in folder.iterdir():
        if entry.name in KEPT:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    for taken in (folder / "results").glob("*.taken"):
        taken.unlink(missing_ok=True)


def batch_folders(root: Path) -> list[Path]:
    """The folders that batches have or had."""
    return sorted(each for each in root.iterdir() if each.is_dir()) if root.is_dir() else []


def sweep_folder(folder: Path) -> None:
    """Remove an ended batch's folder after KEPT_DAYS; before, all but its logs, if that is left."""
    age_s = time.time() - folder.stat().st_mtime
    if age_s > KEPT_DAYS * 86_400:
        shutil.rmtree(folder, ignore_errors=True)
    elif (folder / "tokens").exists() or (folder / "manifest.jsonl").exists():
        clear_folder(folder, well=False)
