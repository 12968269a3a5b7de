"""Which closed folders the database knows nothing of, after it came back from a backup."""

import os
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from tasks.files.ndrive import list_session, listing_hash
from tasks.intake.unknown_folders import remedy, unknown_folders
from track.records.sessions import open_session, rename
from track.schema.database import transact

W = "WORKHERB0001"


def folder(root: Path, name: str, workstation: str = W) -> Path:
    made = root / workstation / name
    made.mkdir(parents=True)
    (made / "å 1.tif").write_bytes(name.encode())
    return made


async def opened(engine: AsyncEngine, path: Path, closed_as: Path | None = None) -> None:
    """A session of a folder, noted as closed or not yet."""
    content = listing_hash(list_session(closed_as or path))
    fields = {"path": str(path), "workstation": W, "listing_hash": content, "actor": "test"}
    session = await transact(engine, open_session, **fields)
    if closed_as is not None:
        await transact(engine, rename, session, str(closed_as))


async def test_a_closed_folder_without_a_session_is_named_and_no_other(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    drive = NDrive(root=tmp_path, workstations=[W])
    known = folder(tmp_path, "imported_æ 1")
    await opened(engine, tmp_path / W / "æ 1", closed_as=known)
    after_backup = folder(tmp_path, "imported_2 (2)")  # it was under way when that was made
    content = listing_hash(list_session(after_backup))
    fields = {"path": str(tmp_path / W / "2"), "workstation": W, "actor": "test"}
    await transact(engine, open_session, **fields, listing_hash=content)
    lost = [folder(tmp_path, name) for name in ("error_3", "imported_4")]
    folder(tmp_path, "5")  # the watch looks at it
    folder(tmp_path, "imported_6", workstation="OTHERS")
    assert await transact(engine, unknown_folders, drive, 0.0) == sorted(lost)
    assert all(str(path) in remedy(lost) for path in lost)


async def test_what_was_closed_before_the_backup_is_nobodys_affair(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    drive = NDrive(root=tmp_path, workstations=["*"])
    old = folder(tmp_path, "imported_of another system")
    since = os.stat(old).st_ctime + 1
    assert await transact(engine, unknown_folders, drive, since) == []
    assert await transact(engine, unknown_folders, drive, since - 2) == [old]
