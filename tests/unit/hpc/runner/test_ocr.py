"""What is made of the lines that were read: their order, their labels, their Danish letters."""

from hpc.runner.imaging.rectangle import Box
from hpc.runner.imaging.text import (
    Strip,
    TextLine,
    as_printed,
    danish_capitals,
    grouped,
    in_reading_order,
)


def test_rows_are_read_before_columns() -> None:
    def at(text: str, x: int, y: int) -> TextLine:
        return TextLine(text, 1.0, Box(x, y, 50, 20))

    lines = [at("d", 100, 52), at("a", 0, 4), at("c", 0, 48), at("b", 100, 0)]
    assert [line.text for line in in_reading_order(lines)] == ["a", "b", "c", "d"]


def test_near_lines_are_one_label_and_far_ones_another() -> None:
    near = [(0, 0, 200, 20), (0, 30, 180, 20), (10, 60, 190, 20)]
    strips = [Strip(Box(*box), 20) for box in (*near, (1000, 1000, 200, 20))]
    assert len(grouped(strips)) == 2


def test_a_stamp_beside_a_label_is_not_part_of_it() -> None:
    label = [Strip(Box(500, y, 400, 20), 20) for y in (0, 30, 60)]
    assert len(grouped([*label, Strip(Box(300, 20, 170, 40), 20)])) == 2


def test_a_space_the_reader_drops_is_put_back() -> None:
    assert as_printed("Leg. K.Ølgaard") == "Leg. K. Ølgaard"
    assert as_printed("U.S.A. 3.5.1923 gbif.org") == "U.S.A. 3.5.1923 gbif.org"


def test_a_small_o_in_a_word_of_capitals_is_a_capital() -> None:
    assert danish_capitals("SøNDERSø ved Sø") == "SØNDERSØ ved Sø"
    assert danish_capitals("øl og Åø") == "øl og Åø"


def test_an_ae_of_two_letters_stays_as_it_is_printed() -> None:
    for text in ("Aesculus CYPERACEAE", "MICHAELSØN", "LAESØ AErø"):
        assert as_printed(text) == text


def test_an_empty_set_beside_a_letter_is_a_stroked_o() -> None:
    assert as_printed("PRÆST∅ ved ∅sterby, s∅ ∅ 5 mm") == "PRÆSTØ ved Østerby, sø ∅ 5 mm"
