"""Sixty random sheets, each read by barcode, crop, derive and ocr, against what is on them.

The text is read from the part of the photograph around the label, which saves a minute and
is harder on nothing: whole sheets are read in the module's own tests.
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from hpc.job.job import Job
from hpc.job.modules import barcode, crop, derive, ocr
from tests.support.sheets import iou, mistakes, random_sheet

SHEETS = 60


@dataclass(frozen=True)
class Row:
    """What came of one sheet; `letters` and `wrong` are those of its label."""

    seed: int
    missed: frozenset[str]
    extra: frozenset[str]
    overlap: float
    scale_error: float
    letters: int
    wrong: int
    seconds: tuple[float, ...]


@pytest.mark.timeout(1800)
def test_sixty_random_sheets_are_read_right(job_on, capsys) -> None:
    one_reader = threading.Lock()
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda seed: read(seed, job_on, one_reader), range(SHEETS)))
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table(rows)) + "\n")
    assert [(row.seed, row.missed, row.extra) for row in rows if row.missed or row.extra] == []
    assert [(row.seed, row.overlap) for row in rows if row.overlap < 0.9] == []
    assert [(row.seed, row.scale_error) for row in rows if row.scale_error > 0.01] == []
    assert sum(row.wrong for row in rows) / sum(row.letters for row in rows) <= 0.05


def read(seed: int, job_on: Callable[..., Job], one_reader: threading.Lock) -> Row:
    """Run the four modules over one sheet; the reader of text takes one at a time."""
    sheet = random_sheet(seed)
    job = job_on(f"sheet{seed}.jpg", lambda path: sheet.image.save(path, quality=92))
    x, y, across, down = sheet.label_box
    around = sheet.image.crop((x - 60, y - 60, x + across + 60, y + down + 60))
    label = job_on(f"label{seed}.jpg", lambda path: around.save(path, quality=92))
    results, seconds = [], []
    for module in (barcode, crop, derive, ocr):
        with one_reader if module is ocr else nullcontext():
            began = time.monotonic()
            results.append(module.run(label if module is ocr else job))
            seconds.append(time.monotonic() - began)
    codes, cropped, derived, text = results
    found = frozenset(codes["barcode"]["barcodes"])
    box = cropped["details"]["box"]
    width, height = derived["details"]["made"][0]["size"]
    true_scale = 400 / sheet.ppi
    errors = (width / (sheet.image.width * true_scale), height / (sheet.image.height * true_scale))
    wanted = "\n".join(" ".join(line.split()) for line in sheet.label_lines)
    return Row(
        seed=seed,
        missed=sheet.codes - found,
        extra=found - sheet.codes,
        overlap=iou(tuple(box), sheet.paper_box) if box else 0.0,
        scale_error=max(abs(error - 1) for error in errors),
        letters=len(wanted),
        wrong=mistakes(wanted, label_text(text["details"]["labels"])),
        seconds=tuple(seconds),
    )


def label_text(labels: list[dict[str, Any]]) -> str:
    """The text of the largest label."""
    best = max(labels, key=lambda label: label["box"][2] * label["box"][3], default=None)
    return "\n".join(line["text"] for line in best["lines"]) if best else ""


def table(rows: list[Row]) -> list[str]:
    """The worst and the middle of each measure."""
    errors = [row.wrong / row.letters for row in rows]
    overall = sum(row.wrong for row in rows) / sum(row.letters for row in rows)
    overlaps = [row.overlap for row in rows]
    scales = [row.scale_error for row in rows]
    seconds = [statistics.median(row.seconds[n] for row in rows) for n in range(4)]
    return [
        f"{len(rows)} sheets with blur, noise, skew, glare      median    worst",
        f"codes missed / extra                          {sum(len(r.missed) for r in rows):>6}"
        f" / {sum(len(r.extra) for r in rows)}",
        f"crop, area shared ÷ area of both             {statistics.median(overlaps):>7.3f}"
        f"  {min(overlaps):>7.3f}",
        f"derivative, size off by                      {statistics.median(scales):>7.2%}"
        f"  {max(scales):>7.2%}",
        f"text, wrong letters (all: {overall:.2%})             {statistics.median(errors):>7.2%}"
        f"  {max(errors):>7.2%}",
        "seconds: barcode, crop, derive, ocr           " + " ".join(f"{s:.2f}" for s in seconds),
    ]
