"""Ingest holds what came with a checksum against it."""

import hashlib
from pathlib import Path

import pytest

from tasks.errors import Quarantined
from tasks.files import sidecars
from tests.support.museum import Museum


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_an_image_that_differs_from_its_checksum_is_quarantined_until_a_right_one_comes(
    museum: Museum,
) -> None:
    image = museum.drop("g")
    (museum.folder / "g.tif.sha256").write_text(f"{'0' * 64} *g.tif\r\n")
    await museum.register()
    said = await museum.fails("g", Quarantined)
    assert said.startswith(f"g.tif: its SHA-256 is {sha256(image)}, g.tif.sha256 says 0000")
    assert said.endswith("copy it again from the workstation, or correct the checksum")
    assert museum.stored("g") == []
    await museum.drop_anew("g", into="session æ 2")
    image = museum.folder / "g.tif"
    (museum.folder / "g.tif.sha256").write_text(f"{sha256(image).upper()} *g.tif\r\n")
    await museum.ingest("g")
    assert await museum.is_in("g")


async def test_metadata_that_differs_from_its_checksum_is_quarantined(museum: Museum) -> None:
    museum.drop("g")
    (museum.folder / "MD5SUMS").write_text(f"{'0' * 32}  g.json\n")
    await museum.register()
    said = await museum.fails("g", Quarantined)
    assert said.startswith("g.json: its MD5 is ") and "MD5SUMS says 0000" in said


async def test_a_list_of_checksums_is_read_once_for_all_specimens(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [museum.drop(guid) for guid in ("g", "h")]
    lines = [f"{sha256(image)}  {image.name}\n" for image in images]
    (museum.folder / "SHA256SUMS").write_text("".join(lines))
    await museum.register()
    real, read = sidecars.parse_sidecar, []

    def counted(content: bytes, file: str) -> sidecars.SidecarContent:
        read.append(file)
        return real(content, file)

    monkeypatch.setattr(sidecars, "parse_sidecar", counted)
    for guid in ("g", "h"):
        await museum.ingest(guid)
        assert await museum.is_in(guid)
    assert read == ["SHA256SUMS"]
