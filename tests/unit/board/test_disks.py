"""Free space where files lie: a disk once, a place that is away or hangs without waiting."""

import threading
import time
from pathlib import Path

import pytest

from board import disks
from board.disks import DiskSpace, disk_space
from tasks.files.mounts import Mounts


async def test_places_on_one_disk_are_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (disk,) = await disk_space({"store": tmp_path / "a", "n-drive": tmp_path / "b"})
    assert disk.names == ("store", "n-drive")
    assert disk.free is not None and disk.total is not None and 0 < disk.free < disk.total


async def test_a_place_that_is_not_there_says_so(tmp_path: Path) -> None:
    found = await disk_space({"store": tmp_path, "records": tmp_path / "none"})
    assert [each.trouble for each in found] == ["", "it is not there"]


async def test_a_drive_that_hangs_keeps_no_page_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    look = disks._look

    def hang(path: Path) -> tuple[int, int, int]:
        if path.name == "hangs":
            answers.wait()
        return look(path)

    monkeypatch.setattr(disks, "_look", hang)
    monkeypatch.setattr(disks, "MOUNTS", Mounts(0.1))
    places = {"store": tmp_path, "n-drive": tmp_path / "hangs"}
    begun, before = time.monotonic(), set(threading.enumerate())
    try:
        for _ in range(3):
            store, drive = await disk_space(places)
            assert (store.trouble, drive.trouble) == ("", "it does not answer")
        assert time.monotonic() - begun < 5
        for each in set(threading.enumerate()) - before:
            each.join(0.5)  # those that were answered end
        asked = set(threading.enumerate()) - before
        assert sum(each.name == "mount" for each in asked) == 1, "only one hangs"
    finally:
        answers.set()


@pytest.mark.parametrize(
    ("free", "total", "low"), [(9, 100, True), (10, 100, False), (None, None, False)]
)
def test_less_than_a_tenth_is_little(free: int | None, total: int | None, low: bool) -> None:
    assert DiskSpace(("store",), free, total).is_low is low
