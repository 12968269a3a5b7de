"""Copies on a real disk: whole, proven, or not at all."""

import asyncio
import fcntl
import hashlib
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import (
    ChecksumMismatch,
    CopyUnderWay,
    DeviceFault,
    DifferentContent,
    DiskFull,
    SourceChanged,
    SourceVanished,
)
from tasks.files import copies
from tasks.files.checksums import Sum
from tasks.files.copies import Copied, checksum_file, copy_file
from tasks.files.threads import Stop

COPY = (
    "import sys; from pathlib import Path; from tasks.files.threads import Stop\n"
    "from tasks.files.copies import copy_verified\n"
)
CONTENT = os.urandom(3 * copies.CHUNK + 12_345)


def copy_verified(source: Path, destination: Path) -> Copied:
    return copies.copy_verified(Stop(), source, destination)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "N drive æ" / "a.tif"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "store" / "guid" / "a.tif"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        os.sched_yield()


def leftovers(destination: Path) -> list[str]:
    return sorted(path.name for path in destination.parent.glob("*") if path != destination)


def test_a_copy_is_whole_and_tells_its_checksums(source: Path, destination: Path) -> None:
    copied = copy_verified(source, destination)
    assert copied == Copied(zlib.crc32(CONTENT), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    assert destination.read_bytes() == CONTENT
    assert source.read_bytes() == CONTENT
    assert leftovers(destination) == []


@pytest.mark.parametrize("size", [0, 1, copies.CHUNK, copies.CHUNK * copies.BUFFERS + 1])
def test_any_size_is_copied(source: Path, destination: Path, size: int) -> None:
    source.write_bytes(bytes(size))
    assert copy_verified(source, destination).size_bytes == size
    assert destination.stat().st_size == size


def test_copying_again_is_accepted_and_writes_nothing(source: Path, destination: Path) -> None:
    first = copy_verified(source, destination)
    before = destination.stat()
    assert copy_verified(source, destination) == first
    assert destination.stat().st_ino == before.st_ino
    assert destination.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("other", [b"short", CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])])
def test_another_content_at_the_destination_is_left_alone(
    source: Path, destination: Path, other: bytes
) -> None:
    destination.parent.mkdir(parents=True)
    destination.write_bytes(other)
    with pytest.raises(DifferentContent, match=r"a\.tif"):
        copy_verified(source, destination)
    assert destination.read_bytes() == other


def test_a_missing_source_has_vanished(tmp_path: Path, source: Path, destination: Path) -> None:
    with pytest.raises(SourceVanished, match="drop the folder again"):
        copy_verified(tmp_path / "gone.tif", destination)
    with pytest.raises(SourceVanished):
        copy_verified(source / "below-a-file.tif", destination)
    with pytest.raises(SourceVanished, match="not a regular file"):
        copy_verified(tmp_path, destination)


def test_a_pipe_under_an_images_name_does_not_hang(tmp_path: Path, destination: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SourceVanished, match="not a regular file"):
        copy_verified(tmp_path / "pipe.tif", destination)


def test_a_destination_folder_that_is_a_file_is_a_named_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(DeviceFault):
        copy_verified(source, tmp_path / "store" / "a.tif")


class WrittenTo(Stop):
    """Asked for once for each chunk that is copied: then the source is written to."""

    def __init__(self, write: Callable[[], object]) -> None:
        super().__init__()
        self._write = write

    def is_set(self) -> bool:
        self._write()
        return super().is_set()


def append(source: Path) -> None:
    with source.open("ab") as stream:
        stream.write(b"more")


def change(source: Path) -> None:
    with source.open("r+b") as stream:
        stream.write(b"other")


def shorten(source: Path) -> None:
    os.truncate(source, copies.CHUNK + 1)


def replace(source: Path) -> None:
    other = source.with_name("other.tif")
    other.write_bytes(CONTENT)
    other.replace(source)


