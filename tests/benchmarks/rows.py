"""What every benchmark returns: rows of two sides, or of one measure against its target.

A row never fails anything: a shared machine is no judge. It says what was measured, and
`verdict` holds it against the target for whoever reads the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `ours` and `theirs` are medians in `unit`; without `theirs` the measure itself is judged.
    `target` is the largest value that is good enough, with `at_least` the smallest; without
    one the row only informs. `ratio` replaces that of the medians by a median of ratios.
    """

    what: str
    ours: float
    theirs: float | None = None
    target: float | None = None
    unit: str = "s"
    at_least: bool = False
    ratio: float | None = None

    @property
    def judged(self) -> float:
        """The ratio of the two sides, or the measure itself."""
        if self.theirs is None:
            return self.ours
        return self.ours / self.theirs if self.ratio is None else self.ratio

    @property
    def verdict(self) -> str:
        """met, missed, or nothing where there is no target."""
        if self.target is None:
            return ""
        met = self.judged >= self.target if self.at_least else self.judged <= self.target
        return "met" if met else "missed"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all are not above; no interpolation."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
