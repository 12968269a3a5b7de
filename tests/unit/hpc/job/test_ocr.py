"""Text of a label: in order, with Danish letters, or an honest "nothing"."""

from hpc.job.imaging.text import (
    Strip,
    TextLine,
    as_printed,
    danish_capitals,
    grouped,
    in_reading_order,
)
from hpc.job.modules import ocr

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


def test_rows_are_read_before_columns() -> None:
    def at(text: str, x: int, y: int) -> TextLine:
        return TextLine(text, 1.0, (x, y, 50, 20))

    lines = [at("d", 100, 52), at("a", 0, 4), at("c", 0, 48), at("b", 100, 0)]
    assert [line.text for line in in_reading_order(lines)] == ["a", "b", "c", "d"]


def test_near_lines_are_one_label_and_far_ones_another() -> None:
    near = [(0, 0, 200, 20), (0, 30, 180, 20), (10, 60, 190, 20)]
    strips = [Strip(box, 20) for box in (*near, (1000, 1000, 200, 20))]
    assert len(grouped(strips)) == 2


def test_a_stamp_beside_a_label_is_not_part_of_it() -> None:
    label = [Strip((500, y, 400, 20), 20) for y in (0, 30, 60)]
    assert len(grouped([*label, Strip((300, 20, 170, 40), 20)])) == 2


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


def test_a_space_the_reader_drops_is_put_back() -> None:
    assert as_printed("Leg. K.Ølgaard") == "Leg. K. Ølgaard"
    assert as_printed("U.S.A. 3.5.1923 gbif.org") == "U.S.A. 3.5.1923 gbif.org"


def test_a_small_o_in_a_word_of_capitals_is_a_capital() -> None:
    assert danish_capitals("SøNDERSø ved Sø") == "SØNDERSØ ved Sø"
    assert danish_capitals("øl og Åø") == "øl og Åø"


def test_a_danish_ae_is_told_from_a_latin_one() -> None:
    assert danish_capitals("AErø, AEbelø") == "Ærø, Æbelø"
    assert danish_capitals("Aesculus CYPERACEAE AESCULUS") == "Aesculus CYPERACEAE AESCULUS"
