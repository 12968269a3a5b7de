"""Reads random sheets in a process of its own: FOLDER and seeds in, a JSON line a sheet out.

The text of one in ten is read from the whole photograph, of the others from the part around
the label, which saves minutes.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpc.runner.job import Job
from hpc.runner.modules import barcode, crop, derive, ocr
from tests.support.jobs_on_disk import job_on_disk
from tests.support.sheets import RandomSheet, iou, mistakes, random_sheet

MODULES = (barcode, crop, derive, ocr)
WHOLE = 10


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
