"""Photographs so small that reading them takes no time worth measuring."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from PIL import Image

from demo.specimens.codes import Symbology, sticker
from demo.specimens.photographs import PhotographSession, write_photograph_session

SIZE = (300, 450)


def write_small_session(
    drive: Path, sources: Path, count: int, seed: int, *, pipeline: str = "PIPEHERB0001"
) -> PhotographSession:
    """A session of `count` sheets of 300 x 450 pixels at 300 ppi, each with one QR code."""
    chance = Random(seed)
    folder = sources / f"{seed}"
    folder.mkdir(parents=True)
    for n in range(count):
        sheet = Image.effect_noise(SIZE, 12).convert("RGB")
        sheet.paste(sticker(f"NHMD-{seed:04}{n:04}", Symbology.QR_CODE, module=5), (40, 200))
        sheet.save(folder / f"{n}.jpg", dpi=(300, 300), quality=90)
    # Seconds name sessions, and two rounds may begin in the same one.
    now = datetime.now(UTC) + timedelta(seconds=seed)
    return write_photograph_session(drive, folder, now=now, chance=chance, pipeline=pipeline)
