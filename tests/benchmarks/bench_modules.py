"""Barcode and derivatives against plain zxing-cpp and Pillow: time and peak memory.

On the photographs that `REFINERY_SPECIMENS` names, else on a drawn sheet; and a 160 MB TIFF.
Each side runs in a process of its own, in turns. Ours finds what one look does not, so the
rows also count the codes; time is shown without a target, memory with one.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from demo.specimens.codes import Symbology
from demo.specimens.sheets import Order, draw_sheet
from tests.benchmarks.rows import Row

PROCESS = Path(__file__).parent / "imaging_process.py"
TIFF_SIZE = (6000, 8900)
"""160 MB at 3 bytes a pixel."""
MAX_MEMORY = 0.4
"""Of what Pillow needs for the same derivatives."""


def measure(*, quick: bool = False) -> list[Row]:
    """Medians over the images; `quick`: one round on a small TIFF."""
    rounds, size = (1, (1500, 2200)) if quick else (3, TIFF_SIZE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs = _photographs(folder)
        codes = _in_turns("barcode", photographs[:2] if quick else photographs, folder)
        tiff = _tiff(folder / "scan.tif", size)
        derived = _in_turns("derive", [tiff] * rounds, folder)
    megabytes = size[0] * size[1] * 3 // 10**6
    what = f"barcode, {len(codes['ours'])} images"
    made = f"derivatives of a {megabytes} MB TIFF"
    return [
        _row(f"{what}: median time ÷ one look with zxing-cpp", codes, "seconds"),
        _row(f"{what}: median peak memory ÷ zxing-cpp", codes, "mb", unit="MB"),
        Row(
            f"{what}: codes read, ours and zxing-cpp's (its rulers and stems too)",
            *(float(sum(run["made"] for run in codes[side])) for side in ("ours", "plain")),
            unit="codes",
        ),
        _row(f"{made}: time ÷ Pillow", derived, "seconds"),
        _row(f"{made}: peak memory ÷ Pillow", derived, "mb", unit="MB", target=MAX_MEMORY),
    ]


def _row(what: str, runs: dict[str, list[dict[str, Any]]], field: str, **more: Any) -> Row:
    ours, plain = (statistics.median(run[field] for run in runs[side]) for side in runs)
    return Row(what, ours, plain, **more)


def _in_turns(what: str, paths: list[Path], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Both sides on each image, one after the other."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": []}
    for path in paths:
        for side in runs:
            answer = subprocess.run(
                [sys.executable, str(PROCESS), f"{what}_{side}", str(path), str(folder)],
                check=True,
                capture_output=True,
                text=True,
            )
            runs[side].append(json.loads(answer.stdout))
    return runs


def _photographs(folder: Path) -> list[Path]:
    """The real photographs, else one drawn sheet."""
    specimens = os.environ.get("REFINERY_SPECIMENS")
    if specimens:
        return sorted(Path(specimens).glob("*.jpg"))
    sheet = draw_sheet(Order(1, 1, (("NHMD-000001", Symbology.DATA_MATRIX),)))
    path = folder / "sheet.jpg"
    sheet.image.save(path, quality=92)
    return [path]


def _tiff(path: Path, size: tuple[int, int]) -> Path:
    """An uncompressed scan with grain in it."""
    across = np.linspace(40, 220, size[0], dtype=np.float32)
    down = np.linspace(0.6, 1.0, size[1], dtype=np.float32)
    grain = np.random.default_rng(1).integers(0, 24, (size[1], size[0], 3), dtype=np.uint8)
    plain = (down[:, None] * across).astype(np.uint8)
    Image.fromarray(plain[:, :, None] + grain).save(path, dpi=(600, 600))
    return path
