"""Paths with a slash at their end, which clients write as often as those without."""

import pytest

from demo.ars.edge import routed
from tests.integration.demo.ars.stand_in import Archive, asset

PLACE = "/assetfiles/NHMD/Vascular plants"


def test_a_path_with_a_slash_at_its_end_is_the_same_resource(archive: Archive) -> None:
    """An answer that sends the client elsewhere would lose the body."""
    body = asset()
    guid = body["asset_guid"]
    created = archive.ars("POST", "/assetmetadata/?allocation_mb=10", json=body)
    assert created.status_code == 200, created.text
    assert archive.ars("GET", f"/assetmetadata/{guid}/").json()["asset_guid"] == guid
    assert archive.ars("GET", f"/assets/status/{guid}/").status_code == 200
    changed = archive.ars("PUT", f"/assetmetadata/{guid}/", json=body | {"payload_type": "image"})
    assert changed.json()["payload_type"] == "image"
    assert archive.upload(guid, "leaf.tif", b"one leaf").status_code == 200
    assert archive.proxy("GET", f"/assets/{guid}/files/").json() == archive.file_info(guid)
    closed = archive.proxy("DELETE", f"/shares/assets/{guid}/deleteShare/")
    assert closed.status_code == 200
    assert archive.open_share(f"{guid}").status_code == 200
    assert archive.http.get("/ars/actuator/health/").status_code == 200


def test_a_folder_of_files_is_listed_with_and_without_a_slash(archive: Archive) -> None:
    guid = archive.create()
    archive.upload(guid, "leaf.tif", b"one leaf")
    listed = archive.proxy("GET", f"{PLACE}/{guid}/")
    assert listed.status_code == 200 and len(listed.json()) == 1
    assert archive.proxy("GET", f"{PLACE}/{guid}").json() == listed.json()
    assert archive.proxy("GET", f"{PLACE}/{guid}/leaf.tif/").content == b"one leaf"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_empty_guid_is_a_method_that_is_not_there(archive: Archive, method: str) -> None:
    more = {"json": asset()} if method == "PUT" else {}
    assert archive.ars(method, "/assetmetadata/", **more).status_code == 405


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", "/"),
        ("/ars/api/v1/assetmetadata/", "/ars/api/v1/assetmetadata"),
        ("/file_proxy/api/assetfiles/listfiles/g/", "/file_proxy/api/assetfiles/listfiles/g"),
        ("/file_proxy/api/assetfiles/i/c/g", "/file_proxy/api/assetfiles/i/c/g/"),
        ("/file_proxy/api/files/assets/i/c/g//", "/file_proxy/api/files/assets/i/c/g/"),
        (
            "/file_proxy/api/files/assets/i/c/g/a/b.tif/",
            "/file_proxy/api/files/assets/i/c/g/a/b.tif",
        ),
    ],
)
def test_every_path_is_brought_into_the_form_its_route_has(path: str, wanted: str) -> None:
    assert routed(path) == wanted
