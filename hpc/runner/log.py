"""What happens to one line, written for people to read."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpc.runner.batch import ManifestLine


class LineLog:
    """Adds to one line's file. A disk that takes no more words does not fail the work."""

    def __init__(self, file: int, line: ManifestLine) -> None:
        self._file, self._line = file, line

    def write(self, level: str, text: str) -> None:
        """One entry, with the time and how grave it is."""
        now = time.time()
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        entry = f"{at},{int(now % 1 * 1000):03} {level} {self._line!r}: {text}\n"
        with suppress(OSError):
            os.write(self._file, entry.encode(errors="backslashreplace"))


@contextmanager
def line_log(folder: Path, line: ManifestLine) -> Iterator[LineLog]:
    """The log of a line, `folder/<its position>.log`. Raises OSError."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{line.position}.log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        yield LineLog(file, line)
    finally:
        os.close(file)
