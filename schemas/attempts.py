"""The messages between a runner on a cluster and the server about one attempt.

`start` is a grant to exactly one process, identified by its native id and a nonce;
`complete` and `fail` bring the outcome. Sizes in bytes, CRC32 unsigned, times in seconds.
"""

from enum import StrEnum, auto
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.files import FileFacts, Output
from schemas.guid import AssetGuid
from schemas.storable import Json, Text, Word

NativeId = Annotated[Word, Field(max_length=200)]
"""A scheduler's id of a job, or a nonce. Both are part of a key, which an index must hold."""


MAX_PRINTED = 8000


def _printed(value: object) -> str:
    """What a program printed, made storable: a stray byte of it is no reason to refuse a result."""
    text = str(value or "")[-MAX_PRINTED:].replace("\0", "␀")
    return text.encode("utf-8", "replace").decode("utf-8")


PrintedText = Annotated[str, BeforeValidator(_printed)]
Printed = Annotated[PrintedText, Field(exclude=True, repr=False)]
"""The end of what a module printed. Its attempt keeps it; a message that is kept leaves it out."""


class WireModel(BaseModel):
    """A message; unknown keys are ignored, for the other side may be newer or older."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", coerce_numbers_to_str=True, allow_inf_nan=False
    )


class LinkedFile(FileFacts):
    """A file, and where it is fetched from or put."""

    url: str


class Usage(WireModel):
    """What an attempt used: wall clock and processor seconds, peak memory in MB."""

    seconds: Annotated[float, Field(ge=0)] | None = None
    cpu_s: Annotated[float, Field(ge=0)] | None = None
    max_rss_mb: Annotated[float, Field(ge=0)] | None = None


class ImageCode(WireModel):
    """One code found in an image; `box` is x, y, width, height in pixels."""

    text: Text
    symbology: Text = ""
    box: tuple[float, float, float, float] | None = None
    kind: Text = "specimen"
    how: Text = ""


class Barcode(WireModel):
    """What the barcode module saw. The subject is free text: a new one must not hang an asset."""

    codes: tuple[ImageCode, ...] = ()
    barcodes: tuple[Text, ...] = ()
    disposable: Text | None = None
    label: bool = False
    asset_subject: Text
    multi_specimen: bool = False
    multi_object: bool = False


class Derivative(WireModel):
    """One image made of a parent's."""

    guid: AssetGuid
    ppi: Annotated[int, Field(ge=1, le=100_000)]
    file_format: Literal["tif", "jpeg"]
    payload_type: Literal["image", "thumbnail"]
    file: FileFacts


class Result(WireModel):
    """The outcome of a module. `derivatives` null: this stage emits none; empty: it made none."""

    metadata: Json = Field(default_factory=dict)
    barcode: Barcode | None = None
    derivatives: tuple[Derivative, ...] | None = None
    uploaded: tuple[FileFacts, ...] | None = None
    outputs: tuple[Output, ...] = ()
    details: Json = Field(default_factory=dict)
    warning: Text | None = None
    usage: Usage = Usage()
    printed: Printed = ""


class Start(WireModel):
    """A runner asks to be the one that does the work."""

    native_id: NativeId
    nonce: NativeId


class WorkDone(WireModel):
    """The work is done, whoever reports it."""

    result: Result


class Complete(WorkDone, Start):
    """A runner reports that its work is done."""


class WorkFailed(WireModel):
    """The work failed, whoever reports it: RETRY may help, ERROR will not."""

    fail_status: Literal["RETRY", "ERROR"]
    message: str = ""
    exception: Text | None = None
    exit_code: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    usage: Usage = Usage()
    printed: Printed = ""


class Fail(WorkFailed, Start):
    """A runner reports that its work failed."""

    message: Text = ""


class FailureCause(StrEnum):
    """The cause of a failure; only a failure of the specimen itself uses one of its tries."""

    SPECIMEN = auto()
    SITE_LACKS_LIBRARY = auto()
    ARCHIVE_UNREACHABLE = auto()
    TOLD_TO_STOP = auto()


class Token(WireModel):
    """A short-lived token for the archive, and its remaining life in seconds."""

    token: str = Field(repr=False)
    expires_in: int


class DerivativeName(WireModel):
    """The name a derivative will have."""

    ppi: int
    guid: AssetGuid


class CommandGrant(WireModel):
    """A program that is to be run: its words, with placeholders, and what these stand for.

    `inputs`: the grant's inputs are to be brought before. What only its site knows, and its
    stage's parameters, are not among `values`.
    """

    words: tuple[str, ...]
    values: dict[str, str]
    expect_exit: tuple[int, ...]
    inputs: bool


class Grant(WireModel):
    """The answer to `Start`: all that a module, or the command in its place, needs.

    `accept_black`: a person has checked that the zeros in this asset's image are correct. `ars`
    is null for what neither reads nor writes files in the archive.
    """

    attempt: int
    guid: str
    stage: str
    module: str
    params: dict[str, Any]
    metadata: dict[str, Any]
    inputs: tuple[LinkedFile, ...] = ()
    accept_black: bool = False
    results: dict[str, dict[str, Any]] = Field(default_factory=dict)
    children: tuple[DerivativeName, ...] = ()
    parent_guid: str | None = None
    uploads: tuple[LinkedFile, ...] = ()
    outputs: tuple[str, ...] = ()
    command: CommandGrant | None = None
    ars: Token | None = None
