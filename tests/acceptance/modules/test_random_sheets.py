"""Sixty random sheets, each read by barcode, crop, derive and ocr, against what is on them."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.modules.read_sheets import Row

SHEETS = 60
PROCESSES = 2
ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(1800)
def test_sixty_random_sheets_are_read_right(tmp_path: Path, capsys) -> None:
    rows = sorted(read_all(tmp_path), key=lambda row: row.seed)
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table(rows)) + "\n")
    assert [row.seed for row in rows] == list(range(SHEETS))
    assert [(row.seed, row.missed, row.extra) for row in rows if row.missed or row.extra] == []
    assert [(row.seed, row.overlap) for row in rows if row.overlap < 0.9] == []
    assert [(row.seed, row.skew) for row in rows if row.skew > 0.3] == []
    for error in ("scale_error", "cut_error"):
        assert [(row.seed, error) for row in rows if getattr(row, error) > 0.01] == []
    assert sum(row.wrong for row in rows) / sum(row.letters for row in rows) <= 0.05


def read_all(folder: Path) -> list[Row]:
    """The sheets in turns on two processes of one thread each, which load the models once."""
    one_thread = {"OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}
    module = "tests.acceptance.modules.read_sheets"
    readers = [
        subprocess.Popen(
            [sys.executable, "-m", module, str(folder), *map(str, range(n, SHEETS, PROCESSES))],
            cwd=ROOT,
            env={**os.environ, **one_thread},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    try:
        told = [reader.communicate()[0] for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    assert [reader.returncode for reader in readers] == [0] * PROCESSES
    return [Row(**json.loads(line)) for text in told for line in text.splitlines()]


def table(rows: list[Row]) -> list[str]:
    """The worst and the middle of each measure."""
    overall = sum(row.wrong for row in rows) / sum(row.letters for row in rows)
    seconds = [statistics.median(row.seconds[n] for row in rows) for n in range(4)]
    measures = (
        ("crop, area shared ÷ area of both", [-row.overlap for row in rows], "{:>7.3f}"),
        ("crop, degrees askew after correction", [row.skew for row in rows], "{:>7.2f}"),
        ("derivative, size off by", [row.scale_error for row in rows], "{:>7.2%}"),
        ("derivative of the cut sheet, off by", [row.cut_error for row in rows], "{:>7.2%}"),
        (
            f"text, wrong letters (all: {overall:.2%})",
            [row.wrong / row.letters for row in rows],
            "{:>7.2%}",
        ),
    )
    return [
        f"{len(rows)} sheets with blur, noise, skew, glare    median    worst",
        f"{'codes missed / extra':<40} {sum(len(row.missed) for row in rows):>7}"
        f"  {sum(len(row.extra) for row in rows):>7}",
        *(
            f"{what:<40} {form.format(abs(statistics.median(values)))}"
            f"  {form.format(abs(max(values)))}"
            for what, values, form in measures
        ),
        f"{'seconds: barcode, crop, derive, ocr':<40} " + " ".join(f"{s:.2f}" for s in seconds),
    ]
