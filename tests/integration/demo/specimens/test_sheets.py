import io
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import zxingcpp
from PIL import ExifTags, Image

from demo.specimens import furniture
from demo.specimens.codes import Symbology, sticker
from demo.specimens.flora import SPECIES
from demo.specimens.lettering import text_mask, text_width
from demo.specimens.sheets import HERBARIUM, DrawnSheet, Order, SheetKind, draw_sheet, encoded

TAKEN = datetime(2026, 11, 21, 10, 15, 7, tzinfo=timezone(timedelta(hours=1)))
CODES = (("NHMD-00317044", Symbology.CODE_128), ("NHMD-00317045", Symbology.QR_CODE))


@pytest.fixture(scope="module")
def sheet() -> DrawnSheet:
    return draw_sheet(Order(seed=4, number=3, codes=CODES))


def centre(image: Image.Image, box: tuple[int, int, int, int]) -> tuple[int, ...]:
    x, y, width, height = box
    pixel = image.getpixel((x + width // 2, y + height // 2))
    assert isinstance(pixel, tuple)
    return pixel


def test_a_sheet_is_as_large_as_a_camera_makes_it(sheet: DrawnSheet) -> None:
    assert sheet.image.size == (3000, 4500)
    assert sheet.image.mode == "RGB"


def test_the_same_seed_gives_the_same_pixels_and_another_one_does_not(sheet: DrawnSheet) -> None:
    again = draw_sheet(Order(seed=4, number=3, codes=CODES))
    assert again.image.tobytes() == sheet.image.tobytes()
    assert encoded(again, ".jpg", TAKEN) == encoded(sheet, ".jpg", TAKEN)
    other = draw_sheet(Order(seed=5, number=3, codes=CODES))
    assert other.image.tobytes() != sheet.image.tobytes()


def test_every_printed_code_is_found_where_the_sheet_says(sheet: DrawnSheet) -> None:
    found = {code.text: code for code in zxingcpp.read_barcodes(sheet.image)}
    assert set(found) == {code.text for code in sheet.codes}
    for code in sheet.codes:
        x, y, width, height = code.box
        corner = found[code.text].position.top_left
        assert x <= corner.x <= x + width and y <= corner.y <= y + height


@pytest.mark.parametrize("symbology", list(Symbology))
def test_a_sticker_reads_back_in_its_own_symbology(symbology: Symbology) -> None:
    (found,) = zxingcpp.read_barcodes(sticker("NHMD-00000001", symbology))
    assert found.text == "NHMD-00000001"
    assert str(found.format).replace(" ", "") == symbology


def test_plant_and_label_lie_on_the_paper_and_apart(sheet: DrawnSheet) -> None:
    assert sheet.specimen_box is not None and sheet.label_box is not None
    px, py, pw, ph = sheet.paper_box
    for x, y, width, height in (sheet.specimen_box, sheet.label_box):
        assert px <= x and x + width <= px + pw and py <= y and y + height <= py + ph
    assert sheet.specimen_box[1] + sheet.specimen_box[3] < sheet.label_box[1]


def test_the_table_is_dark_and_the_paper_light(sheet: DrawnSheet) -> None:
    grey = np.asarray(sheet.image.convert("L"))
    assert grey[:, :80].mean() < 80
    assert grey[3600:3800, 1200:1500].mean() > 200


def test_the_label_says_what_was_gathered_in_danish(sheet: DrawnSheet) -> None:
    assert sheet.gathering is not None
    assert sheet.label_lines[0] == HERBARIUM
    assert sheet.label_lines[1:] == sheet.gathering.lines()
    assert set("æøåÆØÅ") & set("".join(sheet.label_lines))


def test_the_colour_chart_has_24_patches_of_their_colours(sheet: DrawnSheet) -> None:
    assert len(sheet.patches) == len(furniture.PATCHES) == 24
    for box, colour in zip(sheet.patches, furniture.PATCHES, strict=True):
        seen = np.array(centre(sheet.image, box), dtype=int)
        assert np.abs(seen - np.array(colour)).max() < 20


@pytest.mark.parametrize(("ppi", "length_mm"), [(300, 100), (600, 50)])
def test_the_ruler_has_a_tick_for_every_millimetre(ppi: int, length_mm: int) -> None:
    table = Image.new("RGB", (1600, 400), (58, 59, 62))
    ruler = furniture.ruler(table, (60, 60), ppi, length_mm)
    row = np.asarray(table.convert("L"))[ruler.zero[1] + 12]
    for mm in range(length_mm + 1):
        assert row[ruler.zero[0] + round(mm * ruler.pixels_per_mm)] < 60
    inside = row[ruler.box[0] : ruler.box[0] + ruler.box[2]] < 60
    assert np.count_nonzero(np.diff(inside.astype(int)) == 1) == length_mm + 1
    assert ruler.pixels_per_mm == pytest.approx(ppi / 25.4)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_an_image_file_tells_resolution_capture_time_and_profile(
    sheet: DrawnSheet, suffix: str
) -> None:
    with Image.open(io.BytesIO(encoded(sheet, suffix, TAKEN))) as image:
        assert image.format == {".tif": "TIFF", ".jpg": "JPEG"}[suffix]
        assert tuple(round(ppi) for ppi in image.info["dpi"]) == (300, 300)
        assert image.info["icc_profile"]
        details = image.getexif().get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2026:11:21 10:15:07"
    assert details[ExifTags.Base.OffsetTimeOriginal] == "+01:00"


def test_a_device_target_has_neither_plant_nor_label() -> None:
    codes = (("DEVICE-TARGET-0001", Symbology.DATA_MATRIX),)
    target = draw_sheet(Order(1, 5, codes, SheetKind.DEVICE_TARGET))
    assert target.specimen_box is None and target.label_box is None
    assert target.label_lines == ()
    assert [code.text for code in zxingcpp.read_barcodes(target.image)] == ["DEVICE-TARGET-0001"]


@pytest.mark.parametrize(("letter", "base"), [("å", "a"), ("ø", "o"), ("Å", "A"), ("Ø", "O")])
def test_a_danish_letter_is_more_than_its_latin_base(letter: str, base: str) -> None:
    assert text_width(letter, 60) == text_width(base, 60)
    danish, latin = (np.asarray(text_mask(text, 60)) > 128 for text in (letter, base))
    assert (danish & latin).sum() == latin.sum()
    assert danish.sum() > latin.sum()


def test_every_letter_on_a_label_is_in_the_font() -> None:
    missing = np.asarray(text_mask("\N{SNOWMAN}", 40))
    for letter in {c for s in SPECIES for c in s.name + s.author + s.danish} - {" "}:
        mask = np.asarray(text_mask(letter, 40))
        assert mask.max() > 0
        assert mask.shape != missing.shape or (mask != missing).any(), letter
