"""Files arrive whole, under their names, once; or not at all, and it says why."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from zlib import crc32

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import WorkstationApi
from tests.support.workstations import (
    OCTETS,
    TUS,
    Station,
    metadata,
    names_in,
    refused,
    sha256,
    uploading,
)

NAME, CONTENT = "7ea-b-15.tif", bytes(range(256)) * 9000


async def test_a_file_gets_its_name_with_its_last_byte(station: Station) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    half = len(CONTENT) // 2
    first = await station.patch(location, 0, CONTENT[:half])
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(half))
    assert not (station.making / NAME).exists()
    there = await station.head(location)
    assert (there.headers["upload-offset"], there.headers["upload-length"]) == (
        str(half),
        str(len(CONTENT)),
    )
    assert (await station.patch(location, half, CONTENT[half:])).status_code == 204
    assert (station.making / NAME).read_bytes() == CONTENT
    assert names_in([station.making]) == [NAME], "the part is gone"


async def test_a_stored_file_is_confirmed_by_what_lies_on_the_drive(station: Station) -> None:
    location = await station.send(NAME, CONTENT)
    answer = await station.stored(location)
    assert answer.json() == {
        "name": NAME,
        "size_bytes": len(CONTENT),
        "sha256": sha256(CONTENT),
        "crc32": crc32(CONTENT),
    }


async def test_what_was_spoilt_on_the_drive_is_not_confirmed_and_may_be_sent_again(
    station: Station,
) -> None:
    location = await station.send(NAME, CONTENT)
    (station.making / NAME).write_bytes(CONTENT[:-1] + b"x")
    refused(await station.stored(location), 460, "checksum_differs", NAME, "send it again")
    assert names_in([station.making]) == []
    again = await station.send(NAME, CONTENT)
    assert again != location
    assert (await station.stored(again)).json()["sha256"] == sha256(CONTENT)


async def test_a_file_that_is_gone_from_the_drive_is_not_confirmed(station: Station) -> None:
    location = await station.send(NAME, CONTENT)
    (station.making / NAME).unlink()
    refused(await station.stored(location), 460, "checksum_differs", "not on the drive")


async def test_what_has_not_arrived_is_not_confirmed(station: Station) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    await station.patch(location, 0, CONTENT[:100])
    refused(await station.stored(location), 409, "wrong_offset", "go on sending")


@pytest.mark.parametrize(
    ("algorithm", "checksum"),
    [
        ("crc32", f"{crc32(CONTENT):08x}"),
        ("crc32", str(crc32(CONTENT))),
        ("md5", md5(CONTENT).hexdigest()),
        ("sha256", sha256(CONTENT).upper()),
    ],
    ids=["CRC-32 in hexadecimal", "CRC-32 in decimal", "MD5", "SHA-256 in capitals"],
)
async def test_each_kind_of_checksum_is_compared(
    station: Station, algorithm: str, checksum: str
) -> None:
    await station.send(NAME, CONTENT, fixityAlgorithm=algorithm, checksum=checksum)
    assert (station.making / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["crc32", "md5", "sha256"])
async def test_another_checksum_leaves_nothing_and_says_both(
    station: Station, algorithm: str
) -> None:
    wrong = {"crc32": "00000001", "md5": "0" * 32, "sha256": "0" * 64}[algorithm]
    created = await station.create(NAME, CONTENT, fixityAlgorithm=algorithm, checksum=wrong)
    location = created.headers["location"]
    refused(await station.patch(location, 0, CONTENT), 460, "checksum_differs", NAME, wrong)
    assert names_in([station.making]) == []
    refused_head = await station.head(location)
    assert refused_head.status_code == 404
    await station.send(NAME, CONTENT)


async def test_the_same_file_begun_again_goes_on_where_it_was(station: Station) -> None:
    created = await station.create(NAME, CONTENT)
    await station.patch(created.headers["location"], 0, CONTENT[:1000])
    again = await station.create(NAME, CONTENT)
    assert again.headers["location"] == created.headers["location"]
    assert again.headers["upload-offset"] == "1000"


async def test_the_same_name_and_content_gets_the_first_answer(station: Station) -> None:
    location = await station.send(NAME, CONTENT)
    later = Station(station.http, station.drive, session="later", headers=station.headers)
    again = await later.create(NAME, CONTENT)
    assert (again.status_code, again.headers["location"]) == (201, location)
    assert again.headers["upload-offset"] == str(len(CONTENT))
    by_crc = await later.create(
        NAME, CONTENT, fixityAlgorithm="crc32", checksum=f"{crc32(CONTENT):08x}"
    )
    assert by_crc.headers["location"] == location


async def test_a_known_name_with_another_content_is_refused(station: Station) -> None:
    await station.send(NAME, CONTENT)
    refused(await station.create(NAME, b"another"), 409, "name_taken", NAME, "another name")
    refused(await station.create(NAME.upper(), b"another"), 409, "name_taken")
    assert (station.making / NAME).read_bytes() == CONTENT


async def test_of_two_that_send_one_name_at_once_the_second_is_refused_at_its_end(
    station: Station, config: WorkstationApi
) -> None:
    other = Station(station.http, station.drive, "WORKHERB0002")
    await other.log_in("Bo")
    mine = (await station.create(NAME, CONTENT)).headers["location"]
    theirs = (await other.create(NAME, b"another")).headers["location"]
    assert (await other.patch(theirs, 0, b"another")).status_code == 204
    refused(await station.patch(mine, 0, CONTENT), 409, "name_taken")
    assert names_in([station.making, other.making]) == [NAME]
    assert (other.making / NAME).read_bytes() == b"another"


async def test_a_file_of_the_session_with_another_content_takes_its_place_while_it_comes(
    station: Station,
) -> None:
    first = (await station.create(NAME, CONTENT)).headers["location"]
    await station.patch(first, 0, CONTENT[:10])
    await station.send(NAME, b"another")
    assert (await station.head(first)).status_code == 404
    assert (station.making / NAME).read_bytes() == b"another"


async def test_bytes_at_another_place_are_refused_with_the_right_one(station: Station) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    await station.patch(location, 0, CONTENT[:100])
    for offset in (0, 50, 101):
        answer = await station.patch(location, offset, CONTENT[offset:])
        refused(answer, 409, "wrong_offset", "100 bytes")
        assert answer.headers["upload-offset"] == "100"


async def test_more_bytes_than_announced_are_refused(station: Station) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    refused(await station.patch(location, 0, CONTENT + b"x"), 413, "too_large", NAME)

    async def unannounced() -> AsyncIterator[bytes]:
        yield CONTENT + b"x"

    refused(await station.patch(location, 0, unannounced()), 413, "too_large")
    assert not (station.making / NAME).exists()


async def test_a_sender_that_comes_back_takes_over_from_its_lost_connection(
    station: Station,
) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    sent, lost = asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield CONTENT[:2_000_000]
        sent.set()
        await lost.wait()

    first = asyncio.create_task(station.patch(location, 0, stuck()))
    await sent.wait()
    async with asyncio.timeout(30):
        while (there := int((await station.head(location)).headers["upload-offset"])) < 1_048_576:
            await asyncio.sleep(0.01)
    answer = await station.patch(location, there, CONTENT[there:])
    if answer.status_code == 409:  # what was under way came after the look
        there = int(answer.headers["upload-offset"])
        answer = await station.patch(location, there, CONTENT[there:])
    assert answer.status_code == 204, answer.text
    lost.set()
    refused(await first, 423, "being_written")
    assert (station.making / NAME).read_bytes() == CONTENT


async def test_an_upload_that_is_given_up_leaves_nothing(station: Station) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    await station.patch(location, 0, CONTENT[:100])
    gone = await station.http.delete(location, headers=station.headers | TUS)
    assert gone.status_code == 204 and names_in([station.making]) == []
    assert (await station.head(location)).status_code == 404


async def test_a_stored_file_is_taken_back_until_its_session_is_complete(station: Station) -> None:
    first = await station.send(NAME, CONTENT)
    await station.stored(first)
    gone = await station.http.delete(first, headers=station.headers | TUS)
    assert gone.status_code == 204 and names_in([station.making]) == []
    again = await station.send(NAME, b"another content")
    assert (await station.stored(again)).status_code == 200
    assert (await station.end({NAME: b"another content"})).status_code == 200
    kept = await station.http.delete(again, headers=station.headers | TUS)
    refused(kept, 409, "session_ended")
    assert (station.made / NAME).read_bytes() == b"another content"


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"filename": "../x.tif"}, "bad_name", "filename"),
        ({"filename": ".x.tif"}, "bad_name", "begins with '.'"),
        ({"filename": "x.exe"}, "bad_name", "neither an image"),
        ({"filename": "con.tif"}, "bad_name", "con.tif"),
        ({"session": "imported_x"}, "bad_name", "session"),
        ({"session": "a/b"}, "bad_name", "session"),
        ({"session": "New_x"}, "bad_name", "session"),
        ({"checksum": "zz"}, "bad_request", "sha256"),
        ({"fixityAlgorithm": "sha1"}, "bad_request", "crc32, md5, sha256"),
        ({"workstation": ""}, "bad_request", "workstation is missing"),
        ({"workstation": "WORKHERB0002"}, "not_your_workstation", "WORKHERB0002"),
        ({"workstation": "../WORKHERB0001"}, "not_your_workstation", ""),
    ],
)
async def test_what_cannot_be_taken_is_refused_by_name(
    station: Station, given: dict[str, str], code: str, words: str
) -> None:
    answer = await station.create(given.pop("filename", NAME), CONTENT, **given)
    assert answer.json()["code"] == code and words in answer.json()["error"], answer.text
    assert not station.making.exists()


async def test_an_empty_file_and_a_giant_are_refused(station: Station) -> None:
    refused(await station.create(NAME, b""), 422, "bad_request", "empty")
    refused(await station.create(NAME, b"x", size=10**12), 413, "too_large", "most")


async def test_a_name_with_letters_and_spaces_arrives_composed(station: Station) -> None:
    await station.send("Æble e\u0301 1.TIF", CONTENT)
    assert names_in([station.making]) == ["Æble é 1.TIF"]


async def test_a_workstations_folder_that_is_not_there_is_the_drives_trouble(
    station: Station,
) -> None:
    (station.drive / station.name).rmdir()
    answer = await station.create(NAME, CONTENT)
    refused(answer, 503, "drive_away", station.name, "mounted")
    assert answer.headers["retry-after"]


async def test_another_version_of_tus_is_told_ours(station: Station) -> None:
    answer = await station.http.post("/files", headers=station.headers)
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    asked = await station.http.options("/files")
    assert asked.status_code == 204 and "termination" in asked.headers["tus-extension"]


async def test_creation_with_the_bytes_needs_one_request(station: Station) -> None:
    said = metadata(
        workstation=station.name,
        session=station.session,
        filename=NAME,
        checksum=sha256(CONTENT),
        fixityAlgorithm="sha256",
    )
    headers = station.headers | OCTETS | said | {"Upload-Length": str(len(CONTENT))}
    answer = await station.http.post("/files", headers=headers, content=CONTENT)
    assert answer.headers["upload-offset"] == str(len(CONTENT))
    assert (station.making / NAME).read_bytes() == CONTENT


async def test_every_file_is_written_down(station: Station, engine: AsyncEngine) -> None:
    await station.stored(await station.send(NAME, CONTENT))
    async with engine.connect() as tx:
        row = (await tx.execute(text("SELECT * FROM track.upload"))).one()
    assert (row.workstation, row.session, row.file_name) == (station.name, station.session, NAME)
    assert (row.sent_by, row.sha256, row.guid) == ("Åse", sha256(CONTENT), "7ea-b-15")
    assert row.stored_at and row.confirmed_at and not row.ended_at


async def test_after_a_restart_it_goes_on_with_what_lies_there(config: WorkstationApi) -> None:
    async with uploading(config) as station:
        location = (await station.create(NAME, CONTENT)).headers["location"]
        await station.patch(location, 0, CONTENT[:500_000])
    async with uploading(config) as station:
        assert (await station.head(location)).headers["upload-offset"] == "500000"
        assert (await station.patch(location, 500_000, CONTENT[500_000:])).status_code == 204
        assert (await station.stored(location)).status_code == 200
        assert (station.making / NAME).read_bytes() == CONTENT


def part_of(folder: Path) -> Path:
    (found,) = folder.glob(".*.part")
    return found


async def test_a_crash_before_the_name_is_made_good_by_whoever_asks(
    config: WorkstationApi,
) -> None:
    async with uploading(config) as station:
        location = (await station.create(NAME, CONTENT)).headers["location"]
        await station.patch(location, 0, CONTENT[:-1])
        with part_of(station.making).open("ab") as file:
            file.write(CONTENT[-1:])
    async with uploading(config) as station:
        assert (await station.head(location)).headers["upload-offset"] == str(len(CONTENT))
        assert (await station.stored(location)).status_code == 200


async def test_what_a_crash_left_under_the_name_is_never_taken_for_another_content(
    station: Station,
) -> None:
    station.making.mkdir()
    (station.making / NAME).write_bytes(b"x" * len(CONTENT))
    created = await station.create(NAME, CONTENT)
    assert created.headers["upload-offset"] == "0"
    assert (await station.patch(created.headers["location"], 0, CONTENT)).status_code == 204
    assert (station.making / NAME).read_bytes() == CONTENT


async def test_a_crash_between_the_name_and_its_row_is_made_good(config: WorkstationApi) -> None:
    async with uploading(config) as station:
        location = (await station.create(NAME, CONTENT)).headers["location"]
        await station.patch(location, 0, CONTENT[:-1])
        with part_of(station.making).open("ab") as file:
            file.write(CONTENT[-1:])
        part_of(station.making).rename(station.making / NAME)
    async with uploading(config) as station:
        created = await station.create(NAME, CONTENT)
        assert created.headers["location"] == location
        assert created.headers["upload-offset"] == str(len(CONTENT))
        assert (await station.stored(location)).json()["sha256"] == sha256(CONTENT)
