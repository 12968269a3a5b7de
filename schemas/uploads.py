"""What a workstation and the upload API say to each other, beside the bytes.

Uploads follow the tus protocol 1.0 (https://tus.io/protocols/resumable-upload); what is said here
is what it leaves open: the metadata of a file, how a session ends, and how a refusal looks.
"""

import hashlib
import re
import zlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.files import Crc32, Size
from schemas.guid import FileName

TUS_VERSION = "1.0.0"
TUS_EXTENSIONS = ("creation", "creation-with-upload", "termination", "expiration")

Algorithm = Literal["crc32", "md5", "sha256"]
ALGORITHMS: tuple[Algorithm, ...] = ("crc32", "md5", "sha256")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SessionName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
"""A session's folder as the workstation calls it; with the workstation it is its identity."""


FORM_SESSION = "form-"
"""What the names of sessions begin with that the server makes for clients of old."""


class RefusalCode(StrEnum):
    """Why something was refused, for programs; the sentence beside it is for people."""

    WRONG_LOGIN = "wrong_login"
    TOO_MANY_LOGINS = "too_many_logins"
    LOGIN_EXPIRED = "login_expired"
    NOT_YOUR_WORKSTATION = "not_your_workstation"
    UNKNOWN_WORKSTATION = "unknown_workstation"
    UNKNOWN_VALUE = "unknown_value"
    BAD_NAME = "bad_name"
    BAD_REQUEST = "bad_request"
    NAME_TAKEN = "name_taken"
    CHECKSUM_DIFFERS = "checksum_differs"
    SIZE_DIFFERS = "size_differs"
    TOO_LARGE = "too_large"
    NO_ROOM = "no_room"
    DRIVE_AWAY = "drive_away"
    UNKNOWN_UPLOAD = "unknown_upload"
    WRONG_OFFSET = "wrong_offset"
    BEING_WRITTEN = "being_written"
    SESSION_ENDED = "session_ended"
    SESSION_LACKS_FILES = "session_lacks_files"
    TRY_LATER = "try_later"


class Refusal(BaseModel):
    """The body of every answer that refuses: `error` names the file or field and the remedy."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    error: str


class Login(BaseModel):
    """The answer to a login: who it is, where they may write (`*`: everywhere), and a token.

    `token` is empty where a provider's own bearer was shown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    workstations: tuple[str, ...]
    token: str = ""
    expires_at: datetime | None = None


class StoredFile(BaseModel):
    """A file as it lies on the N-Drive: `sha256` and `crc32` are of the bytes that were stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: FileName
    size_bytes: Size
    sha256: Sha256
    crc32: Crc32


class SentFile(BaseModel):
    """A file as the workstation knows it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: FileName
    size_bytes: Size
    sha256: Sha256


class SessionEnd(BaseModel):
    """That a session is complete: every file of it, so that none is missing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    files: Annotated[tuple[SentFile, ...], Field(min_length=1, max_length=100_000)]


SpecimenState = Literal["received", "under_way", "archived", "needs_you"]
"""`received`: on the N-Drive; `under_way`: taken in; `archived`: verified in the archive;
`needs_you`: in quarantine or held for a person."""


class SpecimenStatus(BaseModel):
    """Where one specimen of a session is; `why`: what is wrong and what to do, else empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    guid: str
    state: SpecimenState
    why: str = ""


class SessionStatus(BaseModel):
    """A session as the server knows it; `completed_at` is null while it is still being sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workstation: str
    session: str
    begun_at: datetime
    completed_at: datetime | None = None
    by: str
    files: int
    specimens: int
    received: int = 0
    under_way: int = 0
    archived: int = 0
    needs_you: int = 0


class Digest(Protocol):
    """A checksum that is being made."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """The sum of all so far, lower-case hexadecimal."""


class Crc32Digest:
    """CRC-32 as a digest of 8 hexadecimal digits."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take in more bytes."""
        self.value = zlib.crc32(data, self.value)

    def hexdigest(self) -> str:
        """The sum of all so far."""
        return f"{self.value:08x}"


def digest(algorithm: str) -> Digest:
    """A new digest of that kind."""
    return Crc32Digest() if algorithm == "crc32" else hashlib.new(algorithm)


def possible_sums(algorithm: str, text: str) -> frozenset[str]:
    """What `digest(algorithm)` may say of the content that has this checksum.

    DaSSCo's clients write a CRC-32 in decimal, so that 8 digits may be meant either way. Raises
    ValueError naming what is expected.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"the algorithm of a checksum is one of {', '.join(ALGORITHMS)}")
    length = len(digest(algorithm).hexdigest())
    plain = text.strip().lower()
    found = set()
    if re.fullmatch(f"[0-9a-f]{{{length}}}", plain):
        found.add(plain)
    if algorithm == "crc32" and re.fullmatch("[0-9]{1,10}", plain) and int(plain) < 2**32:
        found.add(f"{int(plain):08x}")
    if not found:
        raise ValueError(f"the checksum is no {algorithm}: it has {length} hexadecimal digits")
    return frozenset(found)
