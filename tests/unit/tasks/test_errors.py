"""What an operating system's error number means to the person who has to act."""

import errno
import pickle
from pathlib import Path

import pytest

from tasks.errors import DeviceFault, DiskFull, FileError, PermissionDenied, SourceVanished, named

FILE = Path("N/WORKHERB0001/a.tif")


@pytest.mark.parametrize(
    ("number", "reading", "expected"),
    [
        (errno.ENOENT, True, SourceVanished),
        (errno.ENOTDIR, True, SourceVanished),
        (errno.ESTALE, True, SourceVanished),
        (errno.ENOENT, False, DeviceFault),
        (errno.ENOSPC, False, DiskFull),
        (errno.EDQUOT, False, DiskFull),
        (errno.EACCES, True, PermissionDenied),
        (errno.EPERM, False, PermissionDenied),
        (errno.EROFS, False, PermissionDenied),
        (errno.EIO, True, DeviceFault),
        (errno.ENOTCONN, True, DeviceFault),
    ],
)
def test_an_error_number_gets_its_name(
    number: int, reading: bool, expected: type[FileError]
) -> None:
    error = named(OSError(number, "words of the system"), FILE, reading=reading)
    assert type(error) is expected
    assert str(FILE) in str(error)
    assert "words of the system" in error.reason
    assert error.remedy in str(error)


def test_an_error_survives_the_way_to_another_process() -> None:
    error = DiskFull(FILE, "it needs 9 bytes", "buy a disk")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.file, again.reason, again.remedy) == (
        DiskFull,
        FILE,
        "it needs 9 bytes",
        "buy a disk",
    )
