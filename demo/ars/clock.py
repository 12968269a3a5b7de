"""The archive's clock, which a test may push forward.

Locks last 300 seconds and tokens minutes; nobody should wait for either in a test.
"""

from datetime import UTC, datetime, timedelta


class ArchiveClock:
    """UTC time plus an offset that only grows."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=max(0.0, seconds))


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a `Z`, the only form the archive writes."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
