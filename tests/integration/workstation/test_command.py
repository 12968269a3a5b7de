"""`refinery ingest` as a person or a script calls it, before the real upload API."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.camera import camera_session
from tests.support.clients import Client, assert_all_is_there, on_drive
from workstation.places import Places
from workstation.session.last_used import LastUsed
from workstation.watching import IngestPhase

ENDS_S = 60.0
GIVEN = ("--collection", "NHMD Vascular Plants", "--digitiser", "Åse Ø")
PROGRAM = "import sys; from refinery.cli import main; sys.argv[0] = 'refinery'; main()"


class Command:
    """The command at this workstation: its state lies in a folder of the test."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.state = Places(client.root / "share" / "Specimen Refinery")

    def __call__(
        self, *words: str, password: str = "", typed: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {
            **os.environ,
            "XDG_DATA_HOME": str(self.client.root / "share"),
            "REFINERY_PASSWORD": password or self.client.password,
            "PYTHONUTF8": "1",
            **more,
        }
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, "ingest", *words],
            env={name: value for name, value in variables.items() if value},
            input=typed,
            text=True,
            encoding="utf-8",
            capture_output=True,
            timeout=ENDS_S,
            check=False,
        )

    def first(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The first use here: it names the server."""
        known = ("--server", self.client.url, "--user", self.client.user, *GIVEN)
        return self(str(self.client.folder), *known, *words)


@pytest.fixture
def command(client: Client) -> Command:
    return Command(client)


def test_a_dry_run_changes_nothing_at_either_end(command: Command, drive: Path) -> None:
    before = command.client.local()
    done = command.first("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "3 specimens; 6 files to send" in done.stdout
    assert "3 raw files are not uploaded" in done.stdout
    assert "DSCF0001.tif -> " in done.stdout and "Nothing was changed" in done.stdout
    assert command.client.local() == before and on_drive(drive) == {}
    assert not command.state.last_used.exists() and not command.state.choices.exists()


def test_a_session_is_sent_and_the_next_needs_no_more_than_its_folder(
    command: Command, drive: Path
) -> None:
    done = command.first("--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The raw files are NOT uploaded; deleting them now is for ever: 3 raws" in done.stdout
    assert done.stdout.count("SHA-256") == 3 and "The session is complete." in done.stdout
    assert command.client.local() == {}
    assert LastUsed.read(command.state.last_used) == LastUsed(
        server=command.client.url, user="Åse", workstation="WORKHERB0001"
    )
    (report,) = command.state.reports.glob("*.json")
    assert json.loads(report.read_text(encoding="utf-8"))["result"] == "done"
    camera_session(command.client.folder, 1, first=7)
    again = command(str(command.client.folder), "--upload-raw")
    assert again.returncode == 0, again.stdout + again.stderr
    assert sum(name.endswith(".raf") for name in on_drive(drive)) == 1


def test_where_nobody_can_agree_raws_are_kept(command: Command) -> None:
    done = command.first()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nobody is there to agree" in done.stdout
    assert [name[-4:] for name in command.client.local()] == [".raf"] * 3


def test_a_password_that_is_wrong_is_said_and_nothing_is_changed(command: Command) -> None:
    before = command.client.local()
    known = ("--server", command.client.url, "--user", "Åse", *GIVEN)
    done = command(str(command.client.folder), *known, password="no")
    assert done.returncode == 1 and "password" in done.stderr
    assert command.client.local() == before


def test_the_password_may_be_a_line_of_input(command: Command) -> None:
    known = ("--server", command.client.url, "--user", "Åse", "--dry-run", *GIVEN)
    folder = str(command.client.folder)
    done = command(folder, *known, typed="a long password\n", REFINERY_PASSWORD="")
    assert done.returncode == 0, done.stderr


def test_what_is_missing_or_not_offered_is_named(command: Command) -> None:
    folder, url = str(command.client.folder), command.client.url
    assert command().returncode == 2
    nowhere = command(folder)
    assert nowhere.returncode == 2 and "--server" in nowhere.stderr
    known = ("--server", url, "--user", "Åse", "--digitiser", "Åse Ø")
    other = command(folder, *known, "--collection", "NHMD Vascular Plant")
    assert other.returncode == 2, other.stderr
    assert "nearest is 'NHMD Vascular Plants'" in other.stderr
    readable = command(folder, "--server", "http://refinery.example.org")
    assert readable.returncode == 2


def test_every_problem_of_a_folder_is_shown_at_once_and_nothing_is_changed(
    command: Command, drive: Path
) -> None:
    folder = command.client.folder
    (folder / "DSCF0001.RAF").unlink()
    (folder / "DSCF0002.tif").write_bytes(b"")
    done = command.first("--yes")
    assert done.returncode == 1
    assert "DSCF0001.tif: it has no raw file" in done.stdout
    assert "DSCF0002.tif: " in done.stdout
    assert len(list(folder.iterdir())) == 5 and on_drive(drive) == {}


def test_a_server_that_is_away_asks_to_come_back(command: Command) -> None:
    known = ("--server", "http://127.0.0.1:9", "--user", "Åse")
    done = command(str(command.client.folder), *known)
    assert done.returncode == 75 and "does not answer" in done.stderr


def test_it_shows_where_sessions_are_and_cleans_up_after_the_archive(
    command: Command, drive: Path
) -> None:
    done = command.first("--delete-after", "archived")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "until the archive has them" in done.stdout
    shown = command("--sessions")
    assert shown.returncode == 0 and "3 specimens: 3 received" in shown.stdout, shown.stderr
    cleaned = command("--clean", "--yes")
    assert cleaned.returncode == 0 and "until the archive has them" in cleaned.stdout
    assert len(command.client.local()) == 9, "nothing is archived yet"
    assert len(on_drive(drive)) == 7


def test_the_client_goes_on_with_a_session_that_was_broken_off(
    command: Command, drive: Path
) -> None:
    """What the fault tests show of each moment, once by the command itself."""
    client = command.client

    class Here(Client):
        @property
        def places(self) -> Places:
            return command.state

    own = Here(client.root, client.url)

    def stop() -> None:
        assert own.running is not None
        own.running.stop()

    own.seen.on_begin[IngestPhase.CONFIRM] = stop
    own.ingest()
    known = ("--server", client.url, "--user", "Åse", "--yes")
    done = command(str(client.folder), *known)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Going on with session" in done.stdout
    assert_all_is_there(own, drive)
