"""A campaign's score: it adds up, and is clean only when no harm was done."""

from demo.campaign import Score


def test_a_score_adds_up_and_is_clean_only_without_harm() -> None:
    total = Score(strikes=["kill worker"])
    assert total.clean
    total.add(Score(strikes=["kill sites"], stuck=["g"]))
    assert str(total) == "strikes 2, duplicates 0, losses 0, stuck 1, untrue 0"
    assert not total.clean
    assert total.faults == ["g"]
