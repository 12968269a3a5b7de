"""How times, durations, sizes and numbers are written on the board's pages."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def make_environment() -> Environment:
    """The templates with their filters; a name that a page does not have is an error."""
    found = Environment(
        loader=PackageLoader("board"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "ago": ago,
        "lasting": lasting,
        "number": number,
        "quoted": quoted,
        "size": size,
        "when": when,
    }
    found.globals["with_query"] = with_query
    return found


def when(at: datetime | None, missing: str = "–") -> Markup | str:
    """A moment; the page's script writes it in the visitor's own zone, and without it in ours."""
    if at is None:
        return missing
    here = at.astimezone()
    iso = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}">{}</time>').format(iso, f"{here:%Y-%m-%d %H:%M %Z}")


def ago(at: datetime | None, missing: str = "–") -> Markup | str:
    """How long a moment is past."""
    if at is None:
        return missing
    past = (datetime.now(UTC) - at).total_seconds()
    iso = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" class="ago">{} ago</time>').format(iso, lasting(past))


def lasting(seconds: float | None, missing: str = "–") -> str:
    """A duration in the two units that matter: `3 d 4 h`, `12 min`, `8 s`, `0.4 s`."""
    if seconds is None:
        return missing
    if seconds < 0:
        return lasting(-seconds)
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    for unit, word, part, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        if seconds >= unit:
            whole, rest = int(seconds // unit), int(seconds % unit // part)
            return f"{whole} {word} {rest} {small}" if rest else f"{whole} {word}"
    return f"{seconds // MINUTE:.0f} min"


def size(count: float | None, missing: str = "–") -> str:
    """So many bytes, in powers of a thousand."""
    if count is None:
        return missing
    left = float(count)
    for unit in UNITS[:-1]:
        if abs(left) < 1000:
            return f"{left:.0f} {unit}" if unit == "B" or left >= 100 else f"{left:.1f} {unit}"
        left /= 1000
    return f"{left:.1f} {UNITS[-1]}"


def number(count: float | None, missing: str = "–") -> str:
    """A number with a thin space between thousands."""
    return missing if count is None else f"{count:,.0f}".replace(",", "\u202f")


def quoted(step: object) -> str:
    """One step of an address, such as a guid with spaces or slashes in it."""
    return quote(str(step), safe="")


def with_query(path: str, given: Mapping[str, Any], **changed: Any) -> str:
    """A path with these fields in its query, some of them changed; empty ones are left out."""
    fields = {
        name: value for name, value in (dict(given) | changed).items() if value not in (None, "")
    }
    return f"{path}?{urlencode(fields, doseq=True)}" if fields else path
