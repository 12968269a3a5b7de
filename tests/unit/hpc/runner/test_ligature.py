"""Æ is said where the reader holds it likely, whatever it says there itself."""

import numpy as np
import pytest

from hpc.runner.imaging.ligature import ASKED, Ligatures

ALPHABET = ["blank", *ASKED, "R", "Ø", "K"]
Step = tuple[str, float, dict[str, float]]


class Greedy:
    """As RapidOCR decodes: the likeliest letter of each step, the same one once."""

    character = ALPHABET

    def __call__(self, likely: np.ndarray, scale: int = 1) -> list[tuple[str, float]]:
        found = []
        for line in likely:
            said = line.argmax(axis=1)
            begun = [n for n in range(len(said)) if said[n] and (n == 0 or said[n] != said[n - 1])]
            text = "".join(ALPHABET[said[n]] for n in begun)
            found.append((text, scale * float(np.mean([line[n].max() for n in begun] or [0.0]))))
        return found


def line(*steps: Step) -> np.ndarray:
    """The likelihoods of a line: at each step a letter ("" for none), how likely, and logarithms
    of others; what is not named is as unlikely as at plain letters."""
    likely = np.full((len(steps), len(ALPHABET)), 1e-8, dtype=np.float32)
    for row, (letter, sure, others) in zip(likely, steps, strict=True):
        for other, log in others.items():
            row[ALPHABET.index(other)] = 10.0**log
        row[ALPHABET.index(letter or "blank")] = sure
    return likely[None]


def read(*steps: Step) -> str:
    ((text, _),) = Ligatures(Greedy())(line(*steps))
    return text


NONE: Step = ("", 0.99, {})
JOINED = {"Æ": -4.0, "Å": -6.0, "æ": -5.5}
APART = {"Æ": -7.0, "Å": -6.0, "æ": -9.0}
HALF = {"Æ": -4.5, "æ": -5.0, "A": -3.0, "e": -3.5}
R: Step = ("R", 0.99, {"Æ": -9.5})


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([("A", 0.9, JOINED), NONE, ("E", 0.9, {}), R], "ÆR"),
        ([("A", 0.9, JOINED), ("A", 0.9, {}), ("E", 0.9, {}), ("E", 0.9, {}), R], "ÆR"),
        ([("A", 0.9, APART), NONE, ("E", 0.9, {}), R], "AER"),
        ([R, NONE, ("A", 0.9, {**JOINED, "E": -4.0}), NONE, R], "RÆR"),
        ([R, NONE, ("A", 0.9, {"Æ": -5.9, "Å": -7.6, "æ": -7.8, "E": -5.6}), NONE, R], "RAR"),
        ([R, ("/", 0.8, {**JOINED, "A": -0.7}), NONE, ("E", 0.9, {}), R], "RÆR"),
        ([R, ("/", 0.8, {**APART, "A": -6.0}), NONE, ("E", 0.9, APART), R], "R/ER"),
        ([R, ("", 0.8, {**JOINED, "A": -0.7}), NONE, ("E", 0.9, {}), R], "RÆR"),
        ([R, NONE, NONE, NONE, ("E", 0.9, HALF), NONE, R], "RÆR"),
        ([R, NONE, NONE, NONE, ("E", 0.9, APART), NONE, R], "RER"),
        ([("E", 0.9, HALF), R, R], "ÆR"),
        ([NONE, NONE], ""),
        ([("A", 0.9, APART), ("E", 0.9, HALF), R], "AER"),
    ],
)
def test_a_ligature_is_told_by_how_likely_it_is_held(steps: list[Step], text: str) -> None:
    assert read(*steps) == text


def test_it_is_as_sure_as_what_was_said_and_the_rest_is_passed_on() -> None:
    likely = line(("A", 0.7, JOINED), NONE, ("E", 0.9, {}), ("R", 0.5, {"Æ": -9.5}))
    ((text, sure),) = Ligatures(Greedy())(likely, scale=10)
    assert text == "ÆR"
    assert sure == pytest.approx(7.0)


def test_the_letter_before_is_not_taken_for_its_half() -> None:
    assert read(("K", 0.9, JOINED | {"A": -0.5}), ("E", 0.9, APART), R) == "KER"


def test_a_reader_that_knows_no_such_letter_is_left_as_it_is() -> None:
    class Latin(Greedy):
        character = tuple("Q" if letter == "Æ" else letter for letter in ALPHABET)

    likely = line(("A", 0.9, JOINED), NONE, ("E", 0.9, {}), R)
    assert Ligatures(Latin())(likely)[0][0] == "AER"
