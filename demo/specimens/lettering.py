"""Text for generated sheets, Danish letters included.

The one font that is on every machine, Pillow's own, has no æ, ø or å. They are composed
here from its letters, so that a label reads the same wherever the demo runs.
"""

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

OVERSAMPLING = 3
"""Text is drawn this much larger and reduced, which smooths the composed strokes."""

_COMPOSED = frozenset("æøåÆØÅ")
_CAP_HEIGHT = 0.70
_X_HEIGHT = 0.52
_LEG = 0.27


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError(
            "This Pillow was built without FreeType, so labels cannot be printed. "
            "Install the wheel from PyPI: pip install --force-reinstall pillow"
        )
    return font


def text_mask(text: str, size: int, *, italic: bool = False) -> Image.Image:
    """The ink of one line of `text` as an "L" image, 255 where there is ink.

    `size` is the em in pixels; the mask is 1.3 em high with the baseline at 1.0 em.
    """
    em = size * OVERSAMPLING
    runs = _runs(text)
    width = round(sum(_advance(run, em) for run in runs)) + em // 2
    large = Image.new("L", (max(width, em), round(em * 1.3)), 0)
    draw = ImageDraw.Draw(large)
    x = em * 0.1
    for run in runs:
        _draw_run(draw, run, x, em)
        x += _advance(run, em)
    if italic:
        large = _sheared(large, em)
    return large.resize(
        (-(-large.width // OVERSAMPLING), -(-large.height // OVERSAMPLING)), Image.Resampling.BOX
    )


def write(
    image: Image.Image,
    xy: tuple[int, int],
    text: str,
    size: int,
    *,
    ink: tuple[int, int, int] = (25, 22, 20),
    italic: bool = False,
) -> int:
    """Print `text` on `image` with its top left corner at `xy`; the width used, in pixels."""
    mask = text_mask(text, size, italic=italic)
    image.paste(ink, (xy[0], xy[1]), mask)
    return mask.width


def text_width(text: str, size: int) -> int:
    """How wide `text` will be, in pixels, without the slant."""
    em = size * OVERSAMPLING
    return round((sum(_advance(run, em) for run in _runs(text)) + em * 0.2) / OVERSAMPLING)


def _runs(text: str) -> list[str]:
    """`text` cut so that each composed letter stands alone and the rest keeps its kerning."""
    runs: list[str] = []
    for letter in text:
        if runs and letter not in _COMPOSED and runs[-1][-1] not in _COMPOSED:
            runs[-1] += letter
        else:
            runs.append(letter)
    return runs


def _advance(run: str, em: int) -> float:
    font = _font(em)
    match run:
        case "æ":
            return font.getlength("ae") - em * 0.215
        case "Æ":
            return font.getlength("E") + em * _LEG
        case "ø" | "Ø" | "å" | "Å":
            return font.getlength({"ø": "o", "Ø": "O", "å": "a", "Å": "A"}[run])
        case _:
            return font.getlength(run)


def _draw_run(draw: ImageDraw.ImageDraw, run: str, x: float, em: int) -> None:
    match run:
        case "æ":
            _glyph(draw, "a", x, em)
            _glyph(draw, "e", x + _advance(run, em) - _font(em).getlength("e"), em)
        case "Æ":
            _legged(draw, x, em)
        case "ø" | "Ø":
            _slashed(draw, "o" if run == "ø" else "O", x, em)
        case "å" | "Å":
            _ringed(draw, "a" if run == "å" else "A", x, em)
        case _:
            _glyph(draw, run, x, em)


def _glyph(draw: ImageDraw.ImageDraw, letters: str, x: float, em: int) -> None:
    draw.text((x, em), letters, font=_font(em), fill=255, anchor="ls")


def _legged(draw: ImageDraw.ImageDraw, x: float, em: int) -> None:
    """An E with the left leg and the bar of an A: the two letters overlaid read as two."""
    _glyph(draw, "E", x + em * _LEG, em)
    stem = x + em * (_LEG + 0.10)
    foot, pen = x + em * 0.02, em * 0.085
    top = em * (1 - _CAP_HEIGHT)
    draw.polygon(
        [(foot, em), (foot + pen, em), (stem + pen, top), (stem - pen * 0.4, top)], fill=255
    )
    draw.rectangle((x + em * 0.17, em * 0.765, stem, em * 0.83), fill=255)


def _slashed(draw: ImageDraw.ImageDraw, letter: str, x: float, em: int) -> None:
    _glyph(draw, letter, x, em)
    left, top, right, bottom = _font(em).getbbox(letter, anchor="ls")
    reach = em * 0.035
    draw.line(
        (x + left - reach * 0.2, em + bottom + reach, x + right + reach * 0.2, em + top - reach),
        fill=255,
        width=round(em * 0.06),
    )


def _ringed(draw: ImageDraw.ImageDraw, letter: str, x: float, em: int) -> None:
    _glyph(draw, letter, x, em)
    left, _, right, _ = _font(em).getbbox(letter, anchor="ls")
    height = _X_HEIGHT if letter == "a" else _CAP_HEIGHT
    radius = em * 0.105
    gap = em * (0.06 if letter == "a" else -0.01)
    middle_x = x + (left + right) / 2
    middle_y = em - em * height - gap - radius
    draw.ellipse(
        (middle_x - radius, middle_y - radius, middle_x + radius, middle_y + radius),
        outline=255,
        width=round(em * 0.05),
    )


def _sheared(mask: Image.Image, em: int) -> Image.Image:
    slant = 0.21
    return mask.transform(
        (mask.width + round(em * slant), mask.height),
        Image.Transform.AFFINE,
        (1, slant, -slant * em, 0, 1, 0),
        Image.Resampling.BILINEAR,
    )
