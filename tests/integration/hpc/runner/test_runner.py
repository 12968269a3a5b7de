"""The zipapp against a real server: grant, work, outcome, and every way that goes wrong."""

import io
import json
import math
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import zxingcpp
from PIL import Image

from hpc.runner.client import AttemptClient
from hpc.runner.deadline import Deadline

GUID, PARENT = "asset-1", "parent-1"


def sheet() -> bytes:
    page = Image.new("RGB", (900, 700), (240, 236, 225))
    code = zxingcpp.create_barcode("NHMD-42", zxingcpp.BarcodeFormat.QRCode).to_image(scale=6)
    page.paste(Image.fromarray(code), (300, 200))
    out = io.BytesIO()
    page.save(out, "TIFF", dpi=(600, 600))
    return out.getvalue()


def until(holds: Callable[[], bool]) -> None:
    """Poll for at most 20 s."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_line_is_granted_run_and_completed(world, batch) -> None:
    batch.add(world, 7, "barcode", inputs=[world.put_file("sheet.tif", sheet())])
    assert batch.run() == 0
    assert [path for path, _ in world.told] == ["/attempts/7/start", "/attempts/7/complete"]
    start, (_, complete) = world.told[0][1], world.told[1]
    assert start["native_id"] == "4711"
    assert len(start["nonce"]) == 32
    assert (complete["native_id"], complete["nonce"]) == ("4711", start["nonce"])
    assert complete["result"]["barcode"]["barcodes"] == ["NHMD-42"]
    assert complete["result"]["derivatives"] is None
    assert complete["result"]["usage"]["max_rss_mb"] > 10
    assert (batch.root / "assets" / GUID / "sheet.tif").read_bytes() == sheet()
    assert batch.kept() == {}


def test_no_token_is_in_arguments_logs_or_results(world, batch) -> None:
    world.ill["/attempts/7/complete"] = [500] * 50
    batch.add(world, 7, "load", inputs=[world.put_file("sheet.tif", b"bytes")])
    assert batch.run("--patience", "1") == 0
    written = batch.log() + json.dumps(batch.kept())
    assert "token-7" not in written
    assert "ars-1" not in written


def test_derive_then_upload_brings_the_derivative_to_the_share(world, batch) -> None:
    batch.add(
        world,
        7,
        "derive",
        inputs=[world.put_file("sheet.tif", sheet())],
        children=[{"ppi": 400, "guid": "c-400"}, {"ppi": 72, "guid": "c-72"}],
    )
    assert batch.run() == 0
    made = world.outcome(7)[1]["result"]["derivatives"][0]["file"]
    path = f"/assetfiles/NHMD/Vascular plants/c-400/{made['name']}"
    upload = {**made, "url": world.url + path.replace(" ", "%20")}
    batch.add(world, 8, "upload", parent_guid=GUID, uploads=[upload])
    world.ill[path] = [503, "cut", 507]
    assert batch.run() == 0, "the first line is not granted a second time"
    assert world.outcome(8)[1]["result"]["uploaded"] == [made]
    derived = batch.root / "assets" / GUID / "derived" / "c-400.tif"
    assert world.files[path] == derived.read_bytes()
    batch.add(world, 9, "clean")
    assert batch.run() == 0
    assert not (batch.root / "assets" / GUID).exists()


def test_many_assets_of_one_process_tell_each_its_own_time_and_memory(world, batch) -> None:
    large = io.BytesIO()
    Image.new("RGB", (5000, 5000), (240, 236, 225)).save(large, "TIFF")
    batch.add(world, 7, "ocr", inputs=[world.put_file("first.tif", large.getvalue())])
    batch.add(world, 8, "ocr", inputs=[world.put_file("second.tif", sheet())])
    batch.add(world, 9, "crop", inputs=[world.put_file("third.tif", sheet())])
    assert batch.run() == 0
    assert len({told["native_id"] for _, told in world.told}) == 1
    first, second, third = (world.outcome(n)[1]["result"]["usage"] for n in (7, 8, 9))
    assert min(usage["seconds"] for usage in (first, second, third)) > 0
    assert first["cpu_s"] > second["cpu_s"] > third["cpu_s"] > 0, "the models are loaded once"
    assert second["max_rss_mb"] < first["max_rss_mb"] - 50, "its own peak, not the process's"


def test_black_that_a_person_accepted_stops_no_module(world, batch) -> None:
    batch.add(world, 7, "load", inputs=[world.put_file("a.tif", b"a")], accept_black=True)
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"


def test_one_bad_line_does_not_hurt_its_neighbours(world, batch) -> None:
    batch.add(world, 7, "load", inputs=[world.put_file("a.tif", b"a")])
    batch.add(world, 8, "crop", inputs=[world.put_file("broken.tif", b"no image")])
    batch.add(world, 9, "no_such_module")
    batch.add(world, 10, "load", inputs=[world.put_file("b.tif", b"b")])
    assert batch.run() == 0
    assert [world.outcome(n)[0] for n in (7, 8, 9, 10)] == ["complete", "fail", "fail", "complete"]
    failure = world.outcome(8)[1]
    assert (failure["fail_status"], failure["exception"]) == ("ERROR", "WrongKind")
    assert "broken.tif" in failure["message"]
    assert failure["usage"]["seconds"] >= 0
    assert "broken.tif" in batch.log(1)


def test_a_second_native_job_is_not_granted_and_touches_nothing(world, batch) -> None:
    world.started_by[7] = ("4710", "another nonce")
    batch.add(world, 7, "load", inputs=[world.put_file("a.tif", b"a")])
    assert batch.run() == 0
    assert [path for path, _ in world.told] == ["/attempts/7/start"]
    assert not (batch.root / "assets").exists()
    assert "not granted" in batch.log()


def test_a_lost_start_answer_is_asked_for_again_with_the_same_nonce(world, batch) -> None:
    world.ill["/attempts/7/start"] = [503, "cut", "lost"]
    batch.add(world, 7, "load")
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    nonces = [body["nonce"] for path, body in world.told if path.endswith("start")]
    assert len(nonces) == 2
    assert len(set(nonces)) == 1


def test_no_server_means_nothing_touched_and_exit_75(world, batch) -> None:
    world.ill["/attempts/7/start"] = [500] * 50
    batch.add(world, 7, "load", inputs=[world.put_file("a.tif", b"a")])
    assert batch.run("--patience", "1") == os.EX_TEMPFAIL
    assert not (batch.root / "assets").exists()
    assert batch.kept() == {}


def test_a_refused_token_is_exit_77(world, batch) -> None:
    batch.add(world, 7, "load")
    (batch.folder / "tokens").write_text("wrong\n")
    assert batch.run() == os.EX_NOPERM
    assert world.told == []


def test_an_outcome_that_cannot_be_told_waits_for_the_driver(world, batch) -> None:
    world.ill["/attempts/7/complete"] = ["cut"] * 50
    batch.add(world, 7, "load")
    assert batch.run("--patience", "1") == 0
    kept = batch.kept()["7.json"]
    assert kept["path"] == "/attempts/7/complete"
    assert kept["body"]["native_id"] == "4711"
    assert kept["body"]["result"]["details"] == {"files": []}


def test_an_outcome_told_late_does_not_wait_too(world, batch) -> None:
    world.ill["/attempts/7/complete"] = [503, "cut"]
    batch.add(world, 7, "load")
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    assert batch.kept() == {}


def test_a_result_the_server_does_not_take_fails_the_job(world, batch) -> None:
    world.ill["/attempts/7/complete"] = [422]
    batch.add(world, 7, "load")
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "ERROR")
    assert "does not take the result" in body["message"]


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    """What somebody between the node and the server answers."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


