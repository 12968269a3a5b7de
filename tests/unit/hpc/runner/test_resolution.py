"""What a file says of its resolution, and what derivatives are made when that is nonsense."""

import struct
from pathlib import Path

import pytest
from PIL import Image

from hpc.runner.errors import BadInput
from hpc.runner.imaging.rectangle import Rectangle
from hpc.runner.imaging.resolution import ppi_in_file
from hpc.runner.imaging.scaled import size_problem, write_scaled
from hpc.runner.job import GrantedChild
from hpc.runner.modules import derive

BOTH = (GrantedChild(400, "child-400"), GrantedChild(72, "child-72"))


def picture(size: tuple[int, int] = (1600, 1200)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert("RGB")


def tiff(path: Path, value: float, unit: int, down: float | None = None) -> None:
    picture().save(path, x_resolution=value, y_resolution=down or value, resolution_unit=unit)


def made(job) -> dict[str, tuple[int, int]]:
    sizes = {}
    for path in sorted((job.folder / "derived").iterdir()):
        with Image.open(path) as image:
            sizes[path.suffix] = image.size
    return sizes


@pytest.mark.parametrize(
    ("value", "unit", "ppi", "doubted"),
    [
        (300, 2, 300, False),
        (236.22, 3, 600, False),
        (300, 1, None, False),
        (72, 2, None, False),
        (28.3465, 3, None, False),
        (4e9, 2, None, True),
        (19, 2, None, True),
    ],
)
def test_a_tiffs_unit_is_honoured_and_its_bounds_are_kept(
    tmp_path: Path, value: float, unit: int, ppi: float | None, doubted: bool
) -> None:
    tiff(tmp_path / "a.tif", value, unit)
    claimed = ppi_in_file(tmp_path / "a.tif")
    assert claimed.ppi == (ppi and pytest.approx(ppi, rel=0.001))
    assert bool(claimed.doubt) is doubted


def test_pixels_that_are_not_square_are_not_believed(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif", 300, 2, down=600)
    assert "300 ppi across and 600 down" in str(ppi_in_file(tmp_path / "a.tif").doubt)


@pytest.mark.parametrize("unit", [0, 1, 2])
def test_a_jpegs_density_without_a_unit_is_an_aspect_only(tmp_path: Path, unit: int) -> None:
    path = tmp_path / "a.jpg"
    picture().save(path, dpi=(300, 300))
    content = bytearray(path.read_bytes())
    at = content.index(b"JFIF\0") + 7
    content[at] = unit
    path.write_bytes(content)
    assert ppi_in_file(path).ppi == {0: None, 1: 300, 2: 762}[unit]


def test_a_pngs_density_without_a_unit_is_an_aspect_only(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture().save(path, dpi=(300, 300))
    assert ppi_in_file(path).ppi == 300
    content = bytearray(path.read_bytes())
    at = content.index(b"pHYs") + 12
    content[at] = 0
    path.write_bytes(content)
    assert ppi_in_file(path).ppi is None


def test_exif_counts_where_the_container_says_nothing_and_never_against_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 400.0, 400.0, 2
    path = tmp_path / "a.jpg"
    picture().save(path, exif=exif)
    assert ppi_in_file(path).ppi == 400
    picture().save(path, exif=exif, dpi=(72, 72))
    assert ppi_in_file(path).ppi == 400
    picture().save(path, exif=exif, dpi=(300, 300))
    assert ppi_in_file(path).ppi is None
    assert "300 and 400 ppi at once" in str(ppi_in_file(path).doubt)


@pytest.mark.parametrize("damage", [b"\xff" * 8, struct.pack("<LL", 300, 0)])
def test_a_damaged_fraction_is_no_resolution(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.tif"
    tiff(path, 300, 2)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<LL", 300, 1), damage))
    assert ppi_in_file(path).ppi is None


@pytest.mark.parametrize(("value", "unit"), [(300, 1), (4e9, 2), (1, 2)])
def test_a_copy_of_an_unknown_resolution_keeps_its_pixels_and_a_thumbnail_is_bounded(
    make_job, value: float, unit: int
) -> None:
    job = make_job("s.tif", lambda path: tiff(path, value, unit), BOTH, longest_px=800)
    found = derive.run(job)
    assert made(job) == {".jpg": (800, 600), ".tif": (1600, 1200)}
    assert "resolution unknown" in found["warning"]
    assert [one["ppi"] for one in found["details"]["made"]] == [None, None]


def test_a_thumbnail_is_bounded_whoever_says_the_resolution(make_job) -> None:
    job = make_job("s.png", picture((2400, 300)).save, BOTH, scan_ppi=72)
    assert derive.run(job)["details"]["made"][1]["size"] == [1600, 200]


@pytest.mark.parametrize(
    ("said", "params"), [(7620, {}), (None, {"scan_ppi": 7620}), (None, {"scan_ppi": 90_000})]
)
def test_a_derivative_whose_size_makes_no_sense_never_passes(make_job, said, params) -> None:
    def save(path: Path) -> None:
        picture().save(path, dpi=(said, said) if said else None)

    job = make_job("s.png", save, BOTH, **params)
    with pytest.raises(BadInput, match=r"s\.png: its 400 ppi derivative.*params\.least_px"):
        derive.run(job)
    assert list((job.folder / "derived").iterdir()) == []


def test_a_person_may_say_that_a_small_derivative_is_right(make_job) -> None:
    job = make_job("s.png", picture().save, BOTH, scan_ppi=7620, least_px=5)
    derive.run(job)
    assert made(job)[".tif"] == (84, 63)


@pytest.mark.parametrize("name", ["longest_px", "least_px"])
def test_a_bound_that_is_no_number_of_pixels_is_named(make_job, name: str) -> None:
    with pytest.raises(BadInput, match=rf"params\.{name}"):
        derive.run(make_job("s.png", picture().save, BOTH, **{name: "big"}))


@pytest.mark.parametrize("angle", [0.0, 0.09, -0.09, 0.5])
@pytest.mark.parametrize("width", [900, 1000])
def test_a_sheet_cut_out_of_its_image_has_the_shape_it_was_found_in(
    tmp_path: Path, angle: float, width: int
) -> None:
    """Hardly askew it is cut upright, so a tall one comes out wider than its own sides."""
    Image.new("L", (1000, 4000), 200).save(tmp_path / "sheet.tif")
    sheet = Rectangle(500, 2000, width, 3900, angle)
    for ppi in (600, 400, 72):
        copy = write_scaled(
            tmp_path / "sheet.tif",
            tmp_path / "made.tif",
            file_format="tif",
            ppi=ppi,
            source_ppi=600,
            cut=sheet,
        )
        assert size_problem(copy, 100) is None
