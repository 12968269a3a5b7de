"""What is chosen is kept for the next time, and checked against what is offered."""

from pathlib import Path

import pytest

from tests.support.camera import CHOICES, VALUES
from workstation.session.choices import RememberedChoices, check_choices


def test_what_is_offered_may_be_chosen() -> None:
    assert check_choices(CHOICES, VALUES) == []


@pytest.mark.parametrize(
    ("field", "value", "near"),
    [
        ("institution", "NHMX", "NHMD"),
        ("pipeline", "PIPEHERB001", "PIPEHERB0001"),
        ("preparation_type", "sheets", "sheet"),
        ("payload_type", "imge", "image"),
        ("collection", "NHMD Vascular Plant", "NHMD Vascular Plants"),
    ],
)
def test_what_is_not_offered_is_named_with_the_nearest(field: str, value: str, near: str) -> None:
    (problem,) = check_choices(CHOICES.model_copy(update={field: value}), VALUES)
    assert (problem.field, problem.value, problem.nearest) == (field, value, near)
    assert str(problem) == f"{field}: '{value}' is not offered here; nearest is '{near}'"


def test_where_nothing_is_like_it_all_that_is_offered_is_named() -> None:
    (problem,) = check_choices(CHOICES.model_copy(update={"collection": "?"}), VALUES)
    assert "NHMD Vascular Plants, NHMD Entomology" in str(problem)


def test_pipelines_and_preparations_are_those_of_the_collection() -> None:
    other = CHOICES.model_copy(update={"collection": "NHMD Entomology"})
    found = check_choices(other, VALUES)
    assert [problem.field for problem in found] == ["pipeline", "preparation_type"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digitiser", "  "),
        ("digitiser", "a" * 201),
        ("digitiser", "half a \ud800"),
        ("other_digitisers", ("Åse", "")),
        ("funding", ("a\0b",)),
    ],
    ids=["blank", "long", "half a letter", "empty entry", "a NUL"],
)
def test_free_text_must_be_there_and_be_writable(field: str, value: object) -> None:
    (problem,) = check_choices(CHOICES.model_copy(update={field: value}), VALUES)
    assert problem.field == field


def test_any_digitiser_and_funding_will_do() -> None:
    others = {"digitiser": "Nobody known", "funding": ("Elsewhere",), "other_digitisers": ()}
    assert check_choices(CHOICES.model_copy(update=others), VALUES) == []


def test_choices_are_remembered_for_each_workstation(tmp_path: Path) -> None:
    remembered = RememberedChoices(tmp_path / "state" / "choices.json")
    assert remembered.of("WORKHERB0001") is None
    remembered.remember("WORKHERB0001", CHOICES)
    remembered.remember("Ærø 2", CHOICES.model_copy(update={"digitiser": "Åse"}))
    again = RememberedChoices(tmp_path / "state" / "choices.json")
    assert again.of("WORKHERB0001") == CHOICES
    other = again.of("Ærø 2")
    assert other is not None and other.digitiser == "Åse"
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["choices.json"]


@pytest.mark.parametrize("content", ["", "[1]", '{"W": {"institution": 1}}', '{"W": '])
def test_what_cannot_be_understood_counts_as_nothing_remembered(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "choices.json"
    path.write_text(content)
    assert RememberedChoices(path).of("W") is None
    RememberedChoices(path).remember("W", CHOICES)
    assert RememberedChoices(path).of("W") == CHOICES
