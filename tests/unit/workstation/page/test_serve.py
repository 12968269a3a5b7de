"""The page as it is opened and served: to this machine alone, once, until it is told to end."""

import os
import re
import threading
import webbrowser
from pathlib import Path
from queue import Queue

import httpx
import pytest

from tests.support.serving import free_port
from workstation.page.running_page import note_page, running_page
from workstation.page.serve import open_page
from workstation.places import Places


def end(address: str) -> None:
    """Do what the button Quit does."""
    with httpx.Client(follow_redirects=True) as browser:
        found = re.search('name="form_token" value="([^"]+)"', browser.get(address).text)
        assert found
        base = address.partition("/open")[0]
        assert browser.post(f"{base}/quit", data={"form_token": found[1]}).status_code == 200


def test_it_is_shown_served_shown_again_and_gone_when_it_was_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: Queue[str] = Queue()
    said: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.put)
    places = Places(tmp_path / "state")
    thread = threading.Thread(target=open_page, args=(places, "", said.append))
    thread.start()
    try:
        first = shown.get(timeout=60)
        assert first.startswith("http://127.0.0.1:") and first in said[-1]
        if os.name == "posix":
            assert (places.root / "page-address").stat().st_mode & 0o077 == 0
        open_page(places, "", said.append)
        assert shown.get(timeout=60) == first
    finally:
        end(first)
        thread.join(60)
    assert not thread.is_alive()
    assert said[-1] == "The page is closed."
    assert running_page(places) is None


def test_an_address_that_a_crash_left_leads_nowhere(tmp_path: Path) -> None:
    places = Places(tmp_path)
    assert running_page(places) is None
    for left in (f"http://127.0.0.1:{free_port()}/open?token=x", "", "nonsense", "http://["):
        note_page(places, left)
        assert running_page(places) is None, left
