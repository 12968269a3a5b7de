"""Æ, which the reader of text never reads: it gives AE, E or /E, or A in letters of one width.

Its alphabet holds Æ, and where one stands its likelihood is a thousand times that at any A
or E, though never the greatest. So that is asked for instead of another picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""The column that says "no letter begins here"."""
ASKED = "AEÆæÅe/"
MIN_LIKELIHOOD = 1e-13
"""Likelihoods are compared by their decimal logarithms; none is taken for less than this."""

JOINED = -2.5
"""Of A and E: Æ less half of Å. Two letters stay 0.4 below; of Æ, 0.5 % are lower.

This and the next two were fitted on 18 typefaces and set on 46, clean and worn, of which
4859 Æ and 25 990 other A and E were read; tests/accuracy/letters.py
measures others.
"""
ONLY_A = -6.2
"""Where an A is read and no E: the same, and 1/4 of æ, and half of E. Letters stay 0.25 below."""
ONLY_E = -3.4
"""Where an E is read and no A: æ and 3/4 of A, less half of e and of the line's usual Æ.
Letters stay 0.25 below; of Æ, 3 % are lower in clean print, more where it is worn."""
PERHAPS_A = -2.0
"""A letter that is as likely as that is an A, be it not read: a slash is, or nothing."""
BACK = 3
"""Steps from the middle of an E to that of the A before it, at most."""


@dataclass(frozen=True)
class LineLikelihoods:
    """What the reader holds likely at each step of a line.

    `read`: the likeliest letter, "" for none; the same letter may last several steps.
    `logs`: of each letter in ASKED, the logarithm of its likelihood.
    """

    read: Sequence[str]
    logs: dict[str, NDArray[Any]]

    def begun(self) -> list[int]:
        """The steps where letters begin."""
        return [
            n for n, letter in enumerate(self.read) if letter and self.read[n - 1 : n] != [letter]
        ]

    def end(self, step: int) -> int:
        """The last step of the letter that begins at `step`."""
        while step + 1 < len(self.read) and self.read[step + 1] == self.read[step]:
            step += 1
        return step

    def joined(self, step: int) -> bool:
        """Is it an Æ where an A, and an E after it, are likely?"""
        return bool(self.logs["Æ"][step] - self.logs["Å"][step] / 2 > JOINED)

    def only_a(self, step: int) -> bool:
        """Is it an Æ where an A is read and no E?"""
        own = self.logs["Æ"][step] - self.logs["Å"][step] / 2 + self.logs["æ"][step] / 4
        return bool(own + self._near("E", step) / 2 > ONLY_A)

    def only_e(self, step: int, usual: float) -> bool:
        """Is it an Æ where an E is read and no A?"""
        found = self._near("æ", step) + 0.75 * self._near("A", step)
        return found - 0.5 * self._near("e", step) - 0.5 * usual > ONLY_E

    def _near(self, letter: str, step: int) -> float:
        """The greatest value of a letter at a step or next to it, where no other letter is read."""
        near = range(max(0, step - 1), min(len(self.read), step + 2))
        return max(
            float(self.logs[letter][n]) for n in near if self.read[n] in ("", self.read[step])
        )

    def half(self, step: int, before: int | None) -> tuple[int, int]:
        """Of an E at `step`, where its left half is likeliest an A, and where that begins.

        `before`: where the letter before begins. Both are `step` when there is no half.
        """
        first = 0 if before is None else self.end(before) + 1
        slash = before is not None and self.read[before] == "/" and before >= step - BACK
        if slash:
            first = before or 0
        steps = range(max(first, step - BACK), step)
        half = max(steps, key=lambda n: float(self.logs["A"][n]), default=step)
        if self.logs["A"][half] <= PERHAPS_A:
            half = step
        return half, first if slash else half


def ligatures(line: LineLikelihoods) -> list[tuple[int, int]]:
    """The first and last step of each Æ of a line."""
    begun = line.begun()
    usual = float(np.median([line.logs["Æ"][n] for n in begun if line.read[n] != " "] or [0.0]))
    found = []
    for number, step in enumerate(begun):
        before = begun[number - 1] if number else None
        after = begun[number + 1] if number + 1 < len(begun) else None
        if line.read[step] == "A":
            is_pair = after is not None and line.read[after] == "E"
            if line.joined(step) if is_pair else line.only_a(step):
                found.append((step, line.end(after if is_pair and after else step)))
        elif line.read[step] == "E" and (before is None or line.read[before] != "A"):
            half, first = line.half(step, before)
            if line.joined(half) if half < step else line.only_e(step, usual):
                found.append((first, line.end(step)))
    return found


class Ligatures:
    """The reader's way from likelihoods to text, with Æ read where one stands.

    `decode` is what RapidOCR's `text_rec.postprocess_op` is: called with likelihoods of the
    shape lines, steps, letters, it knows its letters as `character`. Another model's, whose
    letters lack one of ASKED, is left as it is.
    """

    def __init__(self, decode: Any) -> None:
        self.character: Sequence[str] = decode.character
        self._decode = decode
        known = set(ASKED) <= set(self.character)
        self._columns = {letter: self.character.index(letter) for letter in ASKED if known}

    def __call__(self, likely: NDArray[np.float32], *args: Any, **named: Any) -> Any:
        """As `decode`. Where an Æ stands `likely` is changed."""
        for steps in likely if self._columns else ():
            line = self._line(steps)
            for first, last in ligatures(line):
                confidence = steps[last].max()
                steps[first : last + 1] = 0
                steps[first : last + 1, BLANK] = 1
                steps[first, BLANK], steps[first, self._columns["Æ"]] = 0, confidence
        return self._decode(likely, *args, **named)

    def _line(self, steps: NDArray[np.float32]) -> LineLikelihoods:
        read = [self.character[letter] if letter else "" for letter in steps.argmax(axis=1)]
        logs = {
            letter: np.log10(np.maximum(steps[:, column], MIN_LIKELIHOOD))
            for letter, column in self._columns.items()
        }
        return LineLikelihoods(read, logs)
