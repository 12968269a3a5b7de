"""Random sheets, each read by barcode, crop, derive and ocr, against what is on them.

They are read in processes of their own: FOLDER and seeds in, a JSON line a sheet out. The text
of one in ten is read from the whole photograph, of the others from the part around the label,
which saves minutes.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpc.runner.job import Job
from hpc.runner.modules import barcode, crop, derive, ocr
from tests.accuracy.random_sheet import RandomSheet, iou, mistakes, random_sheet
from tests.support.jobs_on_disk import job_on_disk

MODULES = (barcode, crop, derive, ocr)
SHEETS = range(60)
WHOLE = 10
PROCESSES = 2
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """What came of one sheet.

    `overlap`: area shared ÷ area of both; `skew`: degrees left after correction; `scale_error`
    of the whole frame's derivative and `cut_error` of the cut-out sheet's, relative; `letters`
    and `wrong` are those of its label; `seconds` as in MODULES.
    """

    seed: int
    missed: list[str]
    extra: list[str]
    overlap: float
    skew: float
    scale_error: float
    cut_error: float
    letters: int
    wrong: int
    seconds: list[float]


def read_sheets(seeds: Sequence[int], folder: Path) -> list[Row]:
    """These sheets, in turns on two processes of one thread each, which load the models once."""
    one_thread = {"OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}
    readers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.accuracy.sheets", str(folder), *map(str, mine)],
            cwd=ROOT,
            env={**os.environ, **one_thread},
            stdout=subprocess.PIPE,
            text=True,
        )
        for mine in (seeds[n::PROCESSES] for n in range(PROCESSES))
    ]
    try:
        told = [reader.communicate()[0] for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    assert [reader.returncode for reader in readers] == [0] * PROCESSES
    rows = [Row(**json.loads(line)) for text in told for line in text.splitlines()]
    assert sorted(row.seed for row in rows) == sorted(seeds)
    return sorted(rows, key=lambda row: row.seed)


def faults(rows: Sequence[Row]) -> list[str]:
    """What is not read as well as it has to be, a line each."""
    found = []
    for row in rows:
        for what, wrong in (
            (f"codes missed {row.missed}, extra {row.extra}", row.missed or row.extra),
            (f"the crop overlaps by {row.overlap:.3f}", row.overlap < 0.9),
            (f"{row.skew:.2f} degrees askew", row.skew > 0.3),
            (f"the derivative is {row.scale_error:.2%} off", row.scale_error > 0.01),
            (f"the cut sheet's derivative is {row.cut_error:.2%} off", row.cut_error > 0.01),
        ):
            if wrong:
                found.append(f"sheet {row.seed}: {what}")
    if (share := letters_wrong(rows)) > 0.05:
        found.append(f"{share:.2%} of the labels' letters are wrong")
    return found


def letters_wrong(rows: Sequence[Row]) -> float:
    """The share of all labels' letters that is read wrongly."""
    return sum(row.wrong for row in rows) / sum(row.letters for row in rows)


def table(rows: Sequence[Row]) -> list[str]:
    """The worst and the middle of each measure."""
    seconds = [statistics.median(row.seconds[n] for row in rows) for n in range(len(MODULES))]
    measures = (
        ("crop, area shared ÷ area of both", [-row.overlap for row in rows], "{:>7.3f}"),
        ("crop, degrees askew after correction", [row.skew for row in rows], "{:>7.2f}"),
        ("derivative, size off by", [row.scale_error for row in rows], "{:>7.2%}"),
        ("derivative of the cut sheet, off by", [row.cut_error for row in rows], "{:>7.2%}"),
        (
            f"text, wrong letters (all: {letters_wrong(rows):.2%})",
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


def read(seed: int, folder: Path) -> Row:
    """Run the four modules over one sheet."""
    sheet = random_sheet(seed)
    x, y, across, down = sheet.label_box
    around = sheet.image.crop((x - 60, y - 60, x + across + 60, y + down + 60))
    job = _saved(folder / str(seed), f"sheet{seed}.jpg", sheet.image)
    label = _saved(folder / str(seed), f"label{seed}.jpg", around)
    results, seconds = [], []
    for module in MODULES:
        began = time.monotonic()
        results.append(module.run(label if module is ocr and seed % WHOLE else job))
        seconds.append(time.monotonic() - began)
    codes, cropped, derived, text = results
    told = {"cropping": cropped["details"]}
    straight = derive.run(
        _saved(folder / str(seed), f"sheet{seed}.jpg", None, results=told, ppi=[400], cut=True)
    )
    cut = straight["details"]["cut"]
    found = frozenset(codes["barcode"]["barcodes"])
    box = cropped["details"]["box"]
    wanted = "\n".join(" ".join(line.split()) for line in sheet.label_lines)
    return Row(
        seed=seed,
        missed=sorted(sheet.codes - found),
        extra=sorted(found - sheet.codes),
        overlap=iou(tuple(box), sheet.paper_box) if box else 0.0,
        skew=abs(cut["angle"] + sheet.turned) if cut else 90.0,
        scale_error=_size_error(derived, sheet, sheet.image.size),
        cut_error=_size_error(straight, sheet, sheet.paper_size),
        letters=len(wanted),
        wrong=mistakes(wanted, label_text(text["details"]["labels"])),
        seconds=seconds,
    )


def _saved(folder: Path, name: str, image: Any, **more: Any) -> Job:
    save = (lambda path: image.save(path, quality=92)) if image else (lambda path: None)
    return job_on_disk(folder, name, save, **more)


def _size_error(found: Any, sheet: RandomSheet, size: tuple[int, int]) -> float:
    """By how much the 400 ppi derivative is not `size` at the true resolution, relative."""
    made = found["details"]["made"][0]["size"]
    scale = 400 / sheet.ppi
    return max(abs(is_now / (was * scale) - 1) for is_now, was in zip(made, size, strict=True))


def label_text(labels: list[dict[str, Any]]) -> str:
    """The text of the largest label."""
    best = max(labels, key=lambda label: label["box"][2] * label["box"][3], default=None)
    return "\n".join(line["text"] for line in best["lines"]) if best else ""


if __name__ == "__main__":
    for number in sys.argv[2:]:
        row = read(int(number), Path(sys.argv[1]))
        sys.stdout.write(json.dumps(asdict(row)) + "\n")
