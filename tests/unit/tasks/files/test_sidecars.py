"""Files of checksums: which they are, what they say, and of which file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.errors import ChecksumMismatch
from tasks.files.checksums import Sum, differing_content, lines_in
from tasks.files.copies import copy_verified
from tasks.files.mounts import Pulse
from tasks.files.ndrive import list_session
from tasks.files.sidecars import (
    MAX_LIST_BYTES,
    Sidecars,
    is_sidecar,
    lacking,
    lists_in,
    parse_sidecar,
)
from tasks.files.threads import Stop

MD5 = hashlib.md5(b"x").hexdigest()
SHA256 = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    "name",
    ["x.tif.md5", "x.MD5", "x.tif.sha256", "x.sha1", "x.sha512", "md5sum.txt", "md5sums.txt",
     "MD5SUMS", "SHA256SUMS", "SHA256SUMS.txt", "checksums.sha256", "checksum.md5", "sha1sum.txt",
     "manifest-md5.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"],
)  # fmt: skip
def test_a_file_of_checksums_is_known_by_its_name(name: str) -> None:
    assert is_sidecar(name)


@pytest.mark.parametrize("name", ["x.tif", "x.json", "README.txt", "md5.tif", "checksums.json"])
def test_another_file_is_none(name: str) -> None:
    assert not is_sidecar(name)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"{MD5}  é.tif", "é.tif"),
        (f"{MD5} *e\u0301.tif", "é.tif"),
        (f"{MD5.upper()}\t./é.tif", "é.tif"),
        (f"{MD5}  .\\é.tif", "é.tif"),
        (f"MD5 (é.tif) = {MD5}", "é.tif"),
        (f"MD5(é.tif)= {MD5}", "é.tif"),
        (f"{MD5}  a name (2).tif", "a name (2).tif"),
        (MD5, ""),
        (f"{MD5}  data/é.tif", None),
        (f"{MD5}  C:\\scans\\é.tif", None),
    ],
)
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_of_all_tools_are_read(line: str, name: str | None, code: str) -> None:
    content = f"; made by a tool\r\n{line}\r\nnonsense\r\n".encode(code)
    [found] = lines_in(content, "f")
    assert (found.name, found.sum) == (name, Sum("md5", MD5, "f"))


def test_the_algorithm_is_told_by_the_length_and_old_windows_letters_are_read() -> None:
    lines = [f"{hashlib.new(name, b'x').hexdigest()}  æ.tif" for name in ("sha1", "sha512")]
    found = lines_in("\n".join(lines).encode("cp1252"), "f")
    assert [(each.name, each.sum.algorithm) for each in found] == [
        ("æ.tif", "sha1"),
        ("æ.tif", "sha512"),
    ]
    assert lines_in(b"0" * 33 + b"\n" + bytes(4096), "f") == []


def sums_in(folder: Path, base: str, files: Mapping[str, str]) -> dict[str, tuple[Sum, ...]]:
    """The sums of a specimen's files when these files of checksums lie beside them."""
    for name, text in files.items():
        (folder / name).write_text(text)
    listing = list_session(folder)
    return Sidecars().of(Pulse(), listing.items[base], lists_in(listing))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.json", "a.tif", "b.json", "b.tif"):
        (tmp_path / name).write_text("x")
    return tmp_path


def test_each_sum_is_its_files(folder: Path) -> None:
    files = {
        "a.tif.md5": MD5,
        "a.json.md5": f"{MD5}  before-it-was-renamed.json",
        "SHA256SUMS": f"{SHA256}  A.TIF\n{SHA256}  b.tif\n",
    }
    assert sums_in(folder, "a", files) == {
        "a.tif": (Sum("md5", MD5, "a.tif.md5"), Sum("sha256", SHA256, "SHA256SUMS")),
        "a.json": (Sum("md5", MD5, "a.json.md5"),),
    }
    assert sums_in(folder, "b", {}) == {"b.tif": (Sum("sha256", SHA256, "SHA256SUMS"),)}


def test_a_sum_alone_is_that_of_the_only_image(folder: Path) -> None:
    assert sums_in(folder, "a", {"a.md5": MD5}) == {"a.tif": (Sum("md5", MD5, "a.md5"),)}
    (folder / "a.jpg").write_text("x")
    assert sums_in(folder, "a", {}) == {}


def test_a_name_in_a_list_that_is_not_there_is_lacking(folder: Path) -> None:
    lines = [f"{MD5}  {name}" for name in ("a.tif", "c.tif", "Thumbs.db", "deep/d.tif")]
    said = [
        parse_sidecar("\n".join(lines).encode(), "MD5SUMS"),
        parse_sidecar(f"{MD5}  old.tif".encode(), "a.tif.md5"),
        parse_sidecar(f"{MD5}  old.tif".encode(), "a.md5"),
        parse_sidecar(f"{MD5}  d.tif".encode(), "SHA256SUMS"),
    ]
    (folder / "SHA256SUMS").touch()
    assert lacking(list_session(folder), said) == {"c.tif": "MD5SUMS", "d.tif": "SHA256SUMS"}


def test_a_list_that_is_far_too_large_says_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (folder / "MD5SUMS").open("w") as file:
        file.write(f"{MD5}  a.tif\n")
        file.truncate(MAX_LIST_BYTES + 1)
    sidecars, listing = Sidecars(), list_session(folder)
    for base in ("a", "b"):
        assert sidecars.of(Pulse(), listing.items[base], lists_in(listing)) == {}
    assert caplog.text.count("MD5SUMS is left alone") == 1


def test_a_copy_that_differs_from_its_sum_gets_no_name(folder: Path, tmp_path: Path) -> None:
    source, wrong = folder / "a.tif", Sum("sha256", "0" * 64, "a.tif.sha256")
    right = [Sum(name, hashlib.new(name, b"x").hexdigest(), "s") for name in ("md5", "sha512")]
    for sums in ([wrong], [*right, wrong]):
        with pytest.raises(ChecksumMismatch, match=f"its SHA-256 is {SHA256}, a.tif.sha256 says 0"):
            copy_verified(Stop(), source, tmp_path / "store" / "a.tif", sums)
        assert list((tmp_path / "store").iterdir()) == []
    assert copy_verified(Stop(), source, tmp_path / "store" / "a.tif", right).size_bytes == 1
    assert differing_content(right, b"x") is None
    assert differing_content([wrong], b"x") is not None
