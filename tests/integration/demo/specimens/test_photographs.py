import json
import os
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from demo.specimens.photographs import PhotographError, capture_time, write_photograph_session
from schemas.guid import Guid
from schemas.metadata.names import FIELDS

ZONE = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 21, 10, 15, 0, tzinfo=ZONE)


def photograph(path: Path, form: str, taken: str | None = None, offset: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    details = {ExifTags.Base.DateTimeOriginal: taken, ExifTags.Base.OffsetTimeOriginal: offset}
    exif.get_ifd(ExifTags.IFD.Exif).update({tag: said for tag, said in details.items() if said})
    Image.new("RGB", (60, 90), (200, 190, 170)).save(path, form, exif=exif.tobytes())
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return tmp_path / "album"


def test_photographs_of_any_name_are_copied_with_their_documents(
    tmp_path: Path, album: Path
) -> None:
    names = {
        "Bøg på Ærø (1).JPG": "JPEG",
        "nested/deeper/ark 2.TIFF": "TIFF",
        "nested/植物.jpeg": "JPEG",
        "nested/odd..name.tif": "TIFF",
    }
    sources = [
        photograph(album / name, form, "2024:07:23 20:29:50") for name, form in names.items()
    ]
    before = {source: source.read_bytes() for source in sources}
    session = write_photograph_session(tmp_path / "ndrive", album, now=NOW, chance=random.Random(1))
    assert session.path == tmp_path / "ndrive" / "WORKHERB0001" / "2026-11-21_10-15-00"
    assert sorted(session.taken.values()) == sorted(sources) and not session.left_out
    assert len(list(session.path.iterdir())) == 8
    for guid, source in session.taken.items():
        suffix = ".tif" if source.suffix.lower().startswith(".tif") else ".jpg"
        document = json.loads((session.path / f"{guid}.json").read_text(encoding="utf-8"))
        assert (session.path / f"{guid}{suffix}").read_bytes() == before[source]
        assert document["tags"] == {"originalFileName": source.name}
        assert document["file_format"] == ("tif" if suffix == ".tif" else "jpeg")
        assert document["date_asset_taken"] == "2024-07-23T20:29:50+01:00"
        assert set(document) <= FIELDS
        assert Guid.parse(guid).captured == datetime(2024, 7, 23, 20, 29, 50)  # noqa: DTZ001
    assert {source: source.read_bytes() for source in sources} == before


def test_without_a_camera_time_the_files_own_time_is_taken(tmp_path: Path, album: Path) -> None:
    source = photograph(album / "a.jpg", "JPEG")
    os.utime(source, (1_700_000_000, 1_700_000_000))
    session = write_photograph_session(tmp_path / "ndrive", album, now=NOW)
    (guid,) = session.taken
    document = json.loads((session.path / f"{guid}.json").read_text(encoding="utf-8"))
    assert datetime.fromisoformat(document["date_asset_taken"]).timestamp() == 1_700_000_000


def test_the_cameras_zone_wins_over_the_sessions(album: Path) -> None:
    source = photograph(album / "a.jpg", "JPEG", "2024:07:23 20:29:50", "+09:00")
    with Image.open(source) as image:
        taken = capture_time(image.getexif(), ZONE)
    assert taken is not None and taken.isoformat() == "2024-07-23T20:29:50+09:00"


@pytest.mark.parametrize("said", ["", "0000:00:00 00:00:00", "yesterday", "    :  :     :  :  "])
def test_an_illegible_camera_time_is_no_time(said: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = said
    assert capture_time(exif, ZONE) is None


def test_what_is_left_out_is_named_with_its_reason(tmp_path: Path, album: Path) -> None:
    good = photograph(album / "good.jpg", "JPEG")
    (album / "notes.txt").write_text("remember")
    (album / "empty.jpg").touch()
    (album / "text.jpg").write_text("not an image")
    photograph(album / "drawing.tif", "PNG")
    photograph(album / ".hidden.jpg", "JPEG")
    (album / "link.jpg").symlink_to(good)
    session = write_photograph_session(tmp_path / "ndrive", album, now=NOW)
    assert list(session.taken.values()) == [good]
    assert {out.source.name: out.reason for out in session.left_out} == {
        "notes.txt": "it is neither JPEG nor TIFF by its name",
        "empty.jpg": "it is empty",
        "text.jpg": "its content is not an image",
        "drawing.tif": "its content is neither JPEG nor TIFF",
        ".hidden.jpg": "it is hidden",
        "link.jpg": "it is a link or not a plain file",
    }


def test_the_suffix_follows_the_content_not_the_name(tmp_path: Path, album: Path) -> None:
    photograph(album / "wrong.jpg", "TIFF")
    session = write_photograph_session(tmp_path / "ndrive", album, now=NOW)
    assert {path.suffix for path in session.path.iterdir()} == {".tif", ".json"}


def test_equal_times_and_draws_still_give_different_guids(tmp_path: Path, album: Path) -> None:
    class Stuck(random.Random):
        drawn = iter((5, 5, 5, 6))

        def randint(self, a: int, b: int) -> int:
            return next(self.drawn)

    for name in ("a.jpg", "b.jpg"):
        photograph(album / name, "JPEG", "2024:07:23 20:29:50")
    session = write_photograph_session(tmp_path / "ndrive", album, now=NOW, chance=Stuck())
    assert [Guid.parse(guid).random for guid in session.taken] == [5, 6]


def test_an_empty_folder_is_refused_before_anything_is_made(tmp_path: Path, album: Path) -> None:
    album.mkdir()
    with pytest.raises(PhotographError, match=r"album is empty\. Put JPEG or TIFF files in it"):
        write_photograph_session(tmp_path / "ndrive", album, now=NOW)
    (album / "notes.txt").write_text("remember")
    with pytest.raises(PhotographError, match=r"no photograph .*notes\.txt: it is neither"):
        write_photograph_session(tmp_path / "ndrive", album, now=NOW)
    with pytest.raises(PhotographError, match="is not a folder"):
        write_photograph_session(tmp_path / "ndrive", tmp_path / "nowhere", now=NOW)
    assert not (tmp_path / "ndrive").exists()
