"""Barcode stickers as museums print them: QR Code, Data Matrix and Code 128.

Modules are whole pixels and the quiet zone is kept, so that what is printed here can be read.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import segno
import zxingcpp
from PIL import Image

from demo.specimens.lettering import text_width, write

Modules = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


class Symbology(StrEnum):
    """The three kinds of code, named as the barcode reader names them."""

    QR_CODE = "QRCode"
    DATA_MATRIX = "DataMatrix"
    CODE_128 = "Code128"


@dataclass(frozen=True, slots=True)
class PrintedCode:
    """One code on a sheet. `box` is x, y, width, height of its sticker in pixels."""

    text: str
    symbology: Symbology
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


def sticker(text: str, symbology: Symbology, *, module: int = 8) -> Image.Image:
    """A white sticker with the code and its text below; `module` is the narrowest bar in pixels."""
    symbol = _scaled(_modules(text, symbology), symbology, module)
    size = 34
    width = max(symbol.width, text_width(text, size) + 24)
    label = Image.new("RGB", (width, symbol.height + round(size * 1.25)), (252, 252, 250))
    label.paste(symbol.convert("RGB"), ((width - symbol.width) // 2, 0))
    write(label, ((width - text_width(text, size)) // 2, symbol.height - 14), text, size)
    return label


def _modules(text: str, symbology: Symbology) -> Modules:
    """One pixel per module, 0 dark, 255 light, quiet zone included."""
    if symbology is Symbology.QR_CODE:
        symbol = segno.make_qr(text, error="m")
        rows = [list(row) for row in symbol.matrix_iter(scale=1, border=4)]
        return np.where(np.array(rows, dtype=np.uint8) > 0, 0, 255).astype(np.uint8)
    created = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, symbology))
    bare = np.array(zxingcpp.write_barcode_to_image(created, add_quiet_zones=False))
    if symbology is Symbology.CODE_128:
        return np.pad(bare[:1], ((0, 0), (12, 12)), constant_values=255)
    return np.pad(bare, 3, constant_values=255)


def _scaled(modules: Modules, symbology: Symbology, module: int) -> Image.Image:
    small = Image.fromarray(modules)
    if symbology is Symbology.CODE_128:
        bars = small.resize((small.width * module, module * 18), Image.Resampling.NEAREST)
        framed = Image.new("L", (bars.width, bars.height + 2 * module), 255)
        framed.paste(bars, (0, module))
        return framed
    return small.resize((small.width * module, small.height * module), Image.Resampling.NEAREST)
