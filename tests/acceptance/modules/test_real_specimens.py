"""What is read on real photographs: every true code, and none besides.

`REFINERY_SPECIMENS` names a folder with photographs and a MANIFEST.csv that says what is on
them (`tests/accuracy/photographs.py`). `make accuracy` prints the same as a table.
"""

import os
from pathlib import Path

import pytest

from tests.accuracy.photographs import photographs, read_all

FOLDER = os.environ.get("REFINERY_SPECIMENS")


@pytest.mark.timeout(900)
@pytest.mark.skipif(not FOLDER, reason="REFINERY_SPECIMENS names no folder of real specimens")
def test_every_true_code_is_read_and_none_is_made_up() -> None:
    known = [each for each in photographs(Path(FOLDER or "")) if each.codes is not None]
    assert known
    assert [fault for read in read_all(known) for fault in read.faults()] == []
