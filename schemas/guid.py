"""The name of an asset. It is opaque: any path-safe text will do.

Only the workstation, which makes it, and the naming of derivatives look inside. The form
with dashes has 12 groups of lower-case hexadecimal digits. Time is the capture time as the
camera's wall clock showed it.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator

GROUPS = {
    "year": 3, "month": 1, "day": 2, "hour": 2, "minute": 2, "second": 2, "institution": 1,
    "collection": 3, "workstation": 2, "derivative": 3, "random": 6, "future use": 5,
}  # fmt: skip
"""The groups of the form with dashes, and the digits of each."""
MAX_RANDOM = 999_999
MAX_BYTES = 120
"""Bytes of UTF-8; with a file's suffix it stays below every file system's 255."""

_DASHED = re.compile("-".join(f"([0-9a-f]{{{width}}})" for width in GROUPS.values()))
_DERIVATIVE = 9  # of the groups, counted from 0
_SEPARATORS = frozenset('/\\:*?"<>|')
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


class GuidError(ValueError):
    """The text cannot name an asset or a file; the message says why."""


@dataclass(frozen=True, slots=True)
class Guid:
    """A guid in the form with dashes, taken apart. `captured` has no zone: it is wall clock."""

    captured: datetime
    institution: int
    collection: int
    workstation: int
    random: int
    derivative: int = 0
    future: int = 0

    def __post_init__(self) -> None:
        if self.random > MAX_RANDOM:
            raise GuidError(f"random is {self.random}, more than {MAX_RANDOM}")
        for number, (name, width) in zip(self._numbers(), GROUPS.items(), strict=True):
            if not 0 <= number < 16**width:
                raise GuidError(f"{name} {number} does not fit {width} hexadecimal digits")

    @classmethod
    def build(
        cls, captured: datetime, *, institution: int, collection: int, workstation: int, random: int
    ) -> Self:
        """The guid of a new asset; a zone of `captured` is dropped, its wall clock kept."""
        wall_clock = captured.replace(microsecond=0, tzinfo=None, fold=0)
        return cls(wall_clock, institution, collection, workstation, random)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`GuidError` when `text` has another form, or a time no clock shows."""
        form = _DASHED.fullmatch(text)
        if form is None:
            raise GuidError(f"'{text}' is not 12 groups of hexadecimal digits joined by dashes")
        year, month, day, hour, minute, second, *rest = (int(group, 16) for group in form.groups())
        institution, collection, workstation, derivative, random, future = rest
        try:
            captured = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 (wall clock)
        except ValueError as error:
            raise GuidError(f"'{text}' holds no time: {error}") from None
        return cls(captured, institution, collection, workstation, random, derivative, future)

    def __str__(self) -> str:
        groups = zip(self._numbers(), GROUPS.values(), strict=True)
        return "-".join(f"{number:0{width}x}" for number, width in groups)

    def _numbers(self) -> tuple[int, ...]:
        t = self.captured
        when = (t.year, t.month, t.day, t.hour, t.minute, t.second)
        where = (self.institution, self.collection, self.workstation)
        return (*when, *where, self.derivative, self.random, self.future)


def has_dashed_form(guid: str) -> bool:
    """Whether it has the 12 groups, whatever they mean."""
    return _DASHED.fullmatch(guid) is not None


def derivative_guid(parent: str, n: int, ppi: int) -> str:
    """The guid of a parent's `n`-th derivative (from 1), made at `ppi`.

    In the form with dashes group 10 becomes `n`; `GuidError` if it is taken, for then
    the parent is a derivative itself. Any other form, opaque, gets `_<ppi>`.
    """
    form = _DASHED.fullmatch(parent)
    if form is None:
        return check_guid(f"{parent}_{ppi}")
    groups = list(form.groups())
    if int(groups[_DERIVATIVE], 16):
        raise GuidError(f"'{parent}' is a derivative itself (group 10 is {groups[_DERIVATIVE]})")
    if not 0 < n < 16**3:
        raise GuidError(f"derivative {n} does not fit group 10, which counts from 1 to 4095")
    groups[_DERIVATIVE] = f"{n:03x}"
    return "-".join(groups)


def why_not_path_safe(name: str, longest: int = MAX_BYTES) -> str | None:
    """Why `name` cannot be one step of a path on every system in use; None when it can."""
    if not name:
        return "it is empty"
    for letter in name:
        if letter in _SEPARATORS:
            return f"it contains {letter}"
        if unicodedata.category(letter) in _UNSEEN:
            return f"it contains the unprintable character U+{ord(letter):04X}"
    if ".." in name:
        return "it contains .."
    if name[0] in ".-" or name[0].isspace():
        return f"it begins with '{name[0]}'"
    if name[-1] == "." or name[-1].isspace():
        return f"it ends with '{name[-1]}'"
    if _RESERVED.fullmatch(name):
        return "Windows keeps this name for a device"
    if (size := len(name.encode())) > longest:
        return f"it has {size} bytes, more than {longest}"
    return None


def is_path_safe(guid: str) -> bool:
    return why_not_path_safe(guid) is None


def check_guid(guid: str) -> str:
    """`guid` with its letters composed; `GuidError` when it cannot name folders and files.

    A Mac takes é apart in a file's name: without one form the two would be two specimens.
    """
    guid = unicodedata.normalize("NFC", guid)
    if reason := why_not_path_safe(guid):
        raise GuidError(f"{guid!r:.80} cannot be a guid: {reason}")
    return guid


def check_file_name(name: str) -> str:
    """`name` itself; `GuidError` when it is not a plain file name of up to 200 bytes."""
    if reason := why_not_path_safe(name, 200):
        raise GuidError(f"{name!r:.80} cannot be a file's name: {reason}")
    return name


AssetGuid = Annotated[str, AfterValidator(check_guid)]
FileName = Annotated[str, AfterValidator(check_file_name)]
