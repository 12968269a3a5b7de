"""Who looks at an upload interrupts nobody, is interrupted by nobody, and is told the truth."""

import asyncio
import threading
from pathlib import Path

import pytest

from api.workstations import folders
from tests.support.workstations import Station, names_in, refused

NAME, CONTENT = "g1.tif", bytes(range(256)) * 8000


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Set when a file is about to get its name, and what lets it."""
    reached, let = threading.Event(), threading.Event()
    real = folders.put_in_place

    def wait(part: Path, place: Path) -> None:
        real(part, place)
        reached.set()
        assert let.wait(60)

    monkeypatch.setattr("api.workstations.stored.put_in_place", wait)
    return reached, let


async def test_a_look_while_a_file_gets_its_name_waits_and_says_all_of_it(
    station: Station, hung: tuple[threading.Event, threading.Event]
) -> None:
    reached, let = hung
    location = (await station.create(NAME, CONTENT)).headers["location"]
    storing = asyncio.create_task(station.patch(location, 0, CONTENT))
    assert await asyncio.to_thread(reached.wait, 60)
    looking = asyncio.create_task(station.head(location))
    creating = asyncio.create_task(station.create(NAME, CONTENT))
    done, _ = await asyncio.wait([looking, creating], timeout=0.3)
    assert not done, "what is on its way to be stored is neither lost nor there"
    let.set()
    assert (await looking).headers["upload-offset"] == str(len(CONTENT))
    created = await creating
    assert created.headers["location"] == location
    assert created.headers["upload-offset"] == str(len(CONTENT))
    assert (await storing).status_code == 204


async def test_bytes_that_come_while_it_gets_its_name_are_not_taken_twice(
    station: Station, hung: tuple[threading.Event, threading.Event]
) -> None:
    reached, let = hung
    location = (await station.create(NAME, CONTENT)).headers["location"]
    storing = asyncio.create_task(station.patch(location, 0, CONTENT))
    assert await asyncio.to_thread(reached.wait, 60)
    again = asyncio.create_task(station.patch(location, 0, CONTENT))
    await asyncio.wait([again], timeout=0.3)
    let.set()
    assert (await storing).status_code == 204, "it is waited for, not cut off"
    refused(await again, 409, "wrong_offset", f"{len(CONTENT)} bytes")
    assert names_in([station.making]) == [NAME], "no second copy is left"
