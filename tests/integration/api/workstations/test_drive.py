"""A drive that is full, write-protected or hangs: it says so, nothing half is seen, it goes on."""

import asyncio
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
from httpx import Response

from api.workstations import folders
from api.workstations.app import WorkstationApi
from api.workstations.folders import Drive
from api.workstations.receiving import ArrivingFile
from tests.support.small_disk import small_disk
from tests.support.workstations import STATIONS, Station, names_in, refused, uploading

NAME, CONTENT = "g1.tif", bytes(range(256)) * 24_000
MB = 1_000_000


@pytest.fixture
async def small(config: WorkstationApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Station]:
    """A workstation whose drive has room for ten MB."""
    monkeypatch.setattr(folders, "MIN_FREE", 0)
    with small_disk(config.n_drive, "10m"):
        for name in STATIONS:
            (config.n_drive / name).mkdir()
        async with uploading(config) as station:
            yield station


async def test_a_file_is_refused_before_it_takes_the_room_of_others(
    small: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MIN_FREE", 5 * MB)
    answer = await small.create(NAME, CONTENT)
    refused(answer, 507, "no_room", "N-Drive is full", "keep the files")
    assert int(answer.headers["retry-after"]) > 0
    assert not small.making.exists()
    await small.send("g2.tif", CONTENT[: 2 * MB])


async def test_a_drive_that_fills_up_meanwhile_shows_nothing_and_goes_on_with_room(
    small: Station,
) -> None:
    location = (await small.create(NAME, CONTENT)).headers["location"]
    other = small.drive / "of others"
    other.write_bytes(bytes(7 * MB))
    refused(await small.patch(location, 0, CONTENT), 507, "no_room")
    assert NAME not in names_in([small.making])
    refused(await small.stored(location), 409, "wrong_offset")
    there = int((await small.head(location)).headers["upload-offset"])
    assert 0 < there < len(CONTENT), "what had room is kept"
    refused(await small.patch(location, there, CONTENT[there:]), 507, "no_room")
    refused(await small.create("g2.tif", CONTENT), 507, "no_room")
    other.unlink()
    there = int((await small.head(location)).headers["upload-offset"])
    assert (await small.patch(location, there, CONTENT[there:])).status_code == 204
    assert (small.making / NAME).read_bytes() == CONTENT
    assert (await small.stored(location)).status_code == 200
    assert (await small.end({NAME: CONTENT})).status_code == 200


async def test_a_full_drive_ends_no_session_and_a_later_try_does(small: Station) -> None:
    await small.send(NAME, CONTENT)
    filler = small.drive / "of others"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    refused(await small.end({NAME: CONTENT}), 507, "no_room")
    assert not small.made.exists()
    filler.unlink()
    assert (await small.end({NAME: CONTENT})).status_code == 200
    assert names_in([small.made]) == [".complete", NAME]


async def test_a_write_protected_drive_is_away_and_goes_on_afterwards(small: Station) -> None:
    location = (await small.create(NAME, CONTENT)).headers["location"]
    assert (await small.patch(location, 0, CONTENT[:MB])).status_code == 204
    small_again = Station(small.http, small.drive, session="another", headers=small.headers)
    with write_protected(small.drive):
        for answer in (
            await small.patch(location, MB, CONTENT[MB:]),
            await small_again.create("g2.tif", CONTENT),
        ):
            refused(answer, 503, "drive_away", "try later")
            assert int(answer.headers["retry-after"]) > 0
        assert (await small.head(location)).headers["upload-offset"] == str(MB)
    assert (await small.patch(location, MB, CONTENT[MB:])).status_code == 204
    assert (small.making / NAME).read_bytes() == CONTENT


@contextmanager
def write_protected(place: Path) -> Iterator[None]:
    remount = ["mount", "-o"]
    subprocess.run([*remount, "remount,ro", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run([*remount, "remount,rw", str(place)], check=True)


@asynccontextmanager
async def hanging(patching: pytest.MonkeyPatch, owner: type, name: str) -> AsyncIterator[None]:
    """Have a method hang, as on a mount whose server is gone, until the block ends."""
    back = threading.Event()
    real = getattr(owner, name)

    def hang(*args: object) -> object:
        assert back.wait(60)
        return real(*args)

    patching.setattr(owner, name, hang)
    patching.setattr(folders, "ANSWER_S", 0.3)
    try:
        yield
    finally:
        back.set()
        patching.undo()


async def goes_on(station: Station, location: str) -> None:
    """What hung is over some time; then the rest is sent, and it is what it should be."""
    async with asyncio.timeout(30):
        while True:
            head = await station.head(location)
            if head.status_code == 200:
                there = int(head.headers["upload-offset"])
                sent = await station.patch(location, there, CONTENT[there:])
                if sent.status_code == 204:
                    break
                assert sent.status_code in (409, 503), sent.text
            await asyncio.sleep(0.02)
    assert (station.making / NAME).read_bytes() == CONTENT
    assert (await station.stored(location)).status_code == 200


async def test_a_file_that_hangs_is_told_and_all_else_is_answered(station: Station) -> None:
    """A FIFO that nobody reads is opened for ever, as a file is on a mount that is away."""
    patching = pytest.MonkeyPatch()
    patching.setattr(folders, "ANSWER_S", 0.3)
    located, fifos = [], []
    for n in range(8):  # more than the threads of the loop's own pool here
        location = (await station.create(f"f{n}.tif", CONTENT)).headers["location"]
        fifos.append(station.making / f".{location.rpartition('/')[2]}.part")
        os.mkfifo(fifos[-1])
        located.append(location)
    stuck = [asyncio.create_task(station.patch(each, 0, CONTENT[:1000])) for each in located]
    try:
        await station.log_in()
        await station.send("g2.tif", CONTENT)
        assert (await station.get(f"/sessions/{station.name}/{station.session}")).status_code == 200
        for answer in await asyncio.gather(*stuck):
            refused(answer, 503, "drive_away", "has not answered")
        again = await station.patch(located[0], 0, CONTENT[:1000])
        refused(again, 503, "drive_away")
    finally:
        patching.undo()
        for fifo in fifos:  # those who wait get a reader, and go on
            os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
            fifo.unlink()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (ArrivingFile, "open"),
        (ArrivingFile, "append"),
        (ArrivingFile, "finish"),
        (Drive, "prepare"),
    ],
    ids=["open", "append", "finish", "prepare"],
)
async def test_a_drive_that_hangs_is_away_and_goes_on_once_it_is_back(
    station: Station, owner: type, name: str
) -> None:
    location = (await station.create(NAME, CONTENT)).headers["location"]
    if name == "prepare":
        ask: Callable[[], Awaitable[Response]] = partial(station.create, NAME, CONTENT)
    else:
        ask = partial(station.patch, location, 0, CONTENT)
    async with hanging(pytest.MonkeyPatch(), owner, name):
        for _ in range(2):
            refused(await ask(), 503, "drive_away", "has not answered")
        assert (await station.get("/sessions", workstation=station.name)).status_code == 200
        assert not (station.making / NAME).exists()
    await goes_on(station, location)


async def test_a_name_that_hangs_is_put_right_by_who_asks_next(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    real = folders.put_in_place

    def hang(part: Path, place: Path) -> None:
        assert back.wait(60)
        real(part, place)

    monkeypatch.setattr("api.workstations.stored.put_in_place", hang)
    monkeypatch.setattr(folders, "ANSWER_S", 0.3)
    location = (await station.create(NAME, CONTENT)).headers["location"]
    refused(await station.patch(location, 0, CONTENT), 503, "drive_away")
    refused(await station.stored(location), 409, "wrong_offset")
    back.set()
    await goes_on(station, location)


async def test_health_does_not_wait_for_a_drive_that_hangs(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()

    def hang(_: Path) -> object:
        assert back.wait(60)
        raise OSError

    monkeypatch.setattr("api.free_space.shutil.disk_usage", hang)
    try:
        for _ in range(3):
            answer = await station.get("/health")
            assert (answer.status_code, answer.json()["drive"]) == (503, False)
        asked = [each for each in threading.enumerate() if "_ask" in each.name]
        assert len(asked) == 1, "one waits, however often it is asked"
    finally:
        back.set()
    monkeypatch.undo()
    async with asyncio.timeout(10):
        while (await station.get("/health")).status_code != 200:
            await asyncio.sleep(0.02)
