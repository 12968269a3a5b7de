"""Pictures are of the specimens that were found in the chosen folder, and of nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.camera import VALUES, camera_image, camera_session
from workstation.journal.journal import SessionJournal
from workstation.page.admission import Admission
from workstation.page.app import create_app
from workstation.page.state import PageState
from workstation.places import Places
from workstation.session.folders import find_specimens


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera_session(tmp_path / "Ærø", 2)


@pytest.fixture
async def browser(tmp_path: Path, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on a page that has looked at a folder, for the third time."""
    places, admission = Places(tmp_path / "state"), Admission(4000)
    with SessionJournal(places.journal) as journal:
        state = PageState(places, journal, "", "1.2.3", values=VALUES, folder=folder, looks=3)
        state.scan = find_specimens(folder)
        transport = httpx.ASGITransport(app=create_app(state, admission, lambda: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:4000") as made:
            await made.get(admission.first_address.replace("127.0.0.1", "localhost"))
            yield made


async def test_each_specimen_has_its_picture(browser: httpx.AsyncClient) -> None:
    for index in (0, 1):
        answer = await browser.get(f"/pictures/3/{index}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


@pytest.mark.parametrize("path", ["3/2", "3/-1", "2/0", "4/0", "3/DSCF0001.tif", "3/%2e%2e%2fa"])
async def test_no_other_address_has_one(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(f"/pictures/{path}")).status_code in (404, 422)


async def test_a_file_that_became_a_link_out_of_the_folder_is_not_followed(
    browser: httpx.AsyncClient, folder: Path, tmp_path: Path
) -> None:
    (folder / "DSCF0001.tif").unlink()
    (folder / "DSCF0001.tif").symlink_to(camera_image(tmp_path / "secret.tif", 9))
    assert (await browser.get("/pictures/3/0")).status_code == 404


async def test_a_file_that_went_away_has_none(browser: httpx.AsyncClient, folder: Path) -> None:
    (folder / "DSCF0001.tif").unlink()
    assert (await browser.get("/pictures/3/0")).status_code == 404
