"""What is made of the lines that were read: their order, their labels, their Danish letters."""

from hpc.job.imaging.letters import as_printed, danish_capitals, joined
from hpc.job.imaging.text import Strip, TextLine, grouped, in_reading_order


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


def test_a_space_the_reader_drops_is_put_back() -> None:
    assert as_printed("Leg. K.Ølgaard") == "Leg. K. Ølgaard"
    assert as_printed("U.S.A. 3.5.1923 gbif.org") == "U.S.A. 3.5.1923 gbif.org"


def test_a_small_o_in_a_word_of_capitals_is_a_capital() -> None:
    assert danish_capitals("SøNDERSø ved Sø") == "SØNDERSØ ved Sø"
    assert danish_capitals("øl og Åø") == "øl og Åø"


def test_a_danish_ae_is_told_from_a_latin_one() -> None:
    assert danish_capitals("AErø, AEbelø") == "Ærø, Æbelø"
    assert danish_capitals("Aesculus CYPERACEAE AESCULUS") == "Aesculus CYPERACEAE AESCULUS"


def test_ae_in_a_word_of_capitals_with_danish_letters_is_one_letter() -> None:
    assert danish_capitals("LAESø PRAESTØ KVAEGÅ") == "LÆSØ PRÆSTØ KVÆGÅ"
    assert danish_capitals("ROSACEAE MICHAEL") == "ROSACEAE MICHAEL"


def test_an_empty_set_beside_a_letter_is_a_stroked_o() -> None:
    assert as_printed("PRAEST∅ ved ∅sterby, s∅ ∅ 5 mm") == "PRÆSTØ ved Østerby, sø ∅ 5 mm"


def test_two_halves_of_a_letter_stand_nearer_than_two_letters() -> None:
    def spaced(text: str, joint: float) -> list[tuple[float, float]]:
        x, places = 0.0, []
        for n, letter in enumerate(text):
            x += joint if text[n - 1 : n + 1] == "AE" else 10.0
            if letter != " ":
                places.append((x, 5.0))
        return places

    assert joined("SAEBY ROSACEAE", spaced("SAEBY ROSACEAE", 6)) == "SÆBY ROSACEÆ"
    assert joined("SAEBY ROSACEAE", spaced("SAEBY ROSACEAE", 7.5)) == "SAEBY ROSACEAE"
    assert joined("AEro AE", spaced("AEro AE", 6)) == "AEro AE", "nothing to compare with"
    assert joined("SAEBY", [(0.0, 0.0)]) == "SAEBY"
