"""What failed and is tried again, by a key: after a growing pause, so that others come first.

Nothing here is kept: after a restart everything is tried once.
"""

import time
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas.backoff import Backoff

Key = TypeVar("Key", bound=Hashable)

PAUSES = Backoff(5.0, 900.0)


@dataclass
class Retries(Generic[Key]):
    """When each thing that failed is due again. `clock` is monotonic, in seconds."""

    clock: Callable[[], float] = time.monotonic
    _failed: dict[Key, tuple[int, float]] = field(default_factory=dict)

    def fail(self, key: Key) -> float:
        """Note that it failed once more; the pause in seconds."""
        times = self._failed.get(key, (0, 0.0))[0] + 1
        pause = PAUSES.pause_s(times)
        self._failed[key] = times, self.clock() + pause
        return pause

    def times(self, key: Key) -> int:
        """How often it failed in a row."""
        return self._failed.get(key, (0, 0.0))[0]

    def forget(self, key: Key) -> None:
        """It succeeded, or is not wanted any more."""
        self._failed.pop(key, None)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all others."""
        self._failed = {key: held for key, held in self._failed.items() if key in keys}

    def is_due(self, key: Key) -> bool:
        """Whether it may be tried now."""
        return self.clock() >= self._failed.get(key, (0, 0.0))[1]
