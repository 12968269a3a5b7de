"""Text of a label: in order, with Danish letters, or an honest "nothing"."""

from hpc.runner.modules import ocr

LABEL = {
    (1500, 1700): "Flora Danica",
    (1500, 1760): "Blåbær på Læsø, Søby Ås",
    (1500, 1820): "Leg. Åge Sørensen 4.8.1923",
}


def test_a_label_on_a_large_sheet_is_found_and_read_in_order(make_job, draw) -> None:
    sheet = draw(lines=LABEL, size=(2600, 2400))
    found = ocr.run(make_job("s.jpg", lambda path: sheet.save(path, quality=92)))
    text = found["metadata"]["tags.ocr"]
    assert text.splitlines() == list(LABEL.values())
    (label,) = found["details"]["labels"]
    x, y, width, height = label["box"]
    assert 1400 < x < 1520
    assert 1600 < y < 1720
    assert x + width < 2300
    assert y + height < 2000
    assert min(line["confidence"] for line in label["lines"]) > 0.9
    assert found["warning"] is None


def test_doubtful_text_is_a_result_with_a_warning(make_job, draw) -> None:
    sheet = draw(lines={(50, 50): "Ribes nigrum"}, size=(600, 200))
    found = ocr.run(make_job("s.png", sheet.save, min_confidence=1.1))
    assert "confidence" in found["warning"]
    assert "Ribes nigrum" in found["metadata"]["tags.ocr"]


def test_no_text_is_a_result_with_a_warning(make_job, draw) -> None:
    found = ocr.run(make_job("s.png", draw(size=(400, 300)).save))
    assert found["warning"] == "no text found in s.png"
    assert found["metadata"] == {}


def test_the_reader_says_nothing_on_its_own(make_job, draw, capfd) -> None:
    ocr.run(make_job("s.png", draw(size=(400, 300)).save))
    assert capfd.readouterr() == ("", "")


def test_a_label_on_its_side_or_upside_down_is_read_too(make_job, draw) -> None:
    label = draw(lines={(40, 40): "Flora Danica", (40, 110): "Leg. Åge Sørensen"}, size=(600, 200))
    sheet = draw(size=(1800, 1500))
    for turn, place in ((90, (100, 200)), (270, (600, 500)), (180, (1000, 1200))):
        sheet.paste(label.rotate(turn, expand=True), place)
    found = ocr.run(make_job("s.png", sheet.save))
    assert found["metadata"]["tags.ocr"].split("\n\n") == ["Flora Danica\nLeg. Åge Sørensen"] * 3
    for label in found["details"]["labels"]:
        x, y, width, height = label["box"]
        for line in label["lines"]:
            a, b, w, h = line["box"]
            assert x - 5 <= a < a + w <= x + width + 5
            assert y - 5 <= b < b + h <= y + height + 5