LOGIN = b"<html><form action='/login'>Sign in</form></html>"
WRONG = {
    7: reply("404 Not Found", b'{"error": "not found"}'),
    8: reply("403 Forbidden", LOGIN, "Content-Type: text/html"),
    9: reply("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="campus"'),
    10: reply("302 Found", b"", "Location: https://login.example.org/"),
    11: reply("200 OK"),
    12: reply("200 OK", LOGIN, "Content-Type: text/html"),
    13: reply("409 Conflict", b'{"message": "busy"}'),
    14: reply("204 No Content"),
    15: reply("404 Not Found", LOGIN)[:-7],
}
"""One wrong answer for each of so many attempts; the last is cut off."""


def test_one_wrong_answer_of_a_gateway_loses_no_result(world, batch) -> None:
    for attempt, wrong in WRONG.items():
        world.ill[f"/attempts/{attempt}/complete"] = [wrong]
        world.ill[f"/attempts/{attempt}/start"] = [wrong]
        batch.add(world, attempt, "load")
    assert batch.run() == 0
    assert {world.outcome(attempt)[0] for attempt in WRONG} == {"complete"}
    assert batch.kept() == {}


def test_a_gateway_in_the_way_for_long_leaves_every_result_for_the_driver(world, batch) -> None:
    for attempt, wrong in WRONG.items():
        world.ill[f"/attempts/{attempt}/complete"] = [wrong] * 99
        batch.add(world, attempt, "load")
    assert batch.run("--patience", "0.2") == 0
    assert set(batch.kept()) == {f"{attempt}.json" for attempt in WRONG}


def test_a_gateway_in_the_way_of_a_start_is_a_server_out_of_reach(world, batch) -> None:
    for attempt, wrong in WRONG.items():
        world.ill[f"/attempts/{attempt}/start"] = [wrong] * 99
        batch.add(world, attempt, "load")
    assert batch.run("--patience", "0.2") == os.EX_TEMPFAIL
    assert world.told == []
    assert not (batch.root / "assets").exists()


def test_a_result_outlives_our_own_no_to_its_token(world, batch) -> None:
    for attempt, status in ((7, 401), (8, 403)):
        world.ill[f"/attempts/{attempt}/complete"] = [status]
        batch.add(world, attempt, "load")
    assert batch.run() == 0
    assert set(batch.kept()) == {"7.json", "8.json"}, "the driver, which needs no token, decides"
    assert {path for path, _ in world.told} == {"/attempts/7/start", "/attempts/8/start"}


def test_a_small_file_that_a_portal_took_is_sent_again(world, tmp_path: Path) -> None:
    path = "/attempts/7/outputs/box.jpg"
    world.ill[path] = [reply("200 OK", LOGIN), reply("200 OK"), reply("404 Not Found")]
    (tmp_path / "box.jpg").write_bytes(b"a box")
    callbacks = AttemptClient(world.url, 7, "token-7", "4711", lambda: Deadline(30))
    callbacks.show(tmp_path / "box.jpg", "box.jpg")
    assert [told for told, _ in world.told] == [path]


def test_with_grants_beside_it_only_the_archive_and_its_token_are_asked_for(world, batch) -> None:
    world.ars_token = "ars-2"  # the token that came along is outlived by now
    batch.add(world, 7, "load", inputs=[world.put_file("sheet.tif", b"bytes")])
    (batch.folder / "grants.jsonl").write_text(json.dumps(world.grants[7]) + "\n")
    assert batch.run() == 0
    assert [path for path, _ in world.told] == ["/attempts/7/token"]
    assert (batch.root / "assets" / GUID / "sheet.tif").read_bytes() == b"bytes"
    kept = batch.kept()["7.json"]
    by = json.loads((batch.folder / "started" / "7" / "by").read_text())
    assert kept["path"] == "/attempts/7/complete"
    assert (kept["body"]["native_id"], kept["body"]["nonce"]) == (by["native_id"], by["nonce"])


def test_an_outdated_attempt_ends_quietly(world, batch) -> None:
    world.ill["/attempts/7/complete"] = [409]
    batch.add(world, 7, "load")
    assert batch.run() == 0
    assert [path for path, _ in world.told] == ["/attempts/7/start"]
    assert batch.kept() == {}


def test_a_cut_download_goes_on_where_it_ended(world, batch) -> None:
    content = os.urandom(300_000)
    file = world.put_file("a.tif", content)
    path = next(iter(world.files))
    world.ill[path] = ["half", 503, "half"]
    batch.add(world, 7, "load", inputs=[file])
    assert batch.run() == 0
    assert (batch.root / "assets" / GUID / "a.tif").read_bytes() == content
    ranges = [headers.get("Range") for method, _, headers in world.asked if method == "GET"]
    assert ranges == [None, "bytes=150000-", "bytes=150000-", "bytes=225000-"]


def test_rotten_bytes_are_fetched_again_and_never_kept(world, batch) -> None:
    file = world.put_file("a.tif", b"good bytes")
    path = next(iter(world.files))
    world.ill[path] = ["rotten"]
    batch.add(world, 7, "load", inputs=[file])
    batch.add(world, 8, "load", inputs=[{**file, "name": "b.tif", "crc32": 1}])
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    verb, body = world.outcome(8)
    assert (verb, body["fail_status"]) == ("fail", "RETRY")
    assert "b.tif" in body["message"]
    assert [p.name for p in (batch.root / "assets" / GUID).iterdir()] == ["a.tif"]


def test_what_is_here_already_is_not_fetched_again_unless_it_differs(world, batch) -> None:
    file = world.put_file("a.tif", b"good bytes")
    folder = batch.root / "assets" / GUID
    folder.mkdir(parents=True)
    (folder / "a.tif").write_bytes(b"evil bytes")
    batch.add(world, 7, "load", inputs=[file])
    batch.add(world, 8, "load", inputs=[file])
    assert batch.run() == 0
    assert (folder / "a.tif").read_bytes() == b"good bytes"
    assert [method for method, _, _ in world.asked].count("GET") == 1


def test_an_expired_archive_token_is_renewed(world, batch) -> None:
    world.ars_token = "ars-2"
    batch.add(world, 7, "load", inputs=[world.put_file("a.tif", b"a")])
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    assert "/attempts/7/token" in [path for path, _ in world.told]


def test_a_closed_share_is_worth_another_try(world, batch) -> None:
    file = world.put_file("a.tif", b"a")
    world.files.clear()
    batch.add(world, 7, "load", inputs=[file])
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "RETRY")
    assert "a.tif" in body["message"]
    assert "404" in body["message"]


