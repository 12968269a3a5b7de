"""Session folders as they are found: pairs, strangers, tricks, and what is left behind."""

import json
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.quarantine import QuarantineEntry
from tasks.errors import DeviceFault, FileError, SourceVanished
from tasks.files import pairing
from tasks.files.names import LEFT_ALONE
from tasks.files.ndrive import (
    OutsideDrive,
    close_folder,
    inside,
    is_session_name,
    list_session,
    listing_hash,
    look_into,
    write_quarantine_note,
)
from tasks.files.pairing import Entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "WORKHERB0001" / "2026-11-21 æøå"
    path.mkdir(parents=True)
    return path


def drop(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2026-11-21T10:00", True),
        ("Besøg æøå 1", True),
        ("imported_2026", False),
        ("error_2026", False),
        ("new_2026", False),
        ("IMPORTED_2026", False),
        (".hidden", False),
        ("$RECYCLE.BIN", False),
        ("#recycle", False),
        ("@eaDir", False),
        ("#12", True),
        ("newly made", True),
        ("", False),
        ("two\nlines", False),
        ("bytes \udcff", False),
    ],
)
def test_which_names_are_sessions(name: str, expected: bool) -> None:
    assert is_session_name(name) is expected


def test_files_pair_by_base_name_whatever_the_case_of_their_endings(folder: Path) -> None:
    drop(folder, "a.json", "a.TIF", "a.RAF", "b.JSON", "b.jpeg", "c d.json", "c d.Tiff")
    listing = list_session(folder)
    assert list(listing.items) == ["a", "b", "c d"]
    first = listing.items["a"]
    assert first.json and first.json.name == "a.json"
    assert first.image and first.image.name == "a.TIF"
    assert [extra.name for extra in first.extras] == ["a.RAF"]
    assert listing.unpaired == ()
    assert all(entry.path.is_file() for entry in listing.files)


def test_composed_and_decomposed_unicode_are_one_name(folder: Path) -> None:
    name = "specimen é"
    drop(folder, unicodedata.normalize("NFC", name) + ".json")
    drop(folder, unicodedata.normalize("NFD", name) + ".tif")
    listing = list_session(folder)
    assert list(listing.items) == [name]
    assert listing.items[name].is_complete


def test_what_lacks_its_partner_is_unpaired(folder: Path) -> None:
    drop(folder, "a.json", "b.tif", "c.raf", "d.json", "d.tif")
    assert list_session(folder).unpaired == ("a", "b", "c")


def test_of_several_images_the_tiff_is_usual_and_the_metadata_may_choose(folder: Path) -> None:
    drop(folder, "a.json", "a.jpg", "a.tif", "a.raf")
    pair = list_session(folder).items["a"]
    chosen = {word: pair.image_of(word) for word in (None, "TIF", "JPEG", "RAF", "png")}
    names = {word: entry and entry.name for word, entry in chosen.items()}
    assert names == {
        None: "a.tif",
        "TIF": "a.tif",
        "JPEG": "a.jpg",
        "RAF": "a.raf",
        "png": None,
    }


def test_sidecars_go_with_the_file_they_continue(folder: Path) -> None:
    drop(folder, "a.json", "a.tif", "a.tif.md5", "a.xmp", "a.b.json", "a.b.tif", "a.b.tif.md5")
    items = list_session(folder).items
    assert [extra.name for extra in items["a"].extras] == ["a.tif.md5", "a.xmp"]
    assert [extra.name for extra in items["a.b"].extras] == ["a.b.tif.md5"]


def test_hidden_files_notes_and_folders_are_left_alone(folder: Path) -> None:
    drop(folder, ".DS_Store", "._a.tif", "Thumbs.db", "desktop.ini", "QUARANTINE.txt", "~$a.json")
    drop(folder, ".smbdeleteAAA1b2c3", "a.json~", ".nfs000000000012", "._a.tif.Ab12Cd")
    (folder / "previews").mkdir()
    drop(folder / "previews", "x.tif")
    listing = list_session(folder)
    assert (listing.items, listing.nested) == ({}, ("previews",))
    assert (listing.unfinished, listing.others) == ((), ())


