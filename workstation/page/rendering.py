"""How pages are made of their templates, and how sizes, durations and times are written."""

from datetime import datetime
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.filesize import decimal

MINUTE, HOUR = 60, 3600


def make_environment() -> Environment:
    """The templates with their filters; a name that a page does not have is an error."""
    found = Environment(
        loader=PackageLoader("workstation.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"lasting": lasting, "size": size, "when": when, "counted": counted}
    return found


def size(count: float) -> str:
    """So many bytes, in powers of a thousand."""
    return decimal(int(count))


def lasting(seconds: float) -> str:
    """A duration, in the two units that matter: `2 h 5 min`, `12 min`, `8 s`."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{round(whole / MINUTE)} min"
    hours, minutes = divmod(round(whole / MINUTE), MINUTE)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def when(at: datetime, zone: str | None = None) -> str:
    """A moment, as clocks in `zone` show it; without one, as this machine's clock does."""
    return f"{at.astimezone(ZoneInfo(zone) if zone else None):%Y-%m-%d %H:%M}"


def counted(count: int, one: str, more: str | None = None) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{count} {one if count == 1 else more or one + 's'}"
