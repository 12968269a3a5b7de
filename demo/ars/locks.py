"""Guid locks: what stops one asset from being created or opened twice at once.

The archive keeps them in memory for 300 seconds and, on some failures, forgets to release
them. Both habits matter to a client, so both are kept; a restart drops them, as it does there.
"""

from datetime import datetime, timedelta

from demo.ars.clock import Clock

LOCK_SECONDS = 300


class GuidLocks:
    """Locks by guid that run out by themselves after `LOCK_SECONDS`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, datetime] = {}

    def take(self, guid: str) -> bool:
        """False when somebody holds the guid already."""
        now = self._clock.now()
        if self._until.get(guid, now) > now:
            return False
        self._until[guid] = now + timedelta(seconds=LOCK_SECONDS)
        return True

    def release(self, guid: str) -> None:
        self._until.pop(guid, None)

    def clear(self) -> None:
        self._until.clear()
