"""A ready-made tus client sends files as ours does: tuspy, which knows nothing of this server."""

import asyncio
import json
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader import Uploader

from tests.support.workstations import Station, names_in, refused, sha256

NAME = "7ea æble 1.tif"
SIZE, CHUNK = 20_000_000, 4_000_000
CONTENT = random.Random(28).randbytes(SIZE)


OPENED: list[IO[bytes]] = []


class ClosingUploader(Uploader):
    """tuspy leaves the files open that it was given by their names; a test closes them."""

    def get_file_stream(self) -> IO[bytes]:
        stream: IO[bytes] = super().get_file_stream()
        OPENED.append(stream)
        return stream


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    return path


def uploader(station: Station, image: Path, **given: Any) -> Uploader:
    """An uploader of that file; it asks the server for what is there if it remembers its url."""
    said = {
        "workstation": station.name,
        "session": station.session,
        "filename": image.name,
        "checksum": sha256(CONTENT),
        "fixityAlgorithm": "sha256",
    }
    client = TusClient(f"{station.http.base_url}/files", headers=station.headers)
    metadata = said | given.pop("metadata", {})
    return ClosingUploader(str(image), client=client, chunk_size=CHUNK, metadata=metadata, **given)


async def test_a_file_arrives_in_chunks(station: Station, image: Path) -> None:
    sending = await asyncio.to_thread(uploader, station, image)
    await asyncio.to_thread(sending.upload)
    assert sending.offset == SIZE
    assert (station.making / NAME).read_bytes() == CONTENT
    assert names_in([station.making]) == [NAME]
    stored = await station.stored(sending.url)
    assert stored.json()["sha256"] == sha256(CONTENT)


async def test_another_run_of_it_goes_on_by_the_url_that_it_stored(
    station: Station, image: Path, tmp_path: Path
) -> None:
    storage = FileStorage(str(tmp_path / "urls.json"))
    kept = {"store_url": True, "url_storage": storage}
    first = await asyncio.to_thread(partial(uploader, station, image, **kept))
    await asyncio.to_thread(first.upload, 2 * CHUNK)
    assert not (station.making / NAME).exists()
    second = await asyncio.to_thread(partial(uploader, station, image, **kept))
    assert (second.url, second.offset) == (first.url, 2 * CHUNK)
    await asyncio.to_thread(second.upload)
    assert (station.making / NAME).read_bytes() == CONTENT
    third = await asyncio.to_thread(partial(uploader, station, image, **kept))
    assert third.offset == SIZE, "a stored file has nothing to be sent"
    storage.close()


async def test_without_a_stored_url_the_server_knows_how_far_it_was(
    station: Station, image: Path
) -> None:
    first = await asyncio.to_thread(uploader, station, image)
    await asyncio.to_thread(first.upload, CHUNK)
    url = await asyncio.to_thread(uploader(station, image).create_url)
    assert url == first.url
    second = await asyncio.to_thread(partial(uploader, station, image, url=url))
    assert second.offset == CHUNK
    await asyncio.to_thread(second.upload)
    assert (station.making / NAME).read_bytes() == CONTENT


async def test_a_checksum_that_differs_is_told_and_its_url_leads_nowhere(
    station: Station, image: Path, tmp_path: Path
) -> None:
    storage = FileStorage(str(tmp_path / "urls.json"))
    kept = {"store_url": True, "url_storage": storage}
    wrong = {"metadata": {"checksum": "0" * 64}}
    sending = await asyncio.to_thread(partial(uploader, station, image, **wrong, **kept))
    with pytest.raises(TusUploadFailed) as failed:
        await asyncio.to_thread(sending.upload)
    assert failed.value.status_code == 460
    told = json.loads(failed.value.response_content)
    assert told["code"] == "checksum_differs" and NAME in told["error"]
    assert names_in([station.making]) == []
    with pytest.raises(TusCommunicationError) as gone:
        await asyncio.to_thread(partial(uploader, station, image, **kept))
    assert gone.value.status_code == 404
    storage.close()
    again = await asyncio.to_thread(uploader, station, image)
    await asyncio.to_thread(again.upload)
    assert (station.making / NAME).read_bytes() == CONTENT


async def test_a_refusal_reaches_its_user(station: Station, image: Path) -> None:
    sending = await asyncio.to_thread(
        partial(uploader, station, image, metadata={"workstation": "WORKHERB0002"})
    )
    with pytest.raises(TusCommunicationError) as failed:
        await asyncio.to_thread(sending.upload)
    assert failed.value.status_code == 403
    assert json.loads(failed.value.response_content)["code"] == "not_your_workstation"


async def test_what_head_tells_of_an_upload_is_what_was_said_of_it(
    station: Station, image: Path
) -> None:
    sending = await asyncio.to_thread(uploader, station, image)
    await asyncio.to_thread(sending.upload, CHUNK)
    told = (await station.head(sending.url)).headers["upload-metadata"]
    assert sorted(told.split(",")) == sorted(sending.encode_metadata())


async def test_a_broken_offset_is_refused_and_named(station: Station, image: Path) -> None:
    sending = await asyncio.to_thread(uploader, station, image)
    await asyncio.to_thread(sending.upload, CHUNK)
    refused(await station.patch(sending.url, 0, CONTENT), 409, "wrong_offset", str(CHUNK))
