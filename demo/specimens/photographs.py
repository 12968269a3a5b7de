"""A session made of someone's own photographs, so that they can be sent down the same road."""

import random
import shutil
import struct
import warnings
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from demo.specimens.documents import Capture, as_text, document_v3
from demo.specimens.folders import finished_path, session_folder
from schemas.guid import MAX_RANDOM, Guid

SUFFIX_OF = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}
PHOTOGRAPHS = frozenset({".jpg", ".jpeg", ".tif", ".tiff"})


class PhotographError(ValueError):
    """No session can be made of this folder; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph as found: where, when it was taken, and the suffix its content asks for."""

    source: Path
    taken: datetime
    suffix: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that did not become part of the session, and why, in plain words."""

    source: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PhotographSession:
    """A session on the N-Drive: the source of each guid, and what was left out."""

    path: Path
    taken: dict[str, Path]
    left_out: tuple[LeftOut, ...]


def write_photograph_session(
    ndrive_root: Path,
    source_folder: Path,
    *,
    now: datetime,
    workstation: str = "WORKHERB0001",
    digitiser: str = "Søren Ærøskøbing",
    pipeline: str = "PIPEHERB0001",
    chance: random.Random | None = None,
) -> PhotographSession:
    """Copy the JPEG and TIFF files below `source_folder` into a new session, each with its JSON.

    The originals are only read. The capture time is the camera's, else the file's own; a
    time without zone is taken to be in the zone of `now`. Raises `PhotographError` when
    there is nothing to take, `FolderError` when a session of that second exists.
    """
    photographs, left_out = find_photographs(source_folder, now)
    if not photographs:
        raise PhotographError(_nothing_to_take(source_folder, left_out))
    chance = chance or random.SystemRandom()
    taken: dict[str, Path] = {}
    with session_folder(ndrive_root, workstation, now) as folder:
        for photograph in photographs:
            capture = Capture(
                guid=_fresh_guid(photograph.taken, taken, chance),
                taken=photograph.taken,
                written=now,
                suffix=photograph.suffix,
                workstation=workstation,
                digitiser=digitiser,
                pipeline=pipeline,
                original_name=_printable(photograph.source.name),
            )
            shutil.copyfile(photograph.source, folder / capture.file_name)
            document = folder / f"{capture.guid}.json"
            document.write_text(as_text(document_v3(capture)), encoding="utf-8")
            taken[capture.guid] = photograph.source
    path = finished_path(ndrive_root, workstation, now)
    return PhotographSession(path, taken, tuple(left_out))


def find_photographs(source_folder: Path, now: datetime) -> tuple[list[Photograph], list[LeftOut]]:
    """Every photograph below `source_folder`, by path, and every file that is none."""
    if not source_folder.is_dir():
        raise PhotographError(
            f"{source_folder} is not a folder. Give SESSION a folder that holds JPEG or TIFF files."
        )
    paths = (path for path in sorted(source_folder.rglob("*")) if not path.is_dir())
    found = [_examine(path, source_folder, now.tzinfo) for path in paths]
    photographs = [each for each in found if isinstance(each, Photograph)]
    return photographs, [each for each in found if isinstance(each, LeftOut)]


def _examine(path: Path, source_folder: Path, zone: tzinfo | None) -> Photograph | LeftOut:
    if any(part.startswith(".") for part in path.relative_to(source_folder).parts):
        return LeftOut(path, "it is hidden")
    if path.is_symlink() or not path.is_file():
        return LeftOut(path, "it is a link or not a plain file")
    if path.suffix.lower() not in PHOTOGRAPHS:
        return LeftOut(path, "it is neither JPEG nor TIFF by its name")
    try:
        if not path.stat().st_size:
            return LeftOut(path, "it is empty")
        with warnings.catch_warnings():
            # A large photograph is no attack here: the file is the user's own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            # Damaged EXIF is reported as a UserWarning; the file's own time stands in for it.
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(path) as image:
                suffix = SUFFIX_OF.get(image.format or "")
                taken = _camera_time(image, zone)
        taken = taken or datetime.fromtimestamp(path.stat().st_mtime, tz=zone)
    except UnidentifiedImageError:
        return LeftOut(path, "its content is not an image")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        return LeftOut(path, f"it cannot be read: {error}")
    if suffix is None:
        return LeftOut(path, "its content is neither JPEG nor TIFF")
    return Photograph(path, taken, suffix)


def _camera_time(image: Image.Image, zone: tzinfo | None) -> datetime | None:
    try:
        return capture_time(image.getexif(), zone)
    except (ValueError, KeyError, TypeError, struct.error):
        return None


def capture_time(exif: Image.Exif, zone: tzinfo | None) -> datetime | None:
    """When the shutter closed, by the camera's clock; None when it does not say so legibly."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    offset = details.get(ExifTags.Base.OffsetTimeOriginal)
    for written in (details.get(ExifTags.Base.DateTimeOriginal), exif.get(ExifTags.Base.DateTime)):
        text = str(written or "").strip("\0 ")
        try:
            if offset:
                return datetime.strptime(f"{text} {offset}".strip("\0 "), "%Y:%m:%d %H:%M:%S %z")
            return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=zone)
        except ValueError:
            continue
    return None


def _fresh_guid(taken: datetime, used: dict[str, Path], chance: random.Random) -> str:
    while True:
        guid = str(
            Guid.build(
                taken,
                institution=0,
                collection=1,
                workstation=0,
                random=chance.randint(0, MAX_RANDOM),
            )
        )
        if guid not in used:
            return guid


def _printable(name: str) -> str:
    """`name` as text that UTF-8 can hold: a name from an old disk may have stray bytes."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _nothing_to_take(source_folder: Path, left_out: list[LeftOut]) -> str:
    if not left_out:
        return f"{source_folder} is empty. Put JPEG or TIFF files in it, or name another folder."
    shown = "; ".join(f"{_printable(out.source.name)}: {out.reason}" for out in left_out[:5])
    more = f"; and {len(left_out) - 5} more" if len(left_out) > 5 else ""
    return (
        f"{source_folder} holds no photograph that can be taken ({shown}{more}). "
        "Put JPEG or TIFF files in it, or name another folder."
    )
