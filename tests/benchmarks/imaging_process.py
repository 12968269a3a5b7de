"""One side of one imaging measurement, in a process of its own: prints seconds and peak MB."""

import json
import sys
import time
from pathlib import Path

from PIL import Image

from hpc.runner.imaging.codes import read_codes
from hpc.runner.imaging.picture import read_grey
from hpc.runner.imaging.scaled import FORMATS, write_scaled
from hpc.runner.outcome import UsageMeter

SCAN_PPI = 600


def barcode_ours(path: Path, _folder: Path) -> int:
    """Every code, looked for as the module does."""
    return len(read_codes(read_grey(path)).codes)


def barcode_plain(path: Path, _folder: Path) -> int:
    """One look at the whole frame with zxing-cpp, all formats."""
    import zxingcpp

    with Image.open(path) as image:
        return len(zxingcpp.read_barcodes(image.convert("L")))


def derive_ours(path: Path, folder: Path) -> int:
    """A 400 ppi TIFF and a 72 ppi JPEG, as the module makes them."""
    for file_format, ppi in (("tif", 400), ("jpeg", 72)):
        target = folder / f"ours{FORMATS[file_format]}"
        write_scaled(path, target, file_format=file_format, ppi=ppi, source_ppi=SCAN_PPI)
    return 2


def derive_plain(path: Path, folder: Path) -> int:
    """The same two with Pillow."""
    for suffix, ppi in ((".tif", 400), (".jpg", 72)):
        with Image.open(path) as image:
            size = (round(image.width * ppi / SCAN_PPI), round(image.height * ppi / SCAN_PPI))
            made = image.resize(size, Image.Resampling.LANCZOS)
            how = {"compression": "tiff_lzw"} if suffix == ".tif" else {"quality": 85}
            made.save(folder / f"plain{suffix}", **how)
    return 2


SIDES = {side.__name__: side for side in (barcode_ours, barcode_plain, derive_ours, derive_plain)}

if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    usage = UsageMeter()
    began = time.perf_counter()
    made = SIDES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    taken = time.perf_counter() - began
    answer = {"seconds": taken, "mb": usage.so_far()["max_rss_mb"], "made": made}
    sys.stdout.write(json.dumps(answer))
