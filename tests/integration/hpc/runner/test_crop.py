"""The specimen's box, and the honest "could not tell"."""

import math

import pytest
from PIL import Image, ImageColor, ImageDraw

from hpc.runner.errors import BadInput
from hpc.runner.modules import crop


def test_a_specimen_on_paper_is_boxed(make_job) -> None:
    sheet = Image.new("RGB", (2400, 3000), (236, 232, 220))
    ImageDraw.Draw(sheet).ellipse((600, 900, 1500, 2400), fill=(70, 110, 50))
    found = crop.run(make_job("s.tif", sheet.save))["details"]
    x, y, width, height = found["box"]
    assert abs(x - 600) < 10
    assert abs(y - 900) < 10
    assert abs(width - 900) < 20
    assert abs(height - 1500) < 20
    assert found["confidence"] > 0.7


def test_a_blank_sheet_cannot_be_told(make_job, draw) -> None:
    found = crop.run(make_job("s.png", draw(size=(900, 700)).save))
    assert found["details"]["box"] is None
    assert "could not tell" in found["warning"]


def test_a_motley_border_cannot_be_told(make_job) -> None:
    sheet = Image.effect_noise((900, 700), 120)
    found = crop.run(make_job("s.png", sheet.save))
    assert found["details"]["box"] is None
    assert "could not tell" in found["warning"]


def test_the_box_is_of_the_upright_image(make_job) -> None:
    lying = Image.new("RGB", (800, 400), "white")
    ImageDraw.Draw(lying).rectangle((100, 50, 299, 149), fill="black")
    exif = lying.getexif()
    exif[0x0112] = 6
    found = crop.run(make_job("s.jpg", lambda path: lying.save(path, exif=exif)))["details"]
    assert found["size"] == [400, 800]
    x, y, width, height = found["box"]
    assert (abs(x - 250) < 5, abs(y - 100) < 5) == (True, True)
    assert (abs(width - 100) < 8, abs(height - 200) < 8) == (True, True)


def on_a_table(paper: tuple[int, int, int] = (238, 232, 215), turned: float = 0) -> Image.Image:
    """A sheet at (220, 330, 1100, 1500) with a plant, a label and a code, on a dark table."""
    table = (58, 59, 62)
    page = Image.new("RGB", (1540, 2040), table)
    pen = ImageDraw.Draw(page)
    pen.rectangle((220, 330, 1319, 1829), fill=paper)
    pen.ellipse((500, 500, 900, 1400), fill=(70, 110, 50))
    pen.line((700, 900, 1480, 700), fill=(80, 100, 50), width=16)
    pen.rectangle((800, 1500, 1290, 1800), fill=(252, 250, 240), outline=(60, 52, 44), width=3)
    return page.rotate(turned, Image.Resampling.BICUBIC, fillcolor=table)


def with_furniture(page: Image.Image) -> Image.Image:
    """A colour chart and a ruler above the sheet."""
    pen = ImageDraw.Draw(page)
    pen.rectangle((100, 60, 640, 240), fill=(28, 28, 28))
    for n in range(18):
        x, y = 110 + (n % 6) * 88, 70 + (n // 6) * 56
        colour = ImageColor.getrgb(f"hsl({n * 20}, {75 if n < 12 else 0}%, {30 + n * 2}%)")
        pen.rectangle((x, y, x + 80, y + 48), fill=colour)
    pen.rectangle((760, 100, 1460, 190), fill=(246, 246, 243))
    for mm in range(50):
        pen.rectangle((780 + mm * 13, 100, 782 + mm * 13, 125), fill=(20, 20, 20))
    return page


def iou(a: list[int], b: tuple[int, int, int, int]) -> float:
    """Common area over the area of both."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0, across) * max(0, down)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


SHEET = (220, 330, 1100, 1500)


@pytest.mark.parametrize("paper", [(238, 232, 215), (150, 140, 110), (255, 255, 255)])
def test_a_sheet_is_found_against_its_table(make_job, paper: tuple[int, int, int]) -> None:
    found = crop.run(make_job("s.png", with_furniture(on_a_table(paper)).save))
    assert found["details"]["what"] == "sheet"
    assert iou(found["details"]["box"], SHEET) > 0.98
    assert found["details"]["angle"] == pytest.approx(0, abs=0.1)
    assert found["warning"] is None


@pytest.mark.parametrize("turned", [-3, -1, 0.5, 2])
def test_a_turned_sheet_tells_by_how_much(make_job, turned: float) -> None:
    found = crop.run(make_job("s.png", on_a_table(turned=turned).save))["details"]
    assert found["angle"] == pytest.approx(-turned, abs=0.1)
    assert iou(found["box"], SHEET) > 0.9
    (left, top), (right, beside), (_, bottom), _ = found["corners"]
    assert math.hypot(right - left, beside - top) == pytest.approx(SHEET[2], abs=6)
    assert bottom - beside == pytest.approx(SHEET[3] * math.cos(math.radians(turned)), abs=6)
    assert found["sure"] is True


def test_a_sheet_that_is_only_guessed_is_not_sure(make_job) -> None:
    found = crop.run(make_job("s.png", on_a_table().save, min_confidence=1.1))
    assert found["details"]["sure"] is False
    assert "guess" in found["warning"]


def test_chart_and_ruler_are_recognised_and_cut_or_kept(make_job) -> None:
    page = with_furniture(on_a_table())
    found = crop.run(make_job("s.png", page.save))["details"]
    beside = {thing["kind"]: thing["box"] for thing in found["beside"]}
    assert iou(beside["chart"], (110, 70, 520, 160)) > 0.8
    assert iou(beside["ruler"], (760, 100, 700, 90)) > 0.8
    ruler = crop.run(make_job("s.png", page.save, keep=["ruler"]))["details"]["box"]
    assert iou(ruler, (220, 100, 1240, 1730)) > 0.97
    both = crop.run(make_job("s.png", page.save, keep=["ruler", "chart"]))["details"]["box"]
    assert iou(both, (110, 70, 1350, 1760)) > 0.97


def test_a_ruler_that_lies_against_the_chart_is_one_by_itself(make_job) -> None:
    page = with_furniture(on_a_table())
    ImageDraw.Draw(page).rectangle((641, 100, 760, 190), fill=(246, 246, 243))
    found = crop.run(make_job("s.png", page.save))["details"]
    beside = {thing["kind"]: thing["box"] for thing in found["beside"]}
    assert iou(beside["chart"], (110, 70, 520, 160)) > 0.8
    assert iou(beside["ruler"], (641, 100, 820, 90)) > 0.8


def test_a_thing_to_keep_that_is_none_is_named(make_job, draw) -> None:
    with pytest.raises(BadInput, match=r"params\.keep.*lamp"):
        crop.run(make_job("s.png", draw(size=(300, 300)).save, keep=["lamp"]))
