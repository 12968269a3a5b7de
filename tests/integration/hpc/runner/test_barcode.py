"""What is read from a sheet, and what each code stands for."""

import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter

from hpc.runner.errors import BadInput
from hpc.runner.imaging import codes
from hpc.runner.modules import barcode
from tests.support.patching import seen_by

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


def test_a_code_of_somebody_else_is_listed_but_not_counted(make_job, draw) -> None:
    sheet = draw({(50, 50): ("NHMD-1", "QRCode"), (600, 50): ("SKU 4711", "Code128")})
    found = barcode.run(make_job("s.png", sheet.save, patterns={"specimen": "^NHMD-"}))["barcode"]
    assert {code["text"]: code["kind"] for code in found["codes"]} == {
        "NHMD-1": "specimen",
        "SKU 4711": "other",
    }
    assert (found["barcodes"], found["multi_specimen"]) == (["NHMD-1"], False)


def test_a_code_with_a_root_across_it_is_read(make_job, draw) -> None:
    sheet = draw({(900, 700): ("NHMD-123456", "DataMatrix")})
    ImageDraw.Draw(sheet).line((900, 780, 1000, 690), fill=(70, 60, 50), width=2)
    found = barcode.run(make_job("s.png", sheet.save))["barcode"]
    assert found["barcodes"] == ["NHMD-123456"]


def test_a_slanted_bar_code_beside_an_upright_one_is_read(make_job, draw) -> None:
    sheet = draw({(100, 100): ("NHMD-1", "Code128")})
    other = draw({(150, 150): ("NHMD-2", "Code128")}, size=(700, 500)).rotate(
        33, Image.Resampling.BICUBIC, fillcolor=(238, 234, 222)
    )
    sheet.paste(other, (800, 600))
    found = barcode.run(make_job("s.png", sheet.save))["barcode"]
    assert found["barcodes"] == ["NHMD-1", "NHMD-2"]
    (x, y, width, height) = found["codes"][1]["box"]
    assert 900 < x + width / 2 < 1300
    assert 700 < y + height / 2 < 1050


def test_a_tiny_code_beside_a_large_one_is_read(make_job, draw) -> None:
    sheet = draw({(100, 100): ("NHMD-1", "QRCode")}, size=(2400, 1800))
    tiny = draw({(40, 40): ("NHMD-2", "DataMatrix")}, size=(160, 160)).resize((75, 75))
    sheet.paste(tiny, (1700, 1300))
    assert barcode.run(make_job("s.png", sheet.save))["barcode"]["barcodes"] == ["NHMD-1", "NHMD-2"]


def test_a_code_cut_by_the_frame_belongs_to_the_neighbour(make_job, draw) -> None:
    sheet = draw({(100, 100): ("NHMD-1", "QRCode"), (1000, 700): ("NHMD-2", "DataMatrix")})
    whole = barcode.run(make_job("s.png", sheet.save))["barcode"]["codes"]
    x, y, width, height = next(code["box"] for code in whole if code["text"] == "NHMD-2")
    cut = sheet.crop((0, 0, x + width + 100, y + height - 1))
    found = barcode.run(make_job("cut.png", cut.save))
    assert found["barcode"]["barcodes"] == ["NHMD-1"]
    assert [code["text"] for code in found["details"]["cut"]] in ([], ["NHMD-2"])


def test_the_same_code_twice_is_two_codes_of_one_specimen(make_job, draw) -> None:
    sheet = draw({(50, 50): ("NHMD-1", "QRCode"), (900, 700): ("NHMD-1", "QRCode")})
    found = barcode.run(make_job("s.png", sheet.save))["barcode"]
    assert len(found["codes"]) == 2
    assert (found["barcodes"], found["multi_specimen"]) == (["NHMD-1"], False)


def test_a_spent_budget_says_what_was_left(make_job, draw) -> None:
    sheet = draw({(100, 100): ("NHMD-1", "QRCode")})
    noise = Image.effect_noise((200, 200), 120)
    sheet.paste(noise, (900, 700))
    found = barcode.run(make_job("s.png", sheet.save, seconds=0.0001))
    assert found["barcode"]["barcodes"] == ["NHMD-1"]
    assert "raise params.seconds" in found["warning"]
    assert found["details"]["seconds"] > 0


