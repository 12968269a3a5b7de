"""What identifies a file: its name, or path, its checksum and its size."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.guid import FileName, check_file_name

Crc32 = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]
Size = Annotated[int, Field(ge=0, le=2**50)]

MB = 1_000_000
"""Bytes in a megabyte, as every size in MB here counts it."""


def _inner(path: str) -> str:
    for step in path.split("/"):
        check_file_name(step)
    return path


InnerPath = Annotated[str, Field(max_length=1000), AfterValidator(_inner)]
"""A path inside a folder of ours: plain names, divided by slashes."""


class FileFacts(BaseModel):
    """A file by name, checksum and size; unknown keys are ignored, as in every message."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    name: FileName
    crc32: Crc32
    size_bytes: Size


class Output(BaseModel):
    """A file that a stage left in its asset's folder at the site, by its path there."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    path: InnerPath
    size_bytes: Size
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def megabytes(size_bytes: int) -> int:
    """Bytes as ARS allots room: MB of 10^6 bytes, rounded up, at least 1 for each file."""
    return max(1, -(-size_bytes // MB))
