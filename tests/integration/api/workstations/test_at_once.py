"""Eight workstations send at once, over connections that break: nothing is lost or mixed up."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import WorkstationApi, create_app
from tests.support.serving import free_port, served
from tests.support.workstations import Station, names_in, refused, sha256, write_users

NAMES = tuple(f"WORKHERB{n:04d}" for n in range(1, 9))
FILES = 3
MB = 1_000_000
SIZE = 8 * MB + 123
PIECE = 256 * 1024


class CableOut(Exception):
    """The connection breaks."""


def content_of(n: int, file: int) -> bytes:
    """What no other file has."""
    return random.Random(100 * n + file).randbytes(SIZE)


async def cut(content: bytes, after: int) -> AsyncIterator[bytes]:
    """So many bytes of a content, then no connection."""
    for begin in range(0, after, PIECE):
        yield content[begin : min(begin + PIECE, after)]
    raise CableOut


async def send_with_breaks(station: Station, name: str, content: bytes, *breaks: int) -> str:
    """Send a file by several connections, all but the last of which break after so many bytes."""
    location = (await station.create(name, content)).headers["location"]
    for after in breaks:
        there = await arrived(station, location)
        with pytest.raises(CableOut):
            await station.patch(location, there, cut(content[there:], after))
    while (there := await arrived(station, location)) < len(content):
        answer = await station.patch(location, there, content[there:])
        # What was under way when the connection broke may have come since the look.
        assert answer.status_code in (204, 409, 423), answer.text
    return location


async def arrived(station: Station, location: str) -> int:
    head = await station.head(location)
    assert head.status_code == 200, (head.status_code, head.headers)
    return int(head.headers["upload-offset"])


async def send_a_session(station: Station, n: int) -> dict[str, bytes]:
    """Send three files at once, have each confirmed, end the session; what was sent."""
    files = {f"w{n}-{file}.tif": content_of(n, file) for file in range(FILES)}
    draw = random.Random(n)
    located = await asyncio.gather(
        *(
            send_with_breaks(station, name, content, draw.randrange(1, 4 * MB), 3 * MB)
            for name, content in files.items()
        )
    )
    for name, location in zip(files, located, strict=True):
        stored = (await station.stored(location)).json()
        assert (stored["name"], stored["sha256"]) == (name, sha256(files[name]))
    assert (await station.end(files)).status_code == 200
    return files


async def test_eight_workstations_at_once_each_have_their_own_session_whole(
    config: WorkstationApi, engine: AsyncEngine, tmp_path: Path
) -> None:
    users = tmp_path / "eight.toml"
    write_users(users, {f"user {name}": (name,) for name in NAMES})
    for name in NAMES:
        (config.n_drive / name).mkdir(exist_ok=True)
    eight = replace(config, workstations=NAMES, users_file=users)
    with served(create_app(eight), free_port(), ws="none") as url:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:
            stations = [
                await Station(http, config.n_drive, name, f"s{n}").log_in(f"user {name}")
                for n, name in enumerate(NAMES)
            ]
            sent = await asyncio.gather(
                *(send_a_session(station, n) for n, station in enumerate(stations))
            )
            for station, files in zip(stations, sent, strict=True):
                assert [path.name for path in station.made.parent.iterdir()] == [station.session]
                assert names_in([station.made]) == sorted([".complete", *files])
                for name, content in files.items():
                    assert sha256((station.made / name).read_bytes()) == sha256(content)
            stations[0].name = NAMES[1]
            refused(await stations[0].create("x.tif", b"x"), 403, "not_your_workstation")
    async with engine.connect() as tx:
        asked = "SELECT workstation, session, sent_by, guid, stored_at FROM track.upload"
        rows = (await tx.execute(text(asked))).all()
        opened = text("SELECT count(*) FROM track.upload WHERE opens_session")
        assert (await tx.execute(opened)).scalar_one() == len(NAMES), "one session each"
    assert len(rows) == len(NAMES) * FILES and all(row.stored_at for row in rows)
    for row in rows:
        n = NAMES.index(row.workstation)
        assert (row.session, row.sent_by) == (f"s{n}", f"user {row.workstation}")
        assert row.guid.startswith(f"w{n}-")
