"""The watch and copies that reserve their full size at once: only equal contents count."""

import hashlib
import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.errors import FileError, PermissionDenied
from tasks.files import readings
from tasks.files.mounts import Pulse
from tasks.files.pairing import Entry
from tasks.intake import contents
from tests.integration.tasks.intake.test_watch import N, World

WHOLE = b"II*\0" + bytes(range(256)) * 64
PINNED = 1_700_000_000


@pytest.fixture
def world(tmp_path: Path, engine: AsyncEngine) -> World:
    root = tmp_path / "N drive"
    (root / "WORKHERB0001").mkdir(parents=True)
    return World(root, engine)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content is read."""
    found: list[str] = []
    real = readings.read_content

    def counted(pulse: Pulse, entry: Entry, algorithms: Collection[str]) -> readings.Content:
        found.append(entry.name)
        return real(pulse, entry, algorithms)

    monkeypatch.setattr(readings, "read_content", counted)
    return found


def arrive(path: Path, size: int) -> None:
    """So many bytes of a file are there; its size and time are those of the whole."""
    path.write_bytes(WHOLE[:size])
    os.truncate(path, len(WHOLE))
    os.utime(path, (PINNED, PINNED))


async def test_a_copy_whose_size_was_reserved_is_taken_once_it_reads_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Name, size and time stood still while bytes came, and half an image was archived as good."""
    caplog.set_level(logging.INFO)
    image = world.drop("s", "a.json") / "a.tif"
    for size in (8, 1000, 5000, len(WHOLE)):
        arrive(image, size)
        await world.look(after=2 * N)
        assert await world.rows() == []
    await world.look(after=N - 1)
    assert await world.rows() == []
    await world.look(after=1)
    assert len(await world.rows()) == 1
    said = f"{image} is still being written: its content changed while size and time stood still"
    assert caplog.text.count(said) == 1
    await world.look()
    assert f"{image}: content: no longer a problem" in caplog.text


async def test_a_file_is_read_twice_and_never_again(world: World, read: list[str]) -> None:
    world.drop("s", "a.json", "a.tif")
    for after in (0, 1, N - 2, 1, N, N, 20 * N):
        await world.look(after=after)
    assert sorted(read) == ["a.json", "a.json", "a.tif", "a.tif"]
    assert len(await world.rows()) == 1


async def test_a_large_file_that_grows_is_not_read_over_and_over(
    world: World, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL", 100)
    image = world.drop("s", "a.json") / "a.tif"
    for size in (200, 300, 400):
        image.write_bytes(bytes(size))
        await world.look(after=1)
    assert read == ["a.json"]
    await world.look(after=1)
    await world.look(after=N)
    assert read.count("a.tif") == 2
    assert len(await world.rows()) == 1


async def test_a_watch_that_starts_again_reads_nothing_of_what_is_known(
    world: World, read: list[str]
) -> None:
    world.drop("s", "a.json", "a.tif")
    await world.look()
    await world.look(after=N)
    world.restart()
    read.clear()
    for _ in range(3):
        await world.look(after=N)
    assert read == []
    assert len(await world.rows()) == len(await world.events()) == 1


async def test_a_file_with_a_right_checksum_is_read_once(world: World, read: list[str]) -> None:
    image = world.drop("s", "a.json") / "a.tif"
    arrive(image, len(WHOLE))
    lines = [f"{hashlib.sha256(WHOLE).hexdigest()} *a.tif", f"{hashlib.md5(b'a.json').hexdigest()}"]
    (image.parent / "SHA256SUMS").write_text(lines[0])
    (image.parent / "a.json.md5").write_text(lines[1])
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1
    assert (read.count("a.tif"), read.count("a.json")) == (1, 1)


async def test_a_file_that_differs_from_its_checksum_is_waited_for(
    world: World, read: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    image = world.drop("s", "a.json") / "a.tif"
    (image.parent / "a.tif.md5").write_text(hashlib.md5(WHOLE).hexdigest())
    arrive(image, 5000)
    await world.look()
    for _ in range(9):
        await world.look(after=N)
    assert await world.rows() == []
    assert read.count("a.tif") == 5, "ever less often"
    assert caplog.text.count("a.tif: its MD5 is") == 1
    await world.look(after=N)
    assert len(await world.rows()) == 1
    assert "s is taken with a.tif as it is: its MD5 is" in caplog.text


async def test_the_wait_for_a_checksum_ends_when_the_rest_comes(world: World) -> None:
    image = world.drop("s", "a.json") / "a.tif"
    (image.parent / "a.tif.md5").write_text(hashlib.md5(WHOLE).hexdigest())
    arrive(image, 5000)
    await world.look()
    await world.look(after=N)
    arrive(image, len(WHOLE))
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_a_file_that_a_list_names_is_waited_for(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    path = world.drop("s", "a.json", "a.tif")
    (path / "MD5SUMS").write_text(f"{hashlib.md5(b'b').hexdigest()}  b.tif\n")
    await world.look()
    await world.look(after=9 * N)
    assert await world.rows() == []
    assert caplog.text.count("MD5SUMS names b.tif, which is not there yet") == 1
    await world.look(after=N)
    assert len(await world.rows()) == 1
    assert "s is taken without b.tif, which MD5SUMS names" in caplog.text


async def test_what_cannot_be_read_is_waited_for_and_left_to_ingest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.drop("s", "a.json", "a.tif")
    real = readings.read_content

    def denied(pulse: Pulse, entry: Entry, algorithms: Collection[str]) -> Any:
        if entry.name == "a.tif":
            raise PermissionDenied(entry.path, "it may not be read")
        return real(pulse, entry, algorithms)

    monkeypatch.setattr(readings, "read_content", denied)
    await world.look()
    await world.look(after=9 * N)
    assert await world.rows() == []
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_a_folder_that_changes_while_it_is_read_is_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.drop("s", "a.json", "a.tif")
    await world.look()
    real = contents.read_all

    def slow(
        pulse: Pulse, wanted: Mapping[Entry, Collection[str]]
    ) -> dict[Entry, readings.Content | FileError]:
        found = real(pulse, wanted)
        if not (path / "b.tif").exists():
            world.drop("s", "b.json", "b.tif")
        return found

    monkeypatch.setattr(contents, "read_all", slow)
    await world.look(after=N)
    assert await world.rows() == []
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1
