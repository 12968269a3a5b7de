"""Pictures of every kind: all modules read the full one in its colours, or all refuse it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpc.runner.errors import WrongKind
from hpc.runner.imaging.integrity import check_integrity
from hpc.runner.imaging.pages import picture_of
from hpc.runner.job import GrantedChild, Job
from hpc.runner.modules import barcode, crop, derive, ocr
from tests.support.zoo import COLOURLESS, FULL, READ, RED, REFUSED, SIZE, Page, save_tiff

STRAYS = 35
"""What a colour may lose on its way through a palette, or through inks without a profile."""
CHILDREN = (GrantedChild(400, "child-400"), GrantedChild(72, "child-72"))


def derived(job: Job) -> dict[str, np.ndarray]:
    pixels = {}
    for path in (job.folder / "derived").iterdir():
        with Image.open(path) as image:
            pixels[path.suffix] = np.asarray(image.convert("RGB")).astype(int)
    return pixels


@pytest.mark.parametrize("name", READ)
def test_every_module_reads_the_full_picture_of_a_kind(make_job, name: str) -> None:
    job = make_job(name, READ[name], CHILDREN, least_px=5)
    for module in (crop, barcode):
        assert module.run(job)["details"]["size"] == list(SIZE)
    derive.run(job)
    made = derived(job)
    assert made[".tif"].shape[:2] == SIZE[::-1]
    for suffix, pixels in made.items():
        shown = pixels[len(pixels) // 10, pixels.shape[1] // 2]
        if not name.startswith(COLOURLESS):
            assert np.abs(shown - RED).max() <= STRAYS, (suffix, shown)


@pytest.mark.parametrize("name", ["infrared.tif", "camera.dng", "rgb.jp2"])
def test_text_is_looked_for_in_the_same_kinds(make_job, name: str) -> None:
    job = make_job(name, (READ | REFUSED)[name], CHILDREN)
    if name in REFUSED:
        with pytest.raises(WrongKind, match=r"camera\.dng"):
            ocr.run(job)
    else:
        assert ocr.run(job)["details"]["size"] == list(SIZE)


@pytest.mark.parametrize("name", REFUSED)
def test_every_module_refuses_what_none_can_read_and_says_what_to_do(make_job, name: str) -> None:
    job = make_job(name, REFUSED[name], CHILDREN)
    for module in (crop, barcode, derive):
        with pytest.raises(WrongKind, match=rf"{name}: .*export it as a TIFF"):
            module.run(job)


def test_samples_left_out_and_further_pictures_are_told_of(tmp_path: Path) -> None:
    READ["infrared.tif"](tmp_path / "a.tif")
    assert "infrared" in check_integrity(tmp_path / "a.tif")[0]
    save_tiff(tmp_path / "b.tif", FULL, FULL)
    assert "of its 2 pictures" in check_integrity(tmp_path / "b.tif")[0]
    READ["thumbnail_first.tif"](tmp_path / "c.tif")
    assert check_integrity(tmp_path / "c.tif") == []


def test_a_thumbnail_inside_a_page_is_not_taken_for_it(tmp_path: Path) -> None:
    small = Page(FULL.pixels[:40, :60].copy(), subfile=1)
    save_tiff(tmp_path / "a.tif", Page(FULL.pixels, inner=(small,)))
    directory = picture_of(tmp_path / "a.tif").directory
    assert directory is not None
    assert (directory.page, directory.sub) == (0, None)
