"""Reports to a person how long something has been waited for.

There is no timeout: how long a start takes on a loaded machine is not known, so waiting ends
only when what is waited for is ready or has ended.
"""

import time
from collections.abc import Callable

EVERY_S = 10.0


class Waiting:
    """A wait that is reported every EVERY_S seconds.

    `what` is the name of what is waited for, `why` (may be empty) what it is doing meanwhile.
    """

    def __init__(
        self, what: str, say: Callable[[str], None], *, why: str = "", log: object = ""
    ) -> None:
        self._what, self._say = what, say
        self._why = f": {why}" if why else ""
        self._log = f" (its log: {log})" if log else ""
        self._began = self._reported = time.monotonic()

    def go_on(self, trouble: object = "") -> None:
        """Call after every poll in vain; reports when it is time. `trouble` is what was seen."""
        now = time.monotonic()
        if now - self._reported < EVERY_S:
            return
        self._reported = now
        seen = f"; {trouble}" if trouble else ""
        waited = f"{now - self._began:.0f} s"
        self._say(f"waiting for {self._what}, {waited}{self._why}{seen}{self._log}")
