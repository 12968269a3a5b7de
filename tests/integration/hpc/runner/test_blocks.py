"""Lines side by side: of two labels when a paper's edge lies between, else of one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from demo.specimens.lettering import write
from hpc.runner.imaging.blocks import blocks
from hpc.runner.imaging.rectangle import Box
from hpc.runner.modules import ocr

PAPER, GROUND, INK = 240, 150, 40
LEFT = [Box(20, y, 200, 30) for y in (20, 70, 120)]
RIGHT = [Box(260, y, 200, 30) for y in (20, 70, 120)]


def paper() -> np.ndarray:
    grain = np.random.default_rng(3).normal(0, 4, (260, 500))
    return np.clip(PAPER + grain, 0, 255).astype(np.uint8)


def parts(boxes: list, grey: np.ndarray) -> list[list]:
    return [sorted(block) for block in blocks(boxes, lambda box: box, grey)]


def test_columns_on_one_paper_are_one_label() -> None:
    assert parts(LEFT + RIGHT, paper()) == [sorted(LEFT + RIGHT)]


@pytest.mark.parametrize("slant", [0, 12])
@pytest.mark.parametrize(("width", "tone"), [(3, INK), (16, GROUND)], ids=["an edge", "ground"])
def test_what_runs_down_between_them_parts_two_labels(slant: int, width: int, tone: int) -> None:
    grey = paper()
    for row in range(grey.shape[0]):
        at = 232 + slant * row // grey.shape[0]
        grey[row, at : at + width] = tone
    assert parts(LEFT + RIGHT, grey) == [LEFT, RIGHT]


def test_a_stroke_across_the_gap_is_no_edge() -> None:
    grey = paper()
    grey[60:80, 225:255] = INK
    assert parts(LEFT + RIGHT, grey) == [sorted(LEFT + RIGHT)]


def test_lines_at_other_heights_are_of_two_labels_without_an_edge() -> None:
    lower = [box._replace(y=box.y + 22) for box in RIGHT]
    assert parts(LEFT + lower, paper()) == [LEFT, lower]


def test_a_label_below_both_joins_them_not() -> None:
    grey = paper()
    grey[:160, 235:245] = GROUND
    wide = Box(20, 170, 440, 30)
    assert parts([*LEFT, *RIGHT, wide], grey) == [LEFT, RIGHT, [wide]]
    lifted = np.roll(grey, 50, axis=0)
    down = [[box._replace(y=box.y + 50) for box in side] for side in (LEFT, RIGHT)]
    above = Box(20, 20, 440, 30)
    assert parts([above, *down[0], *down[1]], lifted) == [[above], *down]


def test_lines_one_above_the_other_are_never_parted() -> None:
    steps = [Box(20, 20, 90, 30), Box(200, 70, 90, 30), Box(380, 120, 90, 30)]
    assert parts(steps, paper()) == [steps]


def cards(*texts: list[str]) -> Image.Image:
    """Labels edge to edge on a table, each paper hardly wider than its text."""
    sheet = Image.new("RGB", (1000, 400), (150, 140, 120))
    pen, x = ImageDraw.Draw(sheet), 60
    for lines in texts:
        width = max(write(Image.new("RGB", (900, 60)), (0, 0), line, 40) for line in lines)
        pen.rectangle((x - 4, 90, x + width + 4, 268), (245, 243, 235), outline=(60, 60, 60))
        for n, line in enumerate(lines):
            write(sheet, (x, 100 + 56 * n), line, 40)
        x += width + 10
    return sheet


def test_two_labels_edge_to_edge_are_read_one_after_the_other(make_job) -> None:
    left = ["Museum Botanicum", "Hauniense", "Leg. K. Gram 1923"]
    right = ["Flora Danica", "Det. O. Hagerup", "12 June 1931"]
    job = make_job("s.png", cards(left, right).save)
    text = ocr.run(job)["metadata"]["tags.ocr"]
    assert sorted(text.split("\n\n")) == sorted("\n".join(lines) for lines in (left, right))
