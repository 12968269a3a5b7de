"""Files into the share, out of the share, out of ERDA."""

import zlib
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.demo.ars.stand_in import Archive

PLACE = "NHMD/Vascular plants"


def refused(answer: Any) -> str:
    assert answer.status_code == 400
    return str(answer.json()["errorMessage"])


def test_an_upload_lands_on_disk_and_in_the_list_of_files(archive: Archive) -> None:
    guid, data = archive.create(), b"\x00leaf" * 700_000
    answer = archive.upload(
        guid, "sub/leaf.tif", data, mb=4, headers={"Content-Type": "image/tiff"}
    )
    crc = zlib.crc32(data)
    assert answer.status_code == 200
    assert answer.json() == {"expected_crc": crc, "actual_crc": crc, "responseCode": 200}
    assert (archive.share_folder(guid) / "sub/leaf.tif").read_bytes() == data
    [row] = archive.file_info(guid)
    assert row.pop("fileId") > 0
    assert row == {
        "assetGuid": guid,
        "path": f"/{PLACE}/{guid}/sub/leaf.tif",
        "sizeBytes": len(data),
        "crc": crc,
        "deleteAfterSync": False,
        "syncStatus": "NEW_FILE",
        "mime_type": "image/tiff",
        "has_thumbnail": False,
        "workDirFilePath": None,
    }


def test_a_checksum_mismatch_is_507_and_keeps_the_old_file(archive: Archive) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"old")
    answer = archive.upload(guid, "leaf.tif", b"new", crc=5)
    assert answer.status_code == 507
    actual = zlib.crc32(b"new")
    assert answer.json() == {"expected_crc": 5, "actual_crc": actual, "responseCode": 507}
    assert (archive.share_folder(guid) / "leaf.tif").read_bytes() == b"old"
    assert [row["crc"] for row in archive.file_info(guid)] == [zlib.crc32(b"old")]
    assert list((archive.config.share_dir / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("a.tif", {"mb": 0, "crc": 0}, "file_size_mb cannot be 0"),
        ("a.tif", {"crc": 0}, "crc cannot be 0"),
        ("parents/x/a.tif", {}, "File path cannot start with 'parent'"),
        ("Parental.tif", {}, "File path cannot start with 'parent'"),
        ("a.tif", {"place": "NHMD/Entomology"}, "Share directory doesnt exist"),
        ("a.tif", {"mb": 11}, "Total size of asset files exceeds allocated disk space"),
    ],
)
def test_an_upload_is_refused_in_the_archives_words(
    archive: Archive, name: str, more: dict[str, Any], message: str
) -> None:
    guid = archive.create(mb=10)
    assert refused(archive.upload(guid, name, b"data", **more)) == message
    assert archive.file_info(guid) == []


def test_an_upload_needs_an_open_share_and_a_name(archive: Archive) -> None:
    guid = archive.archived()
    message = "There is no writeable directory for this asset"
    assert refused(archive.upload(guid, "a.tif", b"data")) == message
    assert archive.upload(guid, "", b"data").status_code == 405


def test_space_is_judged_by_the_declared_size_and_equal_fits(archive: Archive) -> None:
    guid = archive.create(mb=1)
    assert archive.upload(guid, "a.tif", b"tiny", mb=2).status_code == 400
    data = b"x" * 1_000_000
    assert archive.upload(guid, "a.tif", data, mb=1).status_code == 200
    # Overwriting counts the old bytes and the new.
    assert archive.upload(guid, "a.tif", data, mb=1).status_code == 400


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "..", "a//b", ".\\..\\evil"])
def test_no_path_leads_out_of_the_assets_folder(archive: Archive, name: str) -> None:
    guid = archive.create()
    hidden = quote(name, safe="").replace(".", "%2E")
    for method in ("PUT", "GET"):
        path = f"/assetfiles/{quote(PLACE)}/{guid}/{hidden}?crc=1&file_size_mb=1"
        assert archive.proxy(method, path, content=b"x" if method == "PUT" else None).is_error
    assert archive.proxy("GET", f"/files/assets/{quote(PLACE)}/{guid}/{hidden}").is_error
    assert archive.proxy("GET", f"/assetfiles/%2E%2E/%2E%2E/{guid}/").is_error
    assert not list(archive.config.share_dir.parent.rglob("evil"))


