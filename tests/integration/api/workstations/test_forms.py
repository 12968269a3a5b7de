"""Clients of old send one specimen in one form, and say nothing of sessions."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.upkeep import end_quiet_forms, give_up_idle
from tests.support.workstations import PASSWORD, STATIONS, Station, names_in, refused

IMAGE = bytes(range(256)) * 5000
GUID = "7ea-b-15-0a-00-00-1-001-01-000-0be189-00000"


def document(**given: Any) -> bytes:
    known = {
        "asset_guid": GUID,
        "collection": "NHMD Vascular Plants",
        "institution": "NHMD",
        "pipeline_name": "PIPEHERB0001",
        "workstation_name": STATIONS[0],
    }
    return json.dumps(known | given).encode()


async def post(
    station: Station, image: bytes = IMAGE, metadata: bytes | None = None, **given: str | None
) -> httpx.Response:
    fields = {
        "username": "Åse",
        "password": PASSWORD,
        "content_type": "image",
        "assetName": GUID,
        "csrf_token": "x",
        "checksum": hashlib.md5(IMAGE).hexdigest(),
        "size": str(len(IMAGE)),
    } | given
    parts = [(name, (None, value.encode())) for name, value in fields.items() if value is not None]
    files = [
        ("metadata", (f"{GUID}.json", document() if metadata is None else metadata)),
        ("image", ("IMG 1.TIF", image)),
    ]
    return await station.http.post("/upload", files=parts + files)


def folder(station: Station, answer: httpx.Response) -> Path:
    return station.drive / station.name / f"new_{answer.json()['session']}"


@pytest.mark.parametrize(
    "checksum",
    [
        hashlib.md5(IMAGE).hexdigest(),
        hashlib.sha256(IMAGE).hexdigest(),
        str(crc32(IMAGE)),
        f"{crc32(IMAGE):08x}",
    ],
    ids=["MD5", "SHA-256", "CRC-32 in decimal", "CRC-32 in hexadecimal"],
)
async def test_image_and_metadata_are_stored_under_their_names(
    station: Station, checksum: str
) -> None:
    answer = await post(station, checksum=checksum)
    assert answer.status_code == 200, answer.text
    made = folder(station, answer)
    assert names_in([made]) == [f"{GUID}.json", f"{GUID}.tif"]
    assert (made / f"{GUID}.tif").read_bytes() == IMAGE
    assert (made / f"{GUID}.json").read_bytes() == document()
    again = await post(station, checksum=checksum)
    assert (again.status_code, again.json()) == (200, answer.json())


async def test_specimens_that_follow_come_into_one_session(station: Station) -> None:
    first = await post(station)
    other = GUID.replace("0be189", "0be190")
    second = await post(station, assetName=other, metadata=document(asset_guid=other))
    assert second.json()["session"] == first.json()["session"]
    assert len(names_in([folder(station, first)])) == 4


async def test_a_session_of_forms_ends_when_nothing_comes_any_more(
    station: Station, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = (await post(station)).json()["session"]
    made = station.drive / station.name / session
    here = station.app.state.context
    await end_quiet_forms(here)
    assert not made.exists()
    monkeypatch.setattr("api.workstations.upkeep.QUIET", timedelta(0))
    await end_quiet_forms(here)
    assert names_in([made]) == [".complete", f"{GUID}.json", f"{GUID}.tif"]
    other = GUID.replace("0be189", "0be190")
    later = await post(station, assetName=other, metadata=document(asset_guid=other))
    assert later.json()["session"] != session


@pytest.mark.parametrize(
    ("given", "status", "code", "word"),
    [
        ({"password": "wrong"}, 401, "wrong_login", "password"),
        ({"checksum": "0" * 32}, 460, "checksum_differs", "md5"),
        ({"size": "7"}, 461, "size_differs", "7 were announced"),
        ({"size": str(len(IMAGE) + 1)}, 461, "size_differs", f"{len(IMAGE)} bytes came"),
        ({"size": "0"}, 422, "bad_request", "empty"),
        ({"size": "many"}, 422, "bad_request", "size"),
        ({"checksum": "what"}, 422, "bad_request", "checksum"),
        ({"checksum": None}, 422, "bad_request", "checksum"),
        ({"assetName": "another"}, 422, "bad_request", "asset_guid"),
        ({"metadata": b"{"}, 422, "bad_request", "metadata"),
        ({"metadata": document(workstation_name=STATIONS[1])}, 403, "not_your_workstation", ""),
        ({"metadata": document(collection="NHMD Vascular")}, 422, "unknown_value", "Plants"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:20],
)
async def test_what_cannot_be_taken_leaves_nothing_and_says_why(
    station: Station, given: dict[str, Any], status: int, code: str, word: str
) -> None:
    refused(await post(station, **given), status, code, word)
    left = [path.name for path in station.drive.rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no form at all"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=x\r\n"),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
    ],
    ids=["JSON", "no boundary", "no form", "cut short", "nothing in it"],
)
async def test_what_is_no_form_is_refused(station: Station, kind: str, body: bytes) -> None:
    headers = {"Content-Type": kind}
    answer = await station.http.post("/upload", content=body, headers=headers)
    assert answer.status_code in (400, 415, 422) and answer.json()["code"] == "bad_request"


async def test_an_upload_that_nobody_goes_on_with_is_given_up(
    station: Station, engine: AsyncEngine
) -> None:
    location = (await station.create("x.tif", IMAGE)).headers["location"]
    await station.patch(location, 0, IMAGE[:100])
    kept = await station.send("y.tif", b"stored")
    here = station.app.state.context
    await give_up_idle(here)
    assert (await station.head(location)).status_code == 200
    async with engine.begin() as tx:
        old = "UPDATE track.upload SET touched_at = now() - interval '8 days'"
        await tx.execute(text(old))
    await give_up_idle(here)
    assert (await station.head(location)).status_code == 404
    assert names_in([station.making]) == ["y.tif"], "what is stored stays"
    assert (await station.stored(kept)).status_code == 200