def test_a_budget_that_is_none_is_named(make_job, draw) -> None:
    with pytest.raises(BadInput, match=r"params\.seconds"):
        barcode.run(make_job("s.png", draw(size=(300, 300)).save, seconds="long"))


QR = "http://coll.mfn-berlin.de/u/115ff7"


def test_a_uri_names_a_specimen_only_where_a_pattern_says_so(make_job, draw) -> None:
    sheet = draw({(50, 50): (QR, "QRCode")})
    unknown = barcode.run(make_job("s.png", sheet.save))["barcode"]
    assert (unknown["barcodes"], unknown["codes"][0]["kind"]) == ([], "other")
    patterns = {"uri": {"Coleoptera": [r"^http://coll\.mfn-berlin\.de/u/(\w+)$"]}}
    known = barcode.run(make_job("s.png", sheet.save, patterns=patterns, expected=True))["barcode"]
    assert (known["barcodes"], known["codes"][0]["kind"]) == ([QR], "specimen")


def test_a_code_of_no_concern_is_no_specimen(make_job, draw) -> None:
    sheet = draw({(50, 50): ("NHMD-1", "QRCode"), (600, 50): ("https://charts.example", "QRCode")})
    found = barcode.run(make_job("s.png", sheet.save, patterns={"ignored": "charts"}))["barcode"]
    assert [code["kind"] for code in found["codes"]] == ["specimen", "ignored"]
    assert found["barcodes"] == ["NHMD-1"]


@pytest.mark.parametrize("text", ["NHMD\n1", "NHMD-1\r\n", "0112\x1d21X", "標本-1", "Ærø 7"])
def test_a_code_is_told_as_it_was_read(make_job, draw, text) -> None:
    sheet = draw({(50, 50): (text, "QRCode")})
    assert barcode.run(make_job("s.png", sheet.save))["barcode"]["barcodes"] == [text]


def test_a_nul_in_a_code_is_shown_since_no_database_text_has_one(make_job, draw) -> None:
    sheet = draw({(50, 50): ("A\x00B", "QRCode")})
    assert barcode.run(make_job("s.png", sheet.save))["barcode"]["barcodes"] == ["A␀B"]


def test_a_busy_machine_takes_nothing_from_the_budget(make_job, draw, monkeypatch) -> None:
    """A second on the wall passes at every look at the clock, and none at the processor."""
    walls = iter(range(10**6))
    monkeypatch.setattr(codes, "MAX_WALL_TIMES", 10**6)
    seen_by(monkeypatch, codes, "time", monotonic=lambda: float(next(walls)))
    sheet = draw({(100, 100): ("NHMD-1", "QRCode")})
    sheet.paste(Image.effect_noise((200, 200), 120), (900, 700))
    found = barcode.run(make_job("s.png", sheet.save))
    assert found["warning"] is None


def test_a_machine_that_gives_no_time_is_not_waited_for_for_ever(
    make_job, draw, monkeypatch
) -> None:
    walls = iter(range(0, 10**9, 1000))
    seen_by(monkeypatch, codes, "time", monotonic=lambda: float(next(walls)))
    sheet = draw({(100, 100): ("NHMD-1", "QRCode")})
    sheet.paste(Image.effect_noise((200, 200), 120), (900, 700))
    assert "raise params.seconds" in barcode.run(make_job("s.png", sheet.save))["warning"]


def test_a_faint_code_out_of_focus_has_its_further_looks(make_job) -> None:
    made = zxingcpp.create_barcode("NHMD-123456", zxingcpp.BarcodeFormat.DataMatrix)
    label = Image.new("L", (420, 220), 236)
    label.paste(Image.fromarray(made.to_image(scale=4)).crop((0, 0, 400, 200)), (10, 10))
    faint = label.resize((252, 132), Image.Resampling.BILINEAR)
    faint = faint.filter(ImageFilter.GaussianBlur(1.3)).point([140 + v // 4 for v in range(256)])
    sheet = Image.new("L", (1600, 1200), 236)
    sheet.paste(faint, (700, 600))
    found = barcode.run(make_job("s.png", sheet.save))["barcode"]
    assert found["barcodes"] == ["NHMD-123456"]
