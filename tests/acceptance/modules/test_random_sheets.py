"""Nine of the sixty random sheets that `make accuracy` reads, by barcode, crop, derive and ocr.

Among them is each resolution, table and paper, each kind of code with small and with large
modules, alone, beside one of its own kind and beside another; and of the sixty the one that is
hardest to crop (30, which is also read whole), the two whose codes are looked for longest (24
and 19), the most wrong letters (13), the strongest blur and grain (56, 2, 19), the strongest
glare (57), and the furthest turned to either side (19 and 46).
"""

from pathlib import Path

import pytest

from tests.accuracy.sheets import faults, read_sheets

SAMPLE = (2, 13, 19, 24, 30, 32, 46, 56, 57)


@pytest.mark.timeout(900)
def test_random_sheets_are_read_right(tmp_path: Path) -> None:
    assert faults(read_sheets(SAMPLE, tmp_path)) == []