@pytest.mark.parametrize("write", [append, change, shorten, replace])
def test_a_source_written_to_under_the_copy_is_noticed(
    source: Path, destination: Path, write: Callable[[Path], object]
) -> None:
    os.utime(source, (1e9, 1e9))  # or one tick of the kernel's clock could hide the change
    with pytest.raises(SourceChanged):
        copies.copy_verified(WrittenTo(lambda: write(source)), source, destination)
    assert leftovers(destination) == []
    assert not destination.exists()
    assert copy_verified(source, destination).size_bytes == source.stat().st_size


def test_a_full_disk_is_said_and_leaves_nothing(source: Path) -> None:
    """A limit on file size fails like a disk that fills up in the middle of a write."""
    script = COPY + (
        "from tasks.errors import DiskFull\n"
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: copy_verified(Stop(), Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except DiskFull as error: sys.exit(str(error))\n"
    )
    target = source.with_name("limited") / "a.tif"
    run = subprocess.run(
        [sys.executable, "-c", script, str(source), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    assert "free space on that disk" in run.stderr
    assert list(target.parent.iterdir()) == []


def test_more_than_the_disk_has_is_refused_before_a_byte_is_written(
    source: Path, destination: Path
) -> None:
    with source.open("r+b") as stream:
        stream.truncate(1 << 42)  # sparse: it claims 4 TiB
    with pytest.raises(DiskFull, match="the disk has"):
        copy_verified(source, destination)
    assert leftovers(destination) == []


def test_what_a_killed_copy_left_is_taken_over(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True)
    (destination.parent / ".a.tif.part").write_bytes(b"x" * (len(CONTENT) + 99))
    copy_verified(source, destination)
    assert destination.read_bytes() == CONTENT
    assert leftovers(destination) == []


def test_two_living_copies_do_not_write_into_one_file(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True)
    with (destination.parent / ".a.tif.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CopyUnderWay):
            copy_verified(source, destination)
    copy_verified(source, destination)


def test_a_killed_process_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    source, destination = tmp_path / "a.tif", tmp_path / "store" / "a.tif"
    with source.open("wb") as stream:
        stream.truncate(4 << 30)  # sparse: long to read, nothing on the disk
    script = COPY + "copy_verified(Stop(), Path(sys.argv[1]), Path(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", script, str(source), str(destination)])
    part = destination.parent / ".a.tif.part"
    try:
        wait_until(lambda: part.exists() and part.stat().st_size > 0)
    finally:
        process.kill()
        process.wait()
    assert not destination.exists()
    source.write_bytes(CONTENT)
    copy_verified(source, destination)
    assert leftovers(destination) == []


async def test_a_cancelled_copy_leaves_nothing(tmp_path: Path) -> None:
    source, destination = tmp_path / "a.tif", tmp_path / "store" / "a.tif"
    with source.open("wb") as stream:
        stream.truncate(4 << 30)
    task = asyncio.create_task(copy_file(source, destination))
    part = destination.parent / ".a.tif.part"
    await asyncio.to_thread(wait_until, lambda: part.exists() and part.stat().st_size > 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(destination.parent.iterdir()) == []


async def test_many_copies_at_once_all_arrive(tmp_path: Path) -> None:
    sources = [tmp_path / f"{n}.tif" for n in range(8)]
    for n, path in enumerate(sources):
        path.write_bytes(CONTENT + bytes([n]))
    targets = [tmp_path / "store" / path.name for path in sources]
    await asyncio.gather(*map(copy_file, sources, targets))
    for ours, theirs in zip(sources, targets, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


async def test_a_checksum_is_the_copys(source: Path, destination: Path) -> None:
    copied = await copy_file(source, destination)
    assert await checksum_file(destination) == copied == await checksum_file(source)


def test_every_error_names_its_file_a_reason_and_a_remedy(source: Path, destination: Path) -> None:
    wrong = Sum("md5", "0" * 32, "a.tif.md5")
    with pytest.raises(ChecksumMismatch, match=r"a\.tif\.md5 says 0000") as caught:
        copies.copy_verified(Stop(), source, destination, [wrong])
    assert leftovers(destination) == []
    assert not destination.exists()
    error = caught.value
    assert (error.file, bool(error.reason), bool(error.remedy)) == (source, True, True)
    assert str(error) == f"{source}: {error.reason}; {error.remedy}"