def derived(world, batch, content: bytes) -> dict[str, object]:
    """A file that derive made on this site, as a grant names it; it fills its share."""
    folder = batch.root / "assets" / PARENT / "derived"
    folder.mkdir(parents=True)
    (folder / "c.tif").write_bytes(content)
    upload = world.put_file("c.tif", content)
    world.files.clear()
    world.room_mb = max(1, math.ceil(len(content) / 1_000_000))
    batch.add(world, 7, "upload", parent_guid=PARENT, uploads=[upload])
    return upload


def path_of(upload: dict[str, object]) -> str:
    return unquote(urlsplit(str(upload["url"])).path)


def test_an_upload_whose_answer_was_lost_is_found_in_its_full_share(world, batch) -> None:
    upload = derived(world, batch, b"a leaf")
    world.ill[path_of(upload)] = ["lost"]
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    assert world.files == {path_of(upload): b"a leaf"}
    assert [method for method, _, _ in world.asked].count("PUT") == 1


def test_a_large_file_that_the_share_has_already_is_found_though_its_refusal_cuts_us_off(
    world, batch
) -> None:
    """As after a database came back from a backup: the archive is further than we know."""
    whole = bytes(20_000_000)
    upload = derived(world, batch, whole)
    world.files[path_of(upload)] = whole
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    assert [method for method, _, _ in world.asked].count("PUT") == 1


