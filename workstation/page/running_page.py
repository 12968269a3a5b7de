"""Finds the page that is served already, so that whoever starts the program again sees that one.

Its address is in a file that only this user may read; it goes with the page, and one that was
left by a crash leads nowhere.
"""

import os
from contextlib import suppress
from pathlib import Path

import httpx

from workstation.page.admission import OPEN
from workstation.places import Places, private_folder
from workstation.problems import translated

ANSWER_S = 5.0


def note_page(places: Places, address: str) -> None:
    """Write down that the page is served at its first address. Raises WorkstationError."""
    path = _file(places)
    private_folder(places.root)
    forget_page(places)
    try:
        # Made for this user alone from the first, whatever the folder allows.
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(opened, "wb") as stream:
            stream.write(address.encode())
    except OSError as error:
        raise translated(error, path) from error


def forget_page(places: Places) -> None:
    """Note that it is served no longer."""
    with suppress(OSError):
        _file(places).unlink()


def running_page(places: Places) -> str | None:
    """The first address of a page that answers, None when there is none."""
    try:
        address = _file(places).read_text("ascii")
        answer = httpx.get(address, timeout=ANSWER_S, trust_env=False)
    except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL):
        return None
    # Another program may have its port by now; only the page knows what its secret is for.
    return address if answer.is_redirect and OPEN in address else None


def _file(places: Places) -> Path:
    return places.root / "page-address"
