"""What is read on real photographs: every true code, and none besides.

`REFINERY_SPECIMENS` names a folder with photographs and a MANIFEST.csv that says what is on
them; truth UNKNOWN leaves a row out, NONE means no code.
"""

import csv
import os
import sys
import time
from pathlib import Path

import pytest

from hpc.job.modules import barcode

FOLDER = os.environ.get("REFINERY_SPECIMENS")


@pytest.mark.timeout(900)
@pytest.mark.skipif(not FOLDER, reason="REFINERY_SPECIMENS names no folder of real specimens")
def test_every_true_code_is_read_and_none_is_made_up(make_job, capsys) -> None:
    folder = Path(FOLDER or "")
    with (folder / "MANIFEST.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["ground_truth_barcodes"] != "UNKNOWN"]
    told, wrong = [f"\n{'image':<44} found truth extra seconds"], []
    for row in rows:
        true = set(row["ground_truth_barcodes"].split("|")) - {"NONE"}
        content = (folder / row["file"]).read_bytes()
        job = make_job(row["file"], lambda path, content=content: path.write_bytes(content))
        began = time.monotonic()
        read = set(barcode.run(job)["barcode"]["barcodes"])
        taken = time.monotonic() - began
        told.append(
            f"{row['file'][:44]:<44} {len(read & true):>5} {len(true):>5} {len(read - true):>5} "
            f"{taken:>7.1f}"
        )
        if read != true:
            wrong.append(f"{row['file']}: {sorted(read)}, and not {sorted(true)}")
    with capsys.disabled():
        sys.stdout.write("\n".join(told) + "\n")
    assert rows
    assert wrong == []
