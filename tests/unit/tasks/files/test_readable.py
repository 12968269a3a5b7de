"""Ingest and the modules agree on every kind of picture: what the one lets in the others read."""

from pathlib import Path

import pytest

from tasks.files.images import BrokenImage, inspect_image
from tasks.files.readable import look_as_modules
from tests.support.zoo import READ, REFUSED


@pytest.mark.parametrize("name", READ)
async def test_what_the_modules_read_is_let_in(tmp_path: Path, name: str) -> None:
    READ[name](tmp_path / name)
    inspect_image(tmp_path / name)
    await look_as_modules(tmp_path / name, ["barcode"])


@pytest.mark.parametrize("name", REFUSED)
async def test_what_no_module_reads_is_let_in_only_where_none_looks(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    REFUSED[name](path)
    with pytest.raises(BrokenImage, match=r"needed by barcode, derive") as caught:
        await look_as_modules(path, ["barcode", "derive"])
    assert caught.value.remedy.startswith("export it as a TIFF")
    if name != "odd_packing.tif":
        inspect_image(path)
    assert await look_as_modules(path, []) == []


async def test_a_part_that_is_missing_is_refused_whoever_looks(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    READ["rgb.jpg"](path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BrokenImage, match="a part of its picture is missing") as caught:
        await look_as_modules(path, [])
    assert "copy it again" in caught.value.remedy


async def test_a_corrupt_block_is_a_warning_that_stays_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    READ["whole_colour.jpg"](path)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\x12\x34\x56\x78\x9a" + content[-2:])
    (said,) = await look_as_modules(path, [])
    assert said.startswith("a.jpg: this JPEG is corrupt")
    assert "; " not in said
