"""Questions at a terminal: by number or name, remembered answers, Danish letters."""

import unicodedata

import pytest

from tests.support.camera import CHOICES, VALUES
from workstation.session.planning import WrongChoices
from workstation.terminal.asking import Asker, NothingAnswered
from workstation.terminal.choosing import GivenChoices, choose

OFFERED = ("NHMD Vascular Plants", "NHMD Entomology")


class Typist:
    """Somebody who types these lines, and what is shown to them."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.shown = list(lines), []  # type: ignore[var-annotated]
        self.asker = Asker(self.read, self.shown.append)

    def read(self, prompt: str) -> str:
        self.shown.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


@pytest.mark.parametrize("typed", ["2", "NHMD Entomology", "  nhmd entomology "])
def test_a_choice_is_made_by_number_or_name(typed: str) -> None:
    assert Typist(typed).asker.choice("Collection", OFFERED) == OFFERED[1]


def test_what_was_chosen_last_is_taken_by_pressing_enter() -> None:
    typist = Typist("")
    assert typist.asker.choice("Collection", OFFERED, OFFERED[1]) == OFFERED[1]
    assert typist.shown[-1] == f"Collection [{OFFERED[1]}]: "


def test_what_is_not_offered_is_asked_for_again_naming_the_nearest() -> None:
    typist = Typist("3", "NHMD Entomolgy", "1")
    assert typist.asker.choice("Collection", OFFERED) == OFFERED[0]
    assert any("is NHMD Entomology meant?" in line for line in typist.shown)


def test_without_an_answer_it_does_not_ask_for_ever() -> None:
    with pytest.raises(NothingAnswered, match="Collection"):
        Typist(*["x"] * 9).asker.choice("Collection", OFFERED)
    with pytest.raises(NothingAnswered, match="nobody to ask"):
        Typist().asker.text("Digitiser")


def test_letters_are_kept_however_they_were_typed() -> None:
    apart = unicodedata.normalize("NFD", "Åse Ærø")
    assert Typist(apart).asker.text("Digitiser") == "Åse Ærø"
    assert Typist(f"{apart}, Bo").asker.texts("Others") == ("Åse Ærø", "Bo")
    assert Typist("-").asker.texts("Others", ("Bo",)) == ()


@pytest.mark.parametrize(
    ("typed", "is_yes"), [("y", True), ("JA", True), ("", False), ("n", False)]
)
def test_only_a_yes_is_one(typed: str, is_yes: bool) -> None:
    assert Typist(typed).asker.yes("Delete?") == is_yes


def test_a_session_is_chosen_by_pressing_enter_once_it_was_chosen() -> None:
    typist = Typist(*[""] * 9)
    assert choose(GivenChoices(), CHOICES, VALUES, typist.asker) == CHOICES


def test_what_was_given_is_not_asked_for() -> None:
    given = GivenChoices(
        collection="NHMD Entomology", funding=(), digitiser="Bo", other_digitisers=()
    )
    typist = Typist()
    found = choose(given, None, VALUES, typist.asker)
    assert (found.collection, found.pipeline) == ("NHMD Entomology", "PIPEPIOF0001")
    assert (found.preparation_type, found.payload_type) == ("pinning", "image")


def test_where_nobody_is_asked_what_is_missing_is_named_by_its_option() -> None:
    with pytest.raises(NothingAnswered, match="--collection, one of: NHMD Vascular Plants, NHMD"):
        choose(GivenChoices(), None, VALUES, None)
    with pytest.raises(NothingAnswered, match="give --digitiser"):
        choose(GivenChoices(collection=OFFERED[0]), None, VALUES, None)
    with pytest.raises(WrongChoices, match="nearest is 'NHMD Entomology'"):
        choose(GivenChoices(collection="NHMD Entomolgy"), None, VALUES, None)
