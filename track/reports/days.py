"""Days and months as a museum counts them, as spans of moments."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.times import HOME_ZONE

ZONE = ZoneInfo(HOME_ZONE)
"""Where a day begins at midnight."""


@dataclass(frozen=True)
class Span:
    """From a moment until before another; both have a zone."""

    begins: datetime
    ends: datetime


def today() -> date:
    """The day it is in the museum."""
    return datetime.now(UTC).astimezone(ZONE).date()


def date_of(moment: datetime) -> date:
    """The museum's day of a moment."""
    return moment.astimezone(ZONE).date()


def days(first: date, last: date) -> Span:
    """From the beginning of one day to the end of another."""
    return Span(_midnight(first), _midnight(last + timedelta(days=1)))


def read_span(name: str) -> Span | None:
    """A day (YYYY-MM-DD) or a month (YYYY-MM); None for a text that looks like neither.

    Raises ValueError for a day or month that is in no calendar.
    """
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?", name):
        return None
    is_month = len(name) == len("2026-11")
    try:
        first = date.fromisoformat(f"{name}-01" if is_month else name)
        if not is_month:
            return days(first, first)
        following = (first + timedelta(days=31)).replace(day=1)
        return days(first, following - timedelta(days=1))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name} is in no calendar: say a day as 2026-11-28 or a month as 2026-11"
        ) from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE).astimezone(UTC)