@pytest.mark.parametrize(
    "name",
    [
        "b.tif.part",
        "b.tmp",
        "b.tif.filepart",
        ".b.tif.Ab12Cd",
        ".syncthing.b.tif.tmp",
        "~syncthing~b.tif.tmp",
        ".b.tif.~1a2b3c",
        "b.tif.ocTransferId1234567890.part",
        "b.tif.1a2b3c4d.partial",
        "b.tif~RF12ab34.TMP",
        "b.json.sb-1a2b3c4d-XyZ123",
        ".goutputstream-X1Y2Z3",
        "b.tif.ffs_tmp",
        "b.tif.crdownload",
    ],
)
def test_uploads_under_a_temporary_name_are_unfinished(folder: Path, name: str) -> None:
    drop(folder, "a.json", "a.tif", name)
    listing = list_session(folder)
    assert [entry.name for entry in listing.unfinished] == [name]
    assert list(listing.items) == ["a"] and listing.others == ()
    (folder / name).write_text("it grew")
    assert list_session(folder) != listing


@pytest.mark.parametrize("held", [".~tmp~", ".rsync-partial", ".tmp.driveupload"])
def test_files_held_in_a_folder_of_the_copying_program_are_unfinished(
    folder: Path, held: str
) -> None:
    drop(folder, "a.json")
    (folder / held).mkdir()
    drop(folder / held, "a.tif")
    listing = list_session(folder)
    assert [entry.path for entry in listing.unfinished] == [folder / held / "a.tif"]
    assert (listing.unpaired, listing.nested) == (("a",), ())
    (folder / held / "a.tif").write_text("it grew")
    assert list_session(folder) != listing


def test_notes_and_lists_are_no_specimens_and_belong_to_nobody(folder: Path) -> None:
    strangers = ["README", "README.txt", "SHA256SUMS", "a_notes.pdf", "import.log", "md5sum.txt"]
    drop(folder, "a.json", "a.tif", "a.tif.md5", *strangers)
    listing = list_session(folder)
    assert list(listing.items) == ["a"]
    assert [entry.name for entry in listing.others] == strangers
    known = listing_hash(listing)
    drop(folder, "later.txt")
    assert listing_hash(list_session(folder)) == known, "a note opens no session"
    assert list_session(folder) != listing, "a folder in which one is written is not still"


def test_an_unknown_camera_raw_goes_with_its_metadata(folder: Path) -> None:
    drop(folder, "a.json", "a.xyz", "b.xyz")
    listing = list_session(folder)
    assert [entry.name for entry in listing.items["a"].extras] == ["a.xyz"]
    assert [entry.name for entry in listing.others] == ["b.xyz"]


def test_metadata_and_image_that_differ_in_case_are_one_specimen(folder: Path) -> None:
    drop(folder, "A1.json", "a1.tif", "a1.tif.md5", "b.json", "b.tif")
    items = list_session(folder).items
    assert list(items) == ["A1", "b"], "the guid is written like the metadata's name"
    assert (
        items["A1"].is_complete and items["A1"].differs_in_case and not items["b"].differs_in_case
    )
    assert [extra.name for extra in items["A1"].extras] == ["a1.tif.md5"]


def test_names_that_differ_in_case_stay_apart_where_another_may_be_meant(folder: Path) -> None:
    drop(folder, "A.json", "a.json", "a.tif", "B.json", "b.tif", "b.TIF")
    listing = list_session(folder)
    assert list(listing.items) == ["A", "B", "a", "b"]
    assert listing.unpaired == ("A", "B", "b")


def test_letters_that_are_two_names_on_windows_too_stay_apart(folder: Path) -> None:
    drop(folder, "straße.json", "strasse.tif", "ﬁ.json", "fi.tif")
    assert list_session(folder).unpaired == ("fi", "strasse", "straße", "ﬁ")


@pytest.mark.parametrize(
    ("word", "names", "expected"),
    [
        ("TIF", ["a.jpg"], []),
        ("tiff", ["a.tif", "a.jpg"], ["a.tif"]),
        ("JPG", ["a.tif", "a.jpeg"], ["a.jpeg"]),
        ("RAW", ["a.tif", "a.raf"], ["a.raf"]),
        ("NEF", ["a.cr2", "a.tif"], []),
        ("XYZ", ["a.xyz", "a.tif"], ["a.xyz"]),
        ("TIF", ["a.tif", "a.tiff"], ["a.tif", "a.tiff"]),
        (None, ["a.jpg", "a.tif"], ["a.tif"]),
        ("", ["a.jpg"], ["a.jpg"]),
        (None, ["a.raf"], []),
    ],
)
def test_only_a_file_in_the_format_that_the_metadata_names_is_the_master(
    folder: Path, word: str | None, names: list[str], expected: list[str]
) -> None:
    drop(folder, "a.json", *names)
    pair = list_session(folder).items["a"]
    assert [entry.name for entry in pair.images_of(word)] == expected
    assert replace(pair, named=word or "").is_complete == bool(expected)


