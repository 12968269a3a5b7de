"""`refinery ingest --page`: the program that opens the page, and ends when the page says so."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = "import sys; from refinery.cli import main; sys.argv[0] = 'refinery'; main()"
BROWSER = """
import re, sys, httpx
with httpx.Client(follow_redirects=True, timeout=30) as browser:
    shown = browser.get(sys.argv[1])
    token = re.search('name="form_token" value="([^"]+)"', shown.text)[1]
    base = sys.argv[1].partition("/open")[0]
    ended = browser.post(f"{base}/quit", data={"form_token": token})
open(sys.argv[2], "w").write(f"{shown.status_code} {ended.status_code} {shown.text}")
"""


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, with a browser that quits as soon as it has seen the first page."""
    script = tmp_path / "browser.py"
    script.write_text(BROWSER)
    variables = os.environ | {
        "XDG_DATA_HOME": str(tmp_path / "share"),
        "BROWSER": f"{sys.executable} {script} %s {tmp_path / 'seen.html'}",
        "PYTHONUTF8": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "ingest", *words],
        env=variables, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_opens_the_browser_at_the_page_and_ends_with_it(tmp_path: Path) -> None:
    done = run(tmp_path, "--page", "--server", "https://museum.example")
    assert done.returncode == 0, done.stderr
    assert "open in your browser" in done.stdout and "is closed" in done.stdout
    seen = (tmp_path / "seen.html").read_text()
    assert seen.startswith("200 200") and 'value="https://museum.example"' in seen


def test_a_folder_is_chosen_on_the_page_and_not_beside_it(tmp_path: Path) -> None:
    done = run(tmp_path, "--page", str(tmp_path))
    assert done.returncode == 2 and "chosen on the page" in done.stderr
