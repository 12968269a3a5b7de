"""Files as cameras and their converters leave them, small, and whole folders of them."""

import os
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from schemas.digitisation import CollectionValues, Values
from workstation.journal.journal import SessionJournal
from workstation.session.choices import Choices
from workstation.session.folders import find_specimens
from workstation.session.planning import FolderPlan, plan_folder

EXIF_IFD, TAKEN, OFFSET, SUB_SECONDS = 0x8769, 0x9003, 0x9011, 0x9291
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
"""The clock of a test."""

SIGNATURES = {
    ".raf": b"FUJIFILMCCD-RAW 0201FF119502X-T3",
    ".cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    ".cr2": b"II*\0\x10\0\0\0CR\x02\0",
    ".nef": b"MM\0*\0\0\0\x08",
    ".dng": b"II*\0\x08\0\0\0",
}

VALUES = Values(
    workstation="WORKHERB0001",
    workstation_number=1,
    institution="NHMD",
    institution_number=1,
    collections=(
        CollectionValues(
            name="NHMD Vascular Plants",
            number=1,
            pipelines=("PIPEHERB0001",),
            preparation_types=("sheet",),
        ),
        CollectionValues(
            name="NHMD Entomology",
            number=2,
            pipelines=("PIPEPIOF0001",),
            preparation_types=("pinning",),
        ),
    ),
    payload_types=("image",),
    funding=("DaSSCo",),
    digitisers=("Søren Ærøskøbing",),
    time_zone="Europe/Copenhagen",
)

CHOICES = Choices(
    institution="NHMD",
    collection="NHMD Vascular Plants",
    preparation_type="sheet",
    pipeline="PIPEHERB0001",
    funding=("DaSSCo",),
    digitiser="Søren Ærøskøbing",
    other_digitisers=("Åse Østergård",),
    payload_type="image",
)


def picture(seed: int, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """A picture that no other seed has, and that does not pack to nothing."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    wanted = size[0] * size[1] * channels * (2 if mode.startswith("I;16") else 1)
    block = b"".join(zlib.crc32(f"{seed} {i}".encode()).to_bytes(4, "big") for i in range(1024))
    return Image.frombytes(mode, size, (block * (wanted // len(block) + 1))[:wanted])


def exif_of(
    taken: object = "2026:11:21 09:30:00",
    offset: object = "+01:00",
    sub_seconds: object = None,
) -> Image.Exif:
    """What a camera writes of the moment of exposure; None leaves a tag out."""
    exif = Image.Exif()
    exif[0x010F] = "FUJIFILM"
    given = ((TAKEN, taken), (OFFSET, offset), (SUB_SECONDS, sub_seconds))
    directory = exif.get_ifd(EXIF_IFD)
    directory |= {0x9000: b"0232", **{tag: each for tag, each in given if each is not None}}
    return exif


def camera_image(
    path: Path,
    seed: int = 1,
    *,
    size: tuple[int, int] = (64, 48),
    mode: str = "RGB",
    exif: Image.Exif | None = None,
    **options: Any,
) -> Path:
    """A converted image as its suffix says; `options` are Pillow's."""
    given = exif_of() if exif is None else exif
    if path.suffix.lower() in (".tif", ".tiff", ".dng"):
        picture(seed, size, mode).save(path, "TIFF", **options)
        add_exif(path, given.get_ifd(EXIF_IFD))
    else:
        picture(seed, size, mode).save(path, "JPEG", exif=given, **options)
    return path


def add_exif(path: Path, tags: dict[int, Any]) -> None:
    """Put an Exif directory into a small-endian TIFF: Pillow does so for unpacked ones only."""
    content = bytearray(path.read_bytes())
    content += bytes(len(content) % 2)
    inner = ImageFileDirectory_v2(prefix=b"II", group=EXIF_IFD)
    for tag, value in tags.items():
        inner[tag] = value
    (start,) = struct.unpack_from("<L", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = [bytes(content[start + 2 + 12 * i :][:12]) for i in range(count)]
    entries.append(struct.pack("<HHLL", EXIF_IFD, 4, 1, len(content)))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    content += inner.tobytes(len(content))
    content += bytes(len(content) % 2)
    struct.pack_into("<L", content, 4, len(content))
    content += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(content)


def camera_raw(path: Path, seed: int = 1, size_bytes: int = 4096) -> Path:
    """A raw file: the right first bytes, and content that no other seed has."""
    head = SIGNATURES[path.suffix.lower()]
    filling = f"{seed:08d}".encode() * (size_bytes // 8)
    path.write_bytes((head + filling)[:size_bytes])
    return path


def camera_session(
    folder: Path, count: int = 3, *, raw: str = ".RAF", image: str = ".tif", first: int = 1
) -> Path:
    """A folder of a finished session: for each specimen a raw and a converted image."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        taken = f"2026:11:21 09:{30 + i // 60:02d}:{i % 60:02d}"
        camera_image(folder / f"DSCF{i:04d}{image}", i, exif=exif_of(taken))
        camera_raw(folder / f"DSCF{i:04d}{raw}", i)
    return folder


def set_file_time(path: Path, moment: datetime) -> Path:
    """Give a file a time of change."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    return path


def planned(
    folder: Path, journal: SessionJournal | None = None, values: Values = VALUES
) -> FolderPlan:
    """The plan of a folder as the client makes it, after what the journal knows."""
    left = {} if journal is None else journal.left_files(folder)
    return plan_folder(
        find_specimens(folder, left=left),
        CHOICES,
        values,
        now=NOW,
        client="1.2.3",
        is_taken=(lambda guid: False) if journal is None else journal.has_guid,
    )
