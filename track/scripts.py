"""Scripts of the sites' own, which submit for themselves: the job ids they told, and when.

Ids in what a script said are kept with its batch, those in its calls with its attempt:
whichever of them runs may be at work on the asset.
"""

import re

_SAID = re.compile(r"\bSubmitted batch job (\d+)")
_TOLD = re.compile(r"\d+(,\d+)*")


def submitted_ids(said: str) -> list[str]:
    """The job ids in what a script said, as `sbatch` writes them."""
    return list(dict.fromkeys(_SAID.findall(said)))


def told_ids(external_id: str | None) -> frozenset[str]:
    """The job ids kept with a script's batch; none when its script said none."""
    told = external_id or ""
    return frozenset(told.split(",")) if _TOLD.fullmatch(told) else frozenset()
