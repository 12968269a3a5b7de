"""Faults on demand: what the client sees, and what was done all the same."""

import threading
import time
import zlib

import httpx
import pytest

from tests.integration.demo.ars.stand_in import Archive, asset

CREATE = "/assetmetadata?allocation_mb=1"


def requests_for(archive: Archive, guid: str, method: str = "POST") -> list[dict[str, object]]:
    params = {"guid": guid, "method": method}
    return list(archive.sim("GET", "/requests", params=params).json())


def test_an_error_without_effect(archive: Archive) -> None:
    body = asset()
    archive.fault("status", status=503, match={"method": "POST", "guid": body["asset_guid"]})
    assert archive.ars("POST", CREATE, json=body).status_code == 503
    assert archive.ars("GET", f"/assets/status/{body['asset_guid']}").status_code == 404
    assert archive.ars("POST", CREATE, json=body).status_code == 200


def test_a_504_although_the_work_was_done_and_the_log_that_tells(archive: Archive) -> None:
    body = asset()
    guid = body["asset_guid"]
    archive.fault("effect_then_status", match={"method": "POST", "guid": guid})
    assert archive.ars("POST", CREATE, json=body).status_code == 504
    assert archive.status(guid) == ("METADATA_RECEIVED", 1)
    [seen] = requests_for(archive, guid)
    assert (seen["path"], seen["query"]) == ("/ars/api/v1/assetmetadata", "allocation_mb=1")
    assert (seen["status"], seen["effect_status"]) == (504, 200)
    assert seen["fault"] == "effect_then_status"


def test_a_reset_although_the_work_was_done(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("effect_then_reset", match={"path_regex": "synchronize", "guid": guid})
    with pytest.raises(httpx.TransportError):
        archive.synchronise(guid)
    assert archive.status(guid)[0] == "ASSET_RECEIVED"
    [seen] = [r for r in requests_for(archive, guid) if "synchronize" in str(r["path"])]
    assert (seen["status"], seen["effect_status"]) == (None, 204)
    archive.tick()


def test_a_reset_before_any_work(archive: Archive) -> None:
    body = asset()
    archive.fault("reset", match={"guid": body["asset_guid"]})
    with pytest.raises(httpx.TransportError):
        archive.ars("POST", CREATE, json=body)
    assert archive.ars("GET", f"/assets/status/{body['asset_guid']}").status_code == 404


def test_latency_beyond_the_clients_patience(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("latency", seconds=0.5, match={"guid": guid})
    with pytest.raises(httpx.ReadTimeout):
        archive.ars("GET", f"/assets/status/{guid}", timeout=0.1)


def test_a_token_refused_in_the_middle_of_a_run(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("unauthorised", match={"guid": guid})
    answer = archive.upload(guid, "leaf.tif", b"leaf")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert archive.upload(guid, "leaf.tif", b"leaf").status_code == 200


def test_keycloak_can_be_down(archive: Archive) -> None:
    archive.token("developer")
    archive.fault("status", status=503, match={"path_regex": "^/keycloak"}, count=None)
    path = "/keycloak/realms/dassco/protocol/openid-connect/token"
    for _ in range(3):
        assert archive.http.post(path, data={"grant_type": "x"}).status_code == 503


def test_an_upload_corrupted_on_its_way_is_507(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("corrupt_upload", match={"guid": guid})
    answer = archive.upload(guid, "leaf.tif", b"leaf")
    assert answer.status_code == 507
    assert answer.json()["actual_crc"] != zlib.crc32(b"leaf")
    assert archive.file_info(guid) == []


def test_an_upload_cut_off_leaves_nothing_behind(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("cut_upload", bytes=100_000, match={"guid": guid, "method": "PUT"})
    with pytest.raises(httpx.TransportError):
        archive.upload(guid, "leaf.tif", b"x" * 3_000_000, mb=3)
    assert archive.file_info(guid) == []
    assert not (archive.share_folder(guid) / "leaf.tif").exists()
    incoming = archive.config.share_dir / "incoming"
    deadline = time.monotonic() + 60
    while list(incoming.iterdir()):
        assert time.monotonic() < deadline
    assert archive.upload(guid, "leaf.tif", b"leaf").status_code == 200


def test_a_share_that_fails_to_open_keeps_its_guid_locked(archive: Archive) -> None:
    guid = archive.archived()
    archive.fault("open_share_fails", match={"guid": guid})
    answer = archive.open_share(guid)
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "INTERNAL_ERROR")
    message = f"A share with guid {guid} is already in the process of creation"
    assert archive.open_share(guid).json()["errorMessage"] == message
    archive.sim("POST", "/locks/forget")
    assert archive.open_share(guid).json()["http_allocation_status"] == "SUCCESS"


def test_the_gap_between_success_and_the_shares_end_can_be_seen(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("slow_gap", seconds=2.0, match={"guid": guid})
    archive.synchronise(guid)
    run = threading.Thread(target=archive.tick)
    run.start()
    deadline = time.monotonic() + 60
    seen = archive.status(guid)
    while seen[0] != "ERDA_SYNCHRONISED":
        assert time.monotonic() < deadline
        seen = archive.status(guid)
    assert seen == ("ERDA_SYNCHRONISED", 10)
    run.join(60)
    assert archive.status(guid) == ("ERDA_SYNCHRONISED", None)


def test_a_rule_skips_strikes_and_ends(archive: Archive) -> None:
    guid = archive.create()
    archive.fault("status", status=500, after=1, count=2, match={"guid": guid})
    path = f"/assets/status/{guid}"
    codes = [archive.ars("GET", path).status_code for _ in range(5)]
    assert codes == [200, 500, 500, 200, 200]


def test_a_rule_that_makes_no_sense_is_refused(archive: Archive) -> None:
    for rule in ({"action": "explode"}, {"action": "reset", "match": {"path_regex": "("}}):
        assert archive.http.post("/__sim/faults", json=rule).status_code == 422


def test_the_log_counts_one_creation_per_guid(archive: Archive) -> None:
    guid = archive.create()
    archive.ars("GET", f"/assets/status/{guid}")
    archive.upload(guid, "leaf.tif", b"leaf")
    params = {"guid": guid, "method": "POST", "path_regex": "assetmetadata$"}
    assert len(archive.sim("GET", "/requests", params=params).json()) == 1
    assert [seen["status"] for seen in requests_for(archive, guid, "PUT")] == [200]
