"""Generated herbarium sheets, with the truth about what is on them.

Real photographs cannot be shipped; these can, and whoever reads one can be checked
against it. The same seed gives the same pixels.
"""

import io
import random
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from PIL import ExifTags, Image, ImageCms, ImageDraw

from demo.specimens import furniture
from demo.specimens.codes import PrintedCode, Symbology, sticker
from demo.specimens.flora import Gathering, gathering
from demo.specimens.furniture import Box, DrawnRuler
from demo.specimens.lettering import text_width, write
from demo.specimens.plants import press

WIDTH, HEIGHT = 3000, 4500
PAPER: Box = (110, 330, 2780, 4060)
PLANT_CORNER = (350, 380)
PLANT_SIZE = (2300, 2960)
HERBARIUM = "HERBARIUM HAUNIENSE (C)"
STAMP = "MUS. BOT. HAUN."
TABLE = (58, 59, 62)
PAPER_WHITE = (238, 232, 215)

Codes = tuple[tuple[str, Symbology], ...]
"""The text and the kind of each code on a sheet."""


class SheetKind(StrEnum):
    """What was put on the copy stand; the words of `asset_subject`."""

    SPECIMEN = "specimen"
    LABEL = "label"
    DEVICE_TARGET = "device target"


@dataclass(frozen=True, slots=True)
class Order:
    """What a sheet shall show. `number` chooses plant and place; `ppi` is 300 or 600."""

    seed: int
    number: int
    codes: Codes
    kind: SheetKind = SheetKind.SPECIMEN
    ppi: int = 300


@dataclass(frozen=True, slots=True)
class DrawnSheet:
    """A sheet as the camera saw it, and what is where on it (boxes: x, y, width, height)."""

    image: Image.Image
    kind: SheetKind
    ppi: int
    codes: tuple[PrintedCode, ...]
    gathering: Gathering | None
    label_lines: tuple[str, ...]
    paper_box: Box
    specimen_box: Box | None
    label_box: Box | None
    ruler: DrawnRuler
    patches: tuple[Box, ...]


def draw_sheet(order: Order) -> DrawnSheet:
    """Draw the sheet that `order` asks for, 3000 x 4500 pixels."""
    chance = random.Random(order.seed)
    table = furniture.textured((WIDTH, HEIGHT), TABLE, order.seed)
    patches = furniture.colour_chart(table, (150, 66))
    ruler = furniture.ruler(table, (1470, 90), order.ppi, 100 if order.ppi <= 300 else 50)
    paper = furniture.textured(PAPER[2:], PAPER_WHITE, order.seed + 1)
    furniture.lay(table, paper, PAPER[:2])
    about = gathering(chance, order.number)
    specimen_box, label_box = None, None
    match order.kind:
        case SheetKind.SPECIMEN:
            specimen_box = _mount_plant(table, about, chance)
            label_box = furniture.label(table, (1580, 3585), about, HERBARIUM)
        case SheetKind.LABEL:
            label_box = furniture.label(table, (870, 1500), about, HERBARIUM)
            furniture.stamp(table, (1500, 2520), STAMP)
        case SheetKind.DEVICE_TARGET:
            _focus_target(table)
    return DrawnSheet(
        codes=_stick_codes(table, order.codes),
        image=furniture.lit(table),
        kind=order.kind,
        ppi=order.ppi,
        gathering=about if label_box else None,
        label_lines=(HERBARIUM, *about.lines()) if label_box else (),
        paper_box=PAPER,
        specimen_box=specimen_box,
        label_box=label_box,
        ruler=ruler,
        patches=patches,
    )


def encoded(sheet: DrawnSheet, suffix: str, taken: datetime) -> bytes:
    """The bytes of the image file; the same sheet and time give the same bytes."""
    exif = _exif(taken)
    resolution = (float(sheet.ppi), float(sheet.ppi))
    profile = srgb_profile()
    out = io.BytesIO()
    if suffix.lower() in {".tif", ".tiff"}:
        sheet.image.save(out, "TIFF", dpi=resolution, exif=exif, icc_profile=profile)
    else:
        sheet.image.save(
            out, "JPEG", dpi=resolution, exif=exif, icc_profile=profile, quality=92, subsampling=0
        )
    return out.getvalue()


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An sRGB profile with a fixed date: the library stamps it with the time of the call."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    date_field, date_field_end = 24, 36
    profile[date_field:date_field_end] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
    return bytes(profile)


def _exif(taken: datetime) -> bytes:
    exif = Image.Exif()
    moment = taken.strftime("%Y:%m:%d %H:%M:%S")
    exif[ExifTags.Base.Make] = "Specimen Refinery"
    exif[ExifTags.Base.Model] = "Sample copy stand"
    exif[ExifTags.Base.DateTime] = moment
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = moment
    if taken.tzinfo is not None:
        offset = taken.strftime("%z")
        details[ExifTags.Base.OffsetTimeOriginal] = f"{offset[:3]}:{offset[3:5]}"
    # As bytes: given the object itself, the TIFF writer leaves the inner directory out.
    return exif.tobytes()


def _mount_plant(table: Image.Image, about: Gathering, chance: random.Random) -> Box:
    plant = press(about.species, PLANT_SIZE, chance)
    box = plant.lay_on(table, PLANT_CORNER)
    furniture.straps(table, plant.cover, PLANT_CORNER)
    furniture.stamp(table, (1325, 4200), STAMP)
    return box


def _stick_codes(table: Image.Image, codes: Codes) -> tuple[PrintedCode, ...]:
    """Stickers in the bottom left corner of the paper, the first one topmost."""
    cards = [
        sticker(text, symbology, module=5 if symbology is Symbology.CODE_128 else 9)
        for text, symbology in codes
    ]
    gap = 60
    x, y = PAPER[0] + gap, PAPER[1] + PAPER[3] - sum(card.height + gap for card in cards)
    printed = []
    for (text, symbology), card in zip(codes, cards, strict=True):
        printed.append(PrintedCode(text, symbology, furniture.lay(table, card, (x, y))))
        y += card.height + gap
    return tuple(printed)


def _focus_target(table: Image.Image) -> None:
    """Bars from coarse to fine in both directions, a grey wedge, and crosses in the corners."""
    draw = ImageDraw.Draw(table)
    ink = (24, 24, 24)
    title = "DEVICE TARGET"
    write(table, ((WIDTH - text_width(title, 150)) // 2, 560), title, 150)
    for row, pitch in enumerate((48, 32, 24, 16, 12, 8)):
        y = 980 + row * 330
        for x in range(480, 1380, pitch):
            draw.rectangle((x, y, x + pitch // 2 - 1, y + 230), fill=ink)
        for down in range(y, y + 230 - pitch // 2, pitch):
            draw.rectangle((1620, down, 2520, down + pitch // 2 - 1), fill=ink)
        write(table, (250, y + 80), f"{pitch} px", 44)
    for step in range(12):
        grey = 20 + step * 20
        draw.rectangle((480 + step * 170, 3080, 650 + step * 170, 3330), fill=(grey, grey, grey))
    for x in (300, WIDTH - 300):
        for y in (520, HEIGHT - 640):
            draw.line((x - 90, y, x + 90, y), fill=ink, width=6)
            draw.line((x, y - 90, x, y + 90), fill=ink, width=6)
