"""JPEG 2000, which the libvips of the wheels cannot read and Pillow can: decoded in memory."""

from pathlib import Path

import numpy as np
import pyvips
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from hpc.runner.errors import BadInput, Transient, WrongKind
from hpc.runner.imaging.pages import check_size

KINDS = {
    "L": "b-w",
    "LA": "b-w",
    "I;16": "grey16",
    "RGB": "srgb",
    "RGBA": "srgb",
    "CMYK": "cmyk",
}
"""What libvips calls the pixels of each mode of Pillow's."""


def open_jp2(path: Path, max_pixels: int) -> pyvips.Image:
    """The picture, with its profile. Raises WrongKind, BadInput, Transient, OSError."""
    try:
        with path.open("rb") as stream, Jpeg2KImageFile(stream, str(path)) as image:
            check_size(path, image.width, image.height, max_pixels)
            image.load()
            read = image.convert("RGB") if image.mode == "YCbCr" else image
            mode, profile = read.mode, image.info.get("icc_profile")
            pixels = np.ascontiguousarray(np.asarray(read))
    except MemoryError as error:
        raise Transient(
            f"{path.name}: needs more memory than this job has; raise the stage's resources.mem"
        ) from error
    except (SyntaxError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadInput(
            f"{path.name}: cannot be read as an image, it is damaged or cut short ({error}); "
            "scan or copy it again"
        ) from error
    if mode not in KINDS:
        raise WrongKind(f"{path.name}: is a JPEG 2000 of the kind {mode}; export it as a TIFF")
    made = pyvips.Image.new_from_array(pixels).copy(interpretation=KINDS[mode])
    if profile:
        made.set_type(pyvips.GValue.blob_type, "icc-profile-data", bytes(profile))
    return made
