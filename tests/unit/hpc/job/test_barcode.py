"""What is read from a sheet, and what each code stands for."""

import csv
import os
from pathlib import Path

import pytest

from hpc.job.errors import BadInput
from hpc.job.modules import barcode

LABEL, TARGET = "LBL-0001", "DEVICE-TARGET-7"


def test_one_specimen_code_is_read_with_its_box(make_job, draw) -> None:
    sheet = draw({(900, 700): ("NHMD-123456", "DataMatrix")})
    found = barcode.run(make_job("s.tif", sheet.save))
    assert found["metadata"] == {
        "barcode": ["NHMD-123456"],
        "asset_subject": "specimen",
        "multi_specimen": False,
    }
    (code,) = found["barcode"]["codes"]
    assert (code["kind"], code["symbology"]) == ("specimen", "Data Matrix")
    x, y, width, height = code["box"]
    assert 895 <= x <= 925
    assert 695 <= y <= 725
    assert 30 < width < 120
    assert 30 < height < 120
    assert found["warning"] is None


def test_each_kind_is_told_from_the_others(make_job, draw) -> None:
    sheet = draw(
        {
            (50, 50): ("NHMD-1", "QRCode"),
            (600, 50): ("NHMD-2", "Code128"),
            (50, 500): ("DISP-77", "DataMatrix"),
            (600, 500): (LABEL, "QRCode"),
        }
    )
    found = barcode.run(make_job("s.png", sheet.save))["barcode"]
    assert {c["text"]: c["kind"] for c in found["codes"]} == {
        "NHMD-1": "specimen",
        "NHMD-2": "specimen",
        "DISP-77": "disposable",
        LABEL: "label",
    }
    assert sorted(found["barcodes"]) == ["NHMD-1", "NHMD-2"]
    assert found["disposable"] == "DISP-77"
    assert (found["multi_specimen"], found["multi_object"]) == (True, True)
    assert (found["label"], found["asset_subject"]) == (True, "label")


def test_a_device_target_is_the_subject(make_job, draw) -> None:
    sheet = draw({(50, 50): (TARGET, "QRCode"), (600, 50): (LABEL, "QRCode")})
    assert barcode.run(make_job("s.png", sheet.save))["barcode"]["asset_subject"] == "device target"


def test_patterns_are_parameters(make_job, draw) -> None:
    sheet = draw({(50, 50): ("X-9", "QRCode")})
    job = make_job("s.png", sheet.save, patterns={"disposable": "^X-"})
    assert barcode.run(job)["barcode"]["disposable"] == "X-9"


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"patterns": {"label": "("}}, r"params\.patterns\.label"),
        ({"patterns": {"lable": "x"}}, r"params\.patterns.*lable"),
        ({"formats": ["QRCodes"]}, r"params\.formats.*QRCodes"),
    ],
)
def test_a_wrong_parameter_is_named(make_job, draw, params, named) -> None:
    with pytest.raises(BadInput, match=named):
        barcode.run(make_job("s.png", draw(size=(300, 300)).save, **params))


def test_no_code_is_a_result_with_a_warning(make_job, draw) -> None:
    found = barcode.run(make_job("s.png", draw(size=(600, 400)).save))
    assert found["warning"] == "no code found in s.png"
    assert found["metadata"] == {}, "what the workstation wrote must not be wiped"
    assert found["barcode"]["barcodes"] == []


def test_a_sheet_on_its_side_gives_boxes_of_the_upright_image(make_job, draw) -> None:
    sheet = draw({(900, 700): ("NHMD-1", "QRCode")})
    lying = sheet.rotate(90, expand=True)
    exif = lying.getexif()
    exif[0x0112] = 6
    found = barcode.run(make_job("s.jpg", lambda p: lying.save(p, exif=exif, quality=95)))
    assert found["details"]["size"] == [1600, 1200]
    (code,) = found["barcode"]["codes"]
    assert abs(code["box"][0] - 916) < 20
    assert abs(code["box"][1] - 716) < 20


SPECIMENS = os.environ.get("REFINERY_SPECIMENS")
READ_TODAY = {
    "BM001128287.jpg": 3,
    "BR0000015189608.jpg": 1,
    "BR0000005182879.jpg": 1,
    "inselect_barcodes.jpg": 2,
    "inselect_pinned_nobarcode.jpg": 0,
    "NHMUK014024979_example_pinned_insect.jpg": 1,
    "mfn_115ff7_label_qr.jpg": 1,
    "MICH-V-1390992.jpg": 1,
}
"""How many of the true codes are read; inselect_barcodes.jpg holds three."""


@pytest.mark.skipif(not SPECIMENS, reason="REFINERY_SPECIMENS names no folder of real specimens")
@pytest.mark.parametrize("name", READ_TODAY)
def test_real_specimens_are_read_and_nothing_is_made_up(make_job, name: str) -> None:
    folder = Path(SPECIMENS or "")
    with (folder / "MANIFEST.csv").open(encoding="utf-8") as table:
        row = next(row for row in csv.DictReader(table) if row["file"] == name)
    true = set(row["ground_truth_barcodes"].split("|")) - {"NONE"}
    job = make_job(name, lambda path: path.write_bytes((folder / name).read_bytes()))
    read = set(barcode.run(job)["barcode"]["barcodes"])
    assert read <= true
    assert len(read) >= READ_TODAY[name]