def test_an_upload_that_a_portal_took_is_sent_again(world, batch) -> None:
    upload = derived(world, batch, b"a leaf")
    world.ill[path_of(upload)] = [reply("200 OK", LOGIN), reply("200 OK"), reply("302 Found")]
    assert batch.run() == 0
    assert world.outcome(7)[0] == "complete"
    assert world.files == {path_of(upload): b"a leaf"}


def test_an_upload_that_finds_its_share_full_of_other_bytes_is_to_be_tried_again(
    world, batch
) -> None:
    upload = derived(world, batch, b"a leaf")
    world.files[path_of(upload)] = b"a loaf"
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "RETRY")
    assert "c.tif" in body["message"] and "400" in body["message"]


def test_an_upload_of_another_file_than_was_made_is_refused_here(world, batch) -> None:
    folder = batch.root / "assets" / PARENT / "derived"
    folder.mkdir(parents=True)
    (folder / "c.tif").write_bytes(b"something else")
    upload = {"name": "c.tif", "url": f"{world.url}/assetfiles/x", "crc32": 5, "size_bytes": 3}
    batch.add(world, 7, "upload", parent_guid=PARENT, uploads=[upload])
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "ERROR")
    assert "c.tif" in body["message"]
    assert [method for method, _, _ in world.asked].count("PUT") == 0


