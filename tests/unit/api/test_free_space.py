"""The room where files lie, also while a mount hangs."""

import threading
from pathlib import Path

import pytest

from api import free_space
from api.free_space import DiskRoom, FreeSpace


async def test_a_disk_has_room_and_a_place_that_is_away_has_none(tmp_path: Path) -> None:
    found = await FreeSpace({"store": tmp_path, "gone": tmp_path / "gone"}).read()
    store = found["store"]
    assert store is not None and 0 < store.free <= store.total
    assert found["gone"] is None


async def test_a_place_that_hangs_holds_up_nobody_and_is_asked_by_one_thread_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, asked = threading.Event(), list[Path]()
    real = free_space.shutil.disk_usage

    def hang(folder: Path) -> object:
        asked.append(folder)
        if folder.name == "hangs":
            released.wait(60)
        return real(tmp_path)

    monkeypatch.setattr(free_space.shutil, "disk_usage", hang)
    monkeypatch.setattr(free_space, "ANSWER_S", 0.05)
    space = FreeSpace({"store": tmp_path, "drive": tmp_path / "hangs"})
    for _ in range(3):
        found = await space.read()
        assert isinstance(found["store"], DiskRoom) and found["drive"] is None
    assert [each.name for each in asked].count("hangs") == 1
    released.set()
    monkeypatch.setattr(free_space, "ANSWER_S", 5.0)
    for thread in space._threads.values():
        thread.join(5)
    assert isinstance((await space.read())["drive"], DiskRoom)
