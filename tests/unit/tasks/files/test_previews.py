"""Pictures are made small from whatever copy there is, kept, and outlive it."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from tasks.files import previews as module
from tasks.files import shrinking
from tasks.files.previews import NoPicture, PictureSize, Previews, keep_picture
from track.reports.picture import PictureSource

GUID = "7e8 Ærø 'ø' 100%"


@pytest.fixture
def kept(tmp_path: Path) -> Previews:
    for name in ("store", "drive"):
        (tmp_path / name).mkdir()
    return Previews(tmp_path / "previews", tmp_path / "store", tmp_path / "drive", patience_s=30)


def source(kept: Previews, name: str = f"{GUID}.tif", **more: object) -> PictureSource:
    folder = kept.store / GUID
    folder.mkdir(exist_ok=True)
    fields = {"names": (name,), "version": "abc", "store": str(folder)} | more
    return PictureSource(GUID, GUID, **fields)  # type: ignore[arg-type]


def put(kept: Previews, image: Image.Image, name: str = f"{GUID}.tif", **options: object) -> Path:
    path = kept.store / GUID / name
    path.parent.mkdir(exist_ok=True)
    image.save(path, **options)  # type: ignore[arg-type]
    return path


BY = pytest.mark.parametrize("vips", [True, False], ids=["libvips", "Pillow"])


def use(vips: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not vips:
        monkeypatch.setattr(shrinking.importlib.util, "find_spec", lambda _: None)


@BY
async def test_a_picture_of_any_kind_becomes_a_small_upright_jpeg(
    kept: Previews, monkeypatch: pytest.MonkeyPatch, vips: bool
) -> None:
    use(vips, monkeypatch)
    exif = Image.Exif()
    exif[0x0112] = 6  # it is to be turned clockwise
    red = Image.new("RGB", (2400, 1200), (200, 10, 10))
    kinds: dict[str, tuple[Image.Image, dict[str, object], tuple[int, int]]] = {
        "rgb.tif": (red, {}, (1600, 800)),
        "cmyk.tif": (red.convert("CMYK"), {}, (1600, 800)),
        "lzw.tif": (red, {"compression": "tiff_lzw"}, (1600, 800)),
        "deep.tif": (Image.new("I;16", (2400, 1200), 30000), {}, (1600, 800)),
        "turned.jpg": (red, {"exif": exif}, (800, 1600)),
        "alpha.png": (Image.new("RGBA", (100, 50), (0, 0, 0, 0)), {}, (100, 50)),
        "a.webp": (red, {}, (1600, 800)),
    }
    for name, (image, options, size) in kinds.items():
        put(kept, image, name, **options)
        given = source(kept, name, version=name)
        with Image.open(await kept.picture(given, PictureSize.PREVIEW)) as made:
            assert (made.format, made.mode, made.size) == ("JPEG", "RGB", size), name
            middle = made.getpixel((made.width // 2, made.height // 2))
            if image is red and name != "a.webp":
                assert middle[0] > 150 and max(middle[1:]) < 60, (name, middle)
            if name == "alpha.png":
                assert min(middle) > 240
            if name == "deep.tif":
                assert all(abs(each - 117) < 25 for each in middle), middle
        with Image.open(await kept.picture(given, PictureSize.THUMBNAIL)) as made:
            assert max(made.size) == min(320, max(size))


@BY
async def test_what_is_cut_short_says_so_and_leaves_nothing(
    kept: Previews, monkeypatch: pytest.MonkeyPatch, vips: bool
) -> None:
    use(vips, monkeypatch)
    path = put(kept, Image.effect_noise((900, 900), 90))
    path.write_bytes(path.read_bytes()[:300_000])
    with pytest.raises(NoPicture, match=r"tif"):
        await kept.picture(source(kept), PictureSize.PREVIEW)
    assert [each for each in kept.folder.rglob("*") if each.is_file()] == []


async def test_it_is_kept_when_the_original_is_gone(kept: Previews) -> None:
    original = put(kept, Image.new("RGB", (50, 50)))
    made = await kept.picture(source(kept), PictureSize.PREVIEW)
    original.unlink()
    assert await kept.picture(source(kept), PictureSize.PREVIEW) == made


async def test_the_drive_serves_where_the_store_does_not(kept: Previews) -> None:
    put(kept, Image.new("RGB", (50, 50))).write_bytes(b"no image")
    session = kept.drive / "W 1" / "Å"
    session.mkdir(parents=True)
    Image.new("RGB", (60, 40)).save(session / f"{GUID}.tif")
    given = source(kept, drive=str(session))
    with Image.open(await kept.picture(given, PictureSize.PREVIEW)) as made:
        assert made.size == (60, 40)


async def test_another_content_makes_another_picture_and_the_old_one_goes(kept: Previews) -> None:
    put(kept, Image.new("RGB", (50, 50)))
    old = await kept.picture(source(kept), PictureSize.PREVIEW)
    put(kept, Image.new("RGB", (70, 50)))
    new = await kept.picture(source(kept, version="def"), PictureSize.PREVIEW)
    assert new != old and not old.exists()


async def test_before_it_is_taken_in_a_newer_file_is_looked_at_anew(kept: Previews) -> None:
    session = kept.drive / "W" / "s"
    session.mkdir(parents=True)
    given = PictureSource(GUID, GUID, drive=str(session))
    Image.new("RGB", (50, 50)).save(session / f"{GUID}.TIF", "TIFF")
    path = await kept.picture(given, PictureSize.PREVIEW)
    begun = time.time()
    Image.new("RGB", (70, 50)).save(session / f"{GUID}.TIF", "TIFF")
    os.utime(session / f"{GUID}.TIF", (begun + 5, begun + 5))
    with Image.open(await kept.picture(given, PictureSize.PREVIEW)) as made:
        assert made.size == (70, 50)
    assert path.exists()


async def test_nothing_outside_its_roots_is_read(kept: Previews, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.new("RGB", (50, 50)).save(secret / "a.tif")
    (kept.store / "link").symlink_to(secret)
    for given in (
        source(kept, "../../secret/a.tif"),
        source(kept, "a.tif", store=str(secret)),
        source(kept, "a.tif", store=str(kept.store / "link")),
        source(kept, "a.tif", store=str(kept.store / ".." / "secret")),
        PictureSource("g", "../secret/a", drive=str(kept.drive)),
    ):
        with pytest.raises(NoPicture, match="can be reached"):
            await kept.picture(given, PictureSize.PREVIEW)


async def test_many_who_ask_at_once_have_it_made_once(
    kept: Previews, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(kept, Image.new("RGB", (50, 50)))
    made = []
    real = module.shrink
    monkeypatch.setattr(module, "shrink", lambda *given: (made.append(given), real(*given)))
    given = source(kept)
    paths = await asyncio.gather(*(kept.picture(given, PictureSize.THUMBNAIL) for _ in range(20)))
    assert len(set(paths)) == 1 and len(made) == 1


async def test_who_waits_too_long_is_told_and_finds_it_later(
    kept: Previews, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(kept, Image.new("RGB", (50, 50)))
    go, real = threading.Event(), module.shrink
    monkeypatch.setattr(module, "shrink", lambda *given: (go.wait(20), real(*given)))
    kept.patience_s = 0.05
    assert "being made" in await keep_picture(kept, source(kept))
    go.set()
    kept.patience_s = 20
    assert await keep_picture(kept, source(kept)) == ""


async def test_a_folder_that_cannot_be_written_is_said_and_raises_nothing(kept: Previews) -> None:
    put(kept, Image.new("RGB", (50, 50)))
    kept.folder.write_text("a file where the folder should be")
    assert "cannot be" in await keep_picture(kept, source(kept))