def test_the_shares_list_holds_addresses_that_work(archive: Archive) -> None:
    guid = archive.create()
    path = f"/assetfiles/{PLACE}/{guid}/"
    assert archive.proxy("GET", path).json() == []
    archive.upload(guid, "leaf 1.tif", b"one")
    [address] = archive.proxy("GET", path).json()
    assert address.startswith(f"{archive.config.base_url}/file_proxy/api/assetfiles/NHMD/")
    assert archive.call("GET", address).content == b"one"
    assert archive.proxy("GET", f"{path}nothing.tif").status_code == 404


def test_file_info_of_an_unknown_asset_is_an_empty_list(archive: Archive) -> None:
    assert archive.file_info("nobody") == []


def test_a_deleted_file_leaves_erda_at_the_next_synchronisation(archive: Archive) -> None:
    guid = archive.archived(b"leaf")
    path = f"/assetfiles/{PLACE}/{guid}/leaf.tif"
    answer = archive.proxy("DELETE", path, by="administrator")
    assert refused(answer) == "No writable directory was found for asset"
    archive.open_share(guid)
    assert archive.proxy("DELETE", f"{path}x", by="administrator").status_code == 404
    assert archive.proxy("DELETE", path, by="administrator").status_code == 204
    assert not (archive.share_folder(guid) / "leaf.tif").exists()
    assert (archive.erda_folder(guid) / "leaf.tif").exists()
    assert [row["deleteAfterSync"] for row in archive.file_info(guid)] == [True]
    archive.synchronise(guid)
    archive.tick()
    assert not (archive.erda_folder(guid) / "leaf.tif").exists()
    assert archive.file_info(guid) == []
    last = archive.events(guid)[-1]
    assert (last["event"], last["change_list"]) == ("UPDATE_ASSET", ["FILE_DELETED"])


def test_all_files_can_be_deleted_at_once(archive: Archive) -> None:
    guid = archive.create()
    archive.upload(guid, "a.tif", b"a")
    archive.upload(guid, "b/c.tif", b"c")
    path = f"/assetfiles/{PLACE}/{guid}/"
    assert archive.proxy("DELETE", path, by="administrator").status_code == 204
    assert archive.proxy("GET", path).json() == []


def test_erda_serves_whole_files_and_ranges(archive: Archive) -> None:
    data = bytes(range(256)) * 1000
    guid = archive.archived(data)
    path = f"/files/assets/{PLACE}/{guid}/leaf.tif"
    assert archive.proxy("GET", path).content == data
    part = archive.proxy("GET", path, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(data)}"
    assert archive.proxy("GET", f"{path}x").status_code == 404
    assert archive.proxy("GET", f"/assetfiles/listfiles/{guid}").json() == ["leaf.tif"]


def test_strangers_see_public_assets_only(archive: Archive) -> None:
    hidden, public = archive.archived(), archive.archived(make_public=True)
    assert (
        archive.proxy("GET", f"/files/assets/{PLACE}/{hidden}/leaf.tif", by=None).status_code == 307
    )
    seen = archive.proxy("GET", f"/files/assets/{PLACE}/{public}/leaf.tif", by=None)
    assert seen.content == b"one leaf"


def test_a_file_with_a_newer_version_in_the_share_is_being_edited(archive: Archive) -> None:
    guid = archive.archived()
    archive.open_share(guid)
    path = f"/files/assets/{PLACE}/{guid}/leaf.tif"
    assert archive.proxy("GET", path).content == b"one leaf"
    archive.upload(guid, "leaf.tif", b"another")
    assert refused(archive.proxy("GET", path)) == "File is being edited"
