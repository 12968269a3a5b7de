"""Telling a person what is waited for. Nothing here gives up: on a loaded machine nobody knows
how long a start takes, so only the end of what is waited for ends the waiting.
"""

import time
from collections.abc import Callable

EVERY_S = 10.0


class Waiting:
    """A wait that says every some seconds how long it has lasted, and for what.

    `what` is its name, `why` (may be empty) what it is doing meanwhile, `log` where to look.
    """

    def __init__(
        self, what: str, say: Callable[[str], None], *, why: str = "", log: object = ""
    ) -> None:
        self._what, self._say = what, say
        self._why = f": {why}" if why else ""
        self._log = f" (its log: {log})" if log else ""
        self._began = self._told = time.monotonic()

    def go_on(self, trouble: object = "") -> None:
        """Called at every look in vain; says so when it is time. `trouble` is what was seen."""
        now = time.monotonic()
        if now - self._told < EVERY_S:
            return
        self._told = now
        seen = f"; {trouble}" if trouble else ""
        self._say(
            f"waiting for {self._what}, {now - self._began:.0f} s{self._why}{seen}{self._log}"
        )
