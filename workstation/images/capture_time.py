"""When a specimen was photographed, by the camera's clock.

The tags are those of Exif 2.32 (CIPA DC-008-2019, 4.6.5 F): DateTimeOriginal 0x9003 is the
moment at which the original image was made, as `YYYY:MM:DD HH:MM:SS` without a zone;
OffsetTimeOriginal 0x9011 is its difference from UTC, as `+01:00`; SubSecTimeOriginal 0x9291
are the digits behind its seconds.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from workstation.files import FileChanged, size_and_time
from workstation.images.reading import read_exif
from workstation.problems import WorkstationError

DATE_TIME_ORIGINAL, OFFSET_TIME_ORIGINAL, SUB_SEC_TIME_ORIGINAL = 0x9003, 0x9011, 0x9291

AHEAD = timedelta(minutes=5)
"""How far a camera's clock may be ahead of the workstation's."""

FIRST_YEAR = 1990
"""No digital camera photographed specimens before; a clock that was never set shows such years."""

_TIME = re.compile(r"(\d{4}):(\d{2}):(\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")

Source = Literal["exif", "file"]


class CaptureTimeRefused(WorkstationError):
    """The moment at which an image is said to have been made cannot be right."""

    remedy = "set the camera's clock, and correct the time in the image or photograph it again"


@dataclass(frozen=True, slots=True)
class CaptureTime:
    """A moment with a fixed offset, where it is from, and what is doubtful about it, or ""."""

    when: datetime
    source: Source
    warning: str = ""


def capture_time(path: Path, zone: str, now: datetime) -> CaptureTime:
    """When the image at `path` was made; its file's time, with a warning, if it does not say.

    `zone` is where the camera's clock is right, for images that name no offset. Raises
    CaptureTimeRefused for a moment after `now` or before there were digital cameras; another
    WorkstationError when the file cannot be read.
    """
    exif = read_exif(path)
    wall_clock = _wall_clock(exif)
    if wall_clock is None:
        found = _file_time(path, zone)
    else:
        found = _placed(wall_clock, _text(exif.get(OFFSET_TIME_ORIGINAL)), zone)
    clock = "the camera's clock" if found.source == "exif" else "the file's time"
    if found.when > now + AHEAD:
        raise CaptureTimeRefused(path, f"{clock} says {found.when.isoformat()}, which is to come")
    if found.when.year < FIRST_YEAR:
        raise CaptureTimeRefused(path, f"{clock} says {found.when.isoformat()}: it was never set")
    return found


def _wall_clock(exif: dict[int, Any]) -> datetime | None:
    """What the camera's clock showed, without a zone; None when it is not there, or no time."""
    form = _TIME.fullmatch(_text(exif.get(DATE_TIME_ORIGINAL)))
    if form is None:
        return None
    year, month, day, hour, minute, second = (int(group) for group in form.groups())
    digits = _text(exif.get(SUB_SEC_TIME_ORIGINAL))
    micros = int(digits[:6].ljust(6, "0")) if re.fullmatch("[0-9]+", digits) else 0
    try:
        return datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001 (wall clock)
    except ValueError:
        return None


def _text(value: object) -> str:
    """A tag's value as text: some programs write bytes, and fill them up with zeros."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.partition("\0")[0].strip() if isinstance(value, str) else ""


def _placed(wall_clock: datetime, offset: str, zone: str) -> CaptureTime:
    """The moment, by the offset that the camera wrote, else by the workstation's zone."""
    form = _OFFSET.fullmatch(offset)
    if form is not None and int(form[2]) <= 14 and int(form[3]) < 60:
        minutes = int(form[2]) * 60 + int(form[3])
        difference = timedelta(minutes=-minutes if form[1] == "-" else minutes)
        return CaptureTime(wall_clock.replace(tzinfo=timezone(difference)), "exif")
    when, doubt = _in_zone(wall_clock, zone)
    if offset.strip(" :"):
        unread = f"the image's offset '{offset:.20}' is none, the time in {zone} is taken"
        doubt = f"{unread}; {doubt}" if doubt else unread
    return CaptureTime(when, "exif", doubt)


def _in_zone(wall_clock: datetime, zone: str) -> tuple[datetime, str]:
    """The moment as that zone's clocks show it, and what is doubtful about that."""
    first = wall_clock.replace(tzinfo=ZoneInfo(zone), fold=0)
    offset, later = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert offset is not None and later is not None
    shown = f"{wall_clock:%Y-%m-%d %H:%M:%S}"
    doubt = ""
    if offset > later:
        doubt = f"{shown} came twice in {zone}; the first is taken"
    elif offset < later:
        doubt = f"{shown} never came in {zone}: clocks were put forward; winter time is taken"
    return wall_clock.replace(tzinfo=timezone(offset), fold=0), doubt


def _file_time(path: Path, zone: str) -> CaptureTime:
    """The file's time of change, in whole seconds."""
    facts = size_and_time(path)
    if facts is None:
        raise FileChanged(path, "it went away while it was looked at")
    when = datetime.fromtimestamp(facts[1] // 10**9, UTC).astimezone(ZoneInfo(zone))
    offset = when.utcoffset()
    assert offset is not None
    warning = "the image does not say when it was taken; its file's time is used"
    return CaptureTime(when.replace(tzinfo=timezone(offset), fold=0), "file", warning)
