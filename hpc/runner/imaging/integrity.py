"""Whether the picture of a file is all there, and what a person should know of it.

Decoders fill what is missing with black or grey and go on. What a file cut short leaves is
looked for here in the bytes themselves: a module must not depend on who checked before it.
"""

from pathlib import Path

from hpc.runner.errors import BadInput
from hpc.runner.imaging import tiff
from hpc.runner.imaging.jpeg import damage_of
from hpc.runner.imaging.pages import picture_of
from hpc.runner.imaging.picture import MAX_PIXELS, open_image
from hpc.runner.imaging.tiff import Directory
from hpc.runner.imaging.zeros import CUT_SHARE, zeros_at_end

LAST_BLOCK = 512
"""Bytes at the end of a WebP file, which has no checksum: one is zero that was never written."""
COPY_AGAIN = "copy it again from where it was made"


def check_integrity(
    path: Path, max_pixels: int = MAX_PIXELS, *, accept_black: bool = False
) -> list[str]:
    """What a person should know of a picture that is all there: warnings without `; `.

    `accept_black`: a person says that the zeros at the end of the picture are its own. Raises
    WrongKind, BadInput when a part of the picture is missing, Transient, OSError.
    """
    open_image(path, max_pixels)
    picture = picture_of(path)
    size = path.stat().st_size
    last = max(0, size - LAST_BLOCK)
    warnings = []
    if picture.alike > 1:
        warnings.append(
            f"{path.name}: of its {picture.alike} pictures of full size the first counts"
        )
    if picture.colours is not None:
        warnings.append(f"{path.name}: samples beyond its colours (infrared?) were left out")
    if picture.directory is not None:
        _check_parts(path, picture.directory, accept_black)
    if picture.kind == "webp" and zeros_at_end(path, [(last, size - last)]) == size - last:
        raise BadInput(f"{path.name}: ends in zeros, it was never written whole; {COPY_AGAIN}")
    if picture.kind == "jpeg" and (damage := damage_of(path)):
        if damage.missing:
            raise BadInput(
                f"{path.name}: a part of its picture is missing ({damage.why}); {COPY_AGAIN}"
            )
        warnings.append(f"{path.name}: this JPEG is corrupt ({damage.why}), look for false blocks")
    return warnings


def _check_parts(path: Path, directory: Directory, accept_black: bool) -> None:
    """Raise BadInput where strips or tiles of a TIFF lie beyond its end or were never written."""
    parts, size = directory.parts, path.stat().st_size
    if missing := sum(not count or offset + count > size for offset, count in parts):
        raise BadInput(
            f"{path.name}: {missing} of {len(parts)} parts of its picture are not in the file, "
            f"it was cut short; {COPY_AGAIN}"
        )
    if accept_black or directory.first(tiff.COMPRESSION, 1) != 1:
        return  # most packings cannot be unpacked from zeros; ingest has asked of the others
    total = sum(count for _, count in parts)
    zeros = zeros_at_end(path, parts)
    if total and zeros >= CUT_SHARE * total:
        raise BadInput(
            f"{path.name}: the last {zeros / total:.0%} of its pixels are all zero, as a copy cut "
            f"short leaves them; {COPY_AGAIN}, or set params.accept_black if they are right"
        )
