"""Two clients never work on one folder; a lock ends with the process that held it."""

import subprocess
import sys
from pathlib import Path

import pytest

from workstation.journal.folder_lock import FolderInUse, LockUnusable, locked_folder

HOLDER = """
import sys
from pathlib import Path
from workstation.journal.folder_lock import locked_folder
with locked_folder(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_client_is_refused_until_the_first_is_gone_however_it_goes(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "locks"), "/Billeder/Ærø 1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
            refused = pytest.raises(FolderInUse, match="Ærø 1: another client")
            with refused, locked_folder(tmp_path / "locks", "/Billeder/Ærø 1"):
                pass
            with locked_folder(tmp_path / "locks", "/Billeder/Ærø 2"):
                pass
        finally:
            holder.kill()
    with locked_folder(tmp_path / "locks", "/Billeder/Ærø 1"):
        pass


def test_one_process_cannot_hold_it_twice_and_can_hold_it_again(tmp_path: Path) -> None:
    with locked_folder(tmp_path, "a"), pytest.raises(FolderInUse), locked_folder(tmp_path, "a"):
        pass
    with locked_folder(tmp_path, "a"):
        pass


def test_a_lock_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with locked_folder(tmp_path, "a"):
        pass
    (lock,) = tmp_path.iterdir()
    lock.write_bytes(b"no database, but something else" * 100)
    with pytest.raises(LockUnusable, match=lock.name), locked_folder(tmp_path, "a"):
        pass