@pytest.mark.parametrize("name", ["../../evil.tif", "/etc/evil", ".hidden"])
def test_a_name_that_leads_out_of_the_folder_is_refused(world, batch, name: str) -> None:
    file = {**world.put_file("a.tif", b"a"), "name": name}
    batch.add(world, 7, "load", inputs=[file])
    assert batch.run() == 0
    assert world.outcome(7)[1]["fail_status"] == "ERROR"
    assert list((batch.root / "assets" / GUID).iterdir()) == []


def test_an_address_that_is_not_http_is_refused(world, batch) -> None:
    file = {**world.put_file("a.tif", b"a"), "url": "file:///etc/passwd"}
    batch.add(world, 7, "load", inputs=[file])
    assert batch.run() == 0
    assert world.outcome(7)[1]["fail_status"] == "ERROR"


def test_a_disk_that_takes_no_more_is_worth_another_try(world, batch) -> None:
    batch.add(world, 7, "load", inputs=[world.put_file("a.tif", bytes(2_000_000))])
    with batch.start(preexec_fn=no_more_than_a_megabyte) as process:
        process.communicate(timeout=20)
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "RETRY")
    assert "disk" in body["message"]
    assert list((batch.root / "assets" / GUID).iterdir()) == []


def no_more_than_a_megabyte() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_redirect_is_not_followed(world, batch) -> None:
    file = world.put_file("a.tif", b"a")
    world.ill[next(iter(world.files))] = [307] * 50
    batch.add(world, 7, "load", inputs=[file])
    assert batch.run("--patience", "1") == 0
    failure = world.outcome(7)[1]
    assert "307" in failure["message"]
    assert failure["exception"] == "Unreachable", "it says nothing of the file, and uses no try"


@pytest.mark.parametrize("field", ["params", "guid", "inputs"])
def test_a_malformed_grant_fails_by_field(world, batch, field: str) -> None:
    batch.add(world, 7, "load", **{field: 5})
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert (verb, body["fail_status"]) == ("fail", "ERROR")
    assert repr(field) in body["message"]


def test_a_signal_during_work_is_no_failure_and_later_lines_are_left(world, batch) -> None:
    """It was told as one before the scheduler had said why: pre-empted jobs used up their tries."""
    file = world.put_file("a.tif", b"a")
    world.ill[next(iter(world.files))] = ["hang"]
    batch.add(world, 7, "load", inputs=[file])
    batch.add(world, 8, "load")
    with batch.start() as process:
        assert world.arrived.wait(20)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert [path for path, _ in world.told] == ["/attempts/7/start"]
    assert batch.kept() == {}


def test_a_signal_during_delivery_leaves_the_outcome_for_the_driver(world, batch) -> None:
    world.ill["/attempts/7/complete"] = [503] * 100
    batch.add(world, 7, "load")
    with batch.start() as process:
        until(lambda: batch.kept() != {})
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 143
    assert batch.kept()["7.json"]["path"] == "/attempts/7/complete"


def test_a_kill_during_delivery_loses_nothing(world, batch) -> None:
    world.ill["/attempts/7/complete"] = [503] * 100
    batch.add(world, 7, "load")
    with batch.start() as process:
        until(lambda: batch.kept() != {})
        process.kill()
        process.communicate(timeout=20)
    assert batch.kept()["7.json"]["path"] == "/attempts/7/complete"


def test_a_broken_batch_is_exit_65_with_the_field(world, batch) -> None:
    batch.add(world, 7, "load")
    (batch.folder / "manifest.jsonl").write_text('{"attempt": 7}\n')
    with batch.start() as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == os.EX_DATAERR
    assert "field 'guid'" in err


def test_a_job_that_does_nothing_loads_no_more_than_it_needs(world, batch) -> None:
    batch.add(world, 7, "load")
    with batch.start(python=["-S", "-X", "importtime"], env={}) as process:
        _, report = process.communicate(timeout=60)
    assert world.outcome(7)[0] == "complete"
    loaded = {line.rpartition("|")[2].strip() for line in report.splitlines()}
    assert {"hpc.runner.exchange", "http.client"} <= loaded
    dear = {"argparse", "logging", "urllib.request", "traceback", "hashlib", "shutil", "tempfile"}
    assert loaded & dear == set()
