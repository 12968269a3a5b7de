"""Moments with a zone. Cameras, clusters and older software write local time without one."""

from datetime import UTC, datetime, timezone
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

HOME_ZONE = "Europe/Copenhagen"
"""The zone of a time that has none."""

YEARS = range(1500, 2501)


def with_zone(moment: datetime) -> datetime:
    """`moment` with a fixed offset; as local time in HOME_ZONE if it has none.

    Of an hour that happens twice in autumn the first is meant. `ValueError` for a year
    no document of a museum can mean, near which zones cannot be computed.
    """
    if moment.year not in YEARS:
        raise ValueError(f"the year {moment.year} cannot be meant")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(HOME_ZONE))
    offset = aware.utcoffset()
    if offset is None or offset.seconds % 60 or offset.microseconds:
        # Local mean time, before there were zones: ISO 8601 has no seconds in an offset.
        return aware.astimezone(UTC)
    # Not the zone itself: two zones never agree about an hour that happens twice.
    return aware.replace(tzinfo=timezone(offset), fold=0)


def read_moment(text: str) -> tuple[datetime, bool]:
    """An ISO 8601 date or moment, and whether its zone had to be assumed."""
    moment = datetime.fromisoformat(text.strip())
    return with_zone(moment), moment.tzinfo is None


Moment = Annotated[datetime, AfterValidator(with_zone)]
"""A field that always has a zone."""
