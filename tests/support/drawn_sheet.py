"""A drawn sheet of paper that modules read."""

import zxingcpp
from PIL import Image


def drawn() -> Image.Image:
    """A sheet of paper with a code on a dark table."""
    table = Image.new("RGB", (900, 1200), (40, 44, 40))
    table.paste(Image.new("RGB", (700, 1000), (238, 234, 222)), (100, 100))
    code = zxingcpp.create_barcode("NHMD-450444", zxingcpp.BarcodeFormat.Code128)
    table.paste(Image.fromarray(code.to_image(scale=3)), (150, 900))
    return table
