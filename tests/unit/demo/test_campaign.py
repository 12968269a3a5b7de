"""A campaign's score: it adds up, and names what harm was done."""

from demo.campaign import Score


def test_a_score_adds_up_and_a_strike_alone_is_no_fault() -> None:
    total = Score(strikes=["kill worker"])
    assert not total.faults
    total.add(Score(strikes=["kill sites"], stuck=["g"]))
    assert str(total) == "strikes 2, duplicates 0, losses 0, stuck 1, untrue 0"
    assert total.faults == ["g"]
