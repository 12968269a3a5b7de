"""The log of a line: every entry with its time and its line, and never the end of a job."""

import os
import re
from pathlib import Path

from hpc.runner.batch import ManifestLine
from hpc.runner.log import LineLog, line_log

LINE = ManifestLine(3, 7, 1, "asset-1", "load", "load", "http://x", Path("/site"), "secret")


def test_entries_are_added_to_the_file_of_the_line(tmp_path: Path) -> None:
    for word in ("granted", "d\udcff\N{LATIN CAPITAL LETTER AE}ne"):
        with line_log(tmp_path / "log", LINE) as log:
            log.write("INFO", word)
    text = (tmp_path / "log" / "3.log").read_text()
    entry = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO Line\(3: attempt 7, load of asset-1\): "
    assert re.fullmatch(f"{entry}granted\n{entry}d\\\\udcffÆne\n", text)


def test_a_full_disk_does_not_fail_what_is_logged() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        LineLog(full, LINE).write("INFO", "granted")
    finally:
        os.close(full)
