"""The specimen's box, and the honest "could not tell"."""

from PIL import Image, ImageDraw

from hpc.job.modules import crop


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
