"""What passes through this machine leaves nothing here, whatever became of who carried it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc.sites.passing import YOUNG_S, passing_folder, remove_left

CARRIES = """
import sys
from hpc.sites.passing import passing_folder
with passing_folder() as folder:
    (folder / "image.tif").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def carrier(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process, which carries a file."""
    with subprocess.Popen(
        [sys.executable, "-c", CARRIES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def aged(folder: Path) -> Path:
    """The folder, as if nothing had been put into it for a while."""
    long_ago = folder.stat().st_mtime - 2 * YOUNG_S
    os.utime(folder, (long_ago, long_ago))
    return folder


def test_a_folder_is_gone_once_its_files_are_through(temporary: Path) -> None:
    with passing_folder() as folder:
        (folder / "image.tif").write_bytes(b"image")
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_that_carries(
    temporary: Path, carrier: tuple[subprocess.Popen[str], Path]
) -> None:
    process, left = carrier
    process.kill()
    process.wait()
    assert (left / "image.tif").stat().st_size == 1000
    aged(left)
    with passing_folder() as folder:
        assert list(temporary.iterdir()) == [folder]


def test_what_is_in_use_stays_however_old_it_is(
    carrier: tuple[subprocess.Popen[str], Path],
) -> None:
    _, used = carrier
    aged(used)
    remove_left()
    assert (used / "image.tif").is_file()


def test_one_that_was_made_just_now_may_be_about_to_be_locked(temporary: Path) -> None:
    young = temporary / "carried-young"
    young.mkdir()
    remove_left()
    assert young.is_dir()
    aged(young)
    remove_left()
    assert not young.exists()