def test_five_thousand_sidecars_are_paired_in_steps_that_grow_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = 0
    real = pairing.normal

    def counted(name: str) -> str:
        nonlocal steps
        steps += 1
        return real(name)

    monkeypatch.setattr(pairing, "normal", counted)
    took = []
    for many in (500, 5000):
        names = [f"g{n:05}{end}" for n in range(many) for end in (".json", ".tif", ".tif.md5")]
        steps = 0
        pairing.pair_up([Entry(Path(name), 1, 1) for name in names])
        took.append(steps)
    assert took[1] == 10 * took[0]


def test_a_link_out_of_the_drive_is_refused_and_one_within_is_followed(
    tmp_path: Path, folder: Path
) -> None:
    drive, outside = tmp_path / "WORKHERB0001", tmp_path / "secret.tif"
    outside.write_text("not yours")
    drop(drive, "shared.tif")
    (folder / "out.tif").symlink_to(outside)
    (folder / "up.tif").symlink_to("../../secret.tif")
    (folder / "within.tif").symlink_to(drive / "shared.tif")
    listing = list_session(folder, drive)
    assert list(listing.items) == ["within"]
    assert set(listing.refused) == {"out.tif", "up.tif"}
    assert "outside" in listing.refused["out.tif"]


def test_broken_and_circular_links_are_refused_and_the_rest_is_listed(folder: Path) -> None:
    drop(folder, "a.json", "a.tif")
    (folder / "broken.tif").symlink_to(folder / "nowhere.tif")
    (folder / "circle.tif").symlink_to(folder / "circle.tif")
    os.mkfifo(folder / "pipe.tif")
    listing = list_session(folder)
    assert list(listing.items) == ["a"]
    assert set(listing.refused) == {"broken.tif", "circle.tif", "pipe.tif"}


def test_a_name_that_is_no_text_is_refused(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.tif"))).write_text("x")
    drop(folder, "a.json", "two\nlines.json")
    listing = list_session(folder)
    assert list(listing.items) == ["a"]
    assert set(listing.refused.values()) == {"its name is no valid text"}


def test_a_folder_that_cannot_be_read_is_a_named_error(folder: Path) -> None:
    with pytest.raises(SourceVanished, match="gone"):
        list_session(folder / "gone")
    drop(folder, "file")
    with pytest.raises(SourceVanished):
        list_session(folder / "file")
    with pytest.raises(DeviceFault):
        list_session(folder / ("x" * 300))


@pytest.mark.parametrize("path", ["..", "a/../..", "../N2/x"])
def test_dots_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutsideDrive, match=r"\.\."):
        inside(tmp_path, Path(path))


def test_what_lies_outside_is_refused_and_what_lies_inside_is_found(tmp_path: Path) -> None:
    root, other = tmp_path / "N", tmp_path / "N2"
    for path in (root / "W" / "s", other):
        path.mkdir(parents=True)
    (root / "link").symlink_to(other)
    assert inside(root, Path("W/s")) == (root / "W" / "s").resolve()
    assert inside(root, root / "W") == (root / "W").resolve()
    for path in (other, Path("/"), Path("link"), root / "link"):
        with pytest.raises(OutsideDrive):
            inside(root, path)
    with pytest.raises(SourceVanished):
        inside(root, Path("W/none"))


def test_the_hash_tells_names_sizes_and_times(folder: Path) -> None:
    drop(folder, "a.json", "a.tif")
    first = listing_hash(list_session(folder))
    assert listing_hash(list_session(folder)) == first
    drop(folder, "b.json")
    second = listing_hash(list_session(folder))
    os.utime(folder / "b.json", (1_000_000_000, 1_000_000_000))
    third = listing_hash(list_session(folder))
    (folder / "b.json").write_text("longer than it was")
    os.utime(folder / "b.json", (1_000_000_000, 1_000_000_000))
    assert len({first, second, third, listing_hash(list_session(folder))}) == 4


def test_our_own_note_and_mark_do_not_change_the_hash(folder: Path) -> None:
    drop(folder, "a.json", "a.tif")
    before = listing_hash(list_session(folder))
    write_quarantine_note(folder, [QuarantineEntry("a.tif", "it is empty", "send it again")])
    (folder / ".complete").write_text("{}")
    assert listing_hash(list_session(folder)) == before


def test_a_rewrite_within_the_same_second_is_another_listing(folder: Path) -> None:
    drop(folder, "a.json")
    os.utime(folder / "a.json", ns=(5, 1_000_000_005))
    before = list_session(folder)
    assert list_session(folder) == before
    os.utime(folder / "a.json", ns=(5, 1_000_000_006))
    assert list_session(folder) != before


def test_a_mark_counts_when_it_is_whole_and_younger_than_every_file(folder: Path) -> None:
    drop(folder, "a.json", "a.tif")
    mark = folder / ".complete"
    assert not list_session(folder).marked
    mark.write_text('{"files": ')
    assert not list_session(folder).marked
    mark.write_text(json.dumps({"files": ["a.json", "a.tif"]}))
    assert list_session(folder).marked
    os.utime(mark, (1_000_000_000, 1_000_000_000))
    assert not list_session(folder).marked


def test_closing_renames_and_closing_again_is_fine(folder: Path) -> None:
    closed = close_folder(folder, "imported_")
    assert closed == folder.with_name("imported_" + folder.name)
    assert closed.is_dir()
    assert close_folder(folder, "imported_") == closed
    assert close_folder(closed, "imported_") == closed


def test_a_taken_name_gets_a_number_and_that_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = close_folder(folder, "error_")
    folder.mkdir()
    drop(folder, "a.json")
    second = close_folder(folder, "error_")
    assert second.name == first.name + " (2)"
    assert "exists already" in caplog.text
    folder.mkdir()
    assert close_folder(folder, "error_").name == first.name + " (3)"


def test_after_a_crash_the_right_namesake_is_found(folder: Path) -> None:
    closed = []
    for names in (["a.json"], ["b.json", "b.tif"], ["c.json"]):
        folder.mkdir(exist_ok=True)
        drop(folder, *names)
        known = listing_hash(list_session(folder))
        closed.append((known, close_folder(folder, "imported_")))
    for known, path in closed:
        assert close_folder(folder, "imported_", known=[known]) == path
    assert close_folder(folder, "imported_") == closed[-1][1]


def test_a_corrected_folder_loses_its_error(folder: Path) -> None:
    failed = close_folder(folder, "error_")
    assert close_folder(failed, "imported_") == folder.with_name("imported_" + folder.name)


def test_closing_what_is_not_there_is_a_named_error(folder: Path) -> None:
    with pytest.raises(SourceVanished, match="imported_gone"):
        close_folder(folder / "gone", "imported_")
    with pytest.raises(ValueError, match="imported_, error_"):
        close_folder(folder, "done_")


def test_the_note_says_what_is_wrong_and_is_written_once(folder: Path) -> None:
    entries = [
        QuarantineEntry("b.json", "field institution is missing", "add it"),
        QuarantineEntry("a.tif", "it is empty (0 bytes)", "export it again"),
    ]
    note = write_quarantine_note(folder, entries)
    assert note == folder / "QUARANTINE.txt"
    text = note.read_text()
    for entry in entries:
        assert entry.file in text and entry.problem in text and entry.remedy in text
    assert text.index("a.tif") < text.index("b.json")
    before = note.stat()
    assert write_quarantine_note(folder, reversed(entries)) == note
    assert (note.stat().st_mtime_ns, note.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [path.name for path in folder.iterdir()] == ["QUARANTINE.txt"]


def test_a_note_with_nothing_to_say_is_taken_away(folder: Path) -> None:
    write_quarantine_note(folder, [QuarantineEntry("a.tif", "broken", "again")])
    assert write_quarantine_note(folder, []) is None
    assert list(folder.iterdir()) == []
    with pytest.raises(FileError, match=r"QUARANTINE\.txt"):
        write_quarantine_note(folder / "gone", [QuarantineEntry("a", "b", "c")])


async def test_looking_in_a_thread_gives_the_same_listing(folder: Path) -> None:
    drop(folder, "a.json", "a.tif")
    assert await look_into(folder) == list_session(folder)


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20
)
ENDINGS = st.sampled_from(["", ".json", ".tif", ".JPG", ".raf", ".part", ".md5"])


@settings(max_examples=60)
@given(st.lists(st.tuples(NAMES, ENDINGS), max_size=8))
def test_every_file_is_listed_once_or_has_a_reason_not_to_be(
    tmp_path_factory: pytest.TempPathFactory, names: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for base, ending in names:
        if base + ending not in (".", "..", ".complete"):
            (folder / (base + ending)).write_text("x")
    listing = list_session(folder)
    listed = [entry.name for entry in (*listing.files, *listing.unfinished, *listing.others)]
    listed += [*listing.nested, *listing.refused]
    assert len(listed) == len(set(listed))
    hidden = {path.name for path in folder.iterdir()} - set(listed)
    assert all(
        name.startswith((".", "~$")) or name.endswith("~") or name.lower() in LEFT_ALONE
        for name in hidden
    )
