"""A folder that plays other machines: a Python with the modules' libraries, and a user to run it.

Started by root, agents are run as `nobody`, so that neither our database's password nor the
repository can be read by them. Where that user can run no Python that has the libraries, as with
one in root's home, they run as we do.
"""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hpc.archives import build_agent, build_runner
from refinery.postgres_home import Account

USER = "nobody"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
MAX_SECONDS = 120.0


class NoMachine(RuntimeError):
    """No Python here can run the modules: run `make setup`."""


@dataclass(frozen=True)
class LabMachine:
    """Where agents run: `program` is their file, `python` has the modules' libraries, `account` is
    who runs them."""

    folder: Path
    program: Path
    python: Path
    account: Account = field(default_factory=Account)

    @property
    def user(self) -> str:
        """The name of who runs them."""
        uid = os.geteuid() if self.account.uid is None else self.account.uid
        return pwd.getpwuid(uid).pw_name


@contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """A folder that every user can enter, unlike the state folder of a project in somebody's home;
    removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_machine(folder: Path) -> LabMachine:
    """Put all that agents need below `folder`, which every user can enter. Raises NoMachine."""
    program, runner = build_agent(folder), build_runner(folder)
    for number, (account, base) in enumerate(_candidates()):
        python = _make_python(folder / f"python{number}", base)
        made = LabMachine(folder, program, python, account)
        if _runs(made, runner):
            return made
    raise NoMachine(f"{sys.executable} cannot run the modules outside this project: make setup")


def _candidates() -> Iterator[tuple[Account, str]]:
    """Who may run agents, and a Python of our version; the best first."""
    own = os.path.realpath(sys.executable)
    if os.geteuid() == 0:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        with suppress(KeyError):
            entry = pwd.getpwnam(USER)
            for base in filter(None, (own, shutil.which(name, path=SYSTEM_PATH))):
                yield Account(entry.pw_uid, entry.pw_gid), base
    yield Account(), own


def _make_python(folder: Path, base: str) -> Path:
    """A Python that has our libraries, and not our repository, beside its own."""
    command = [base, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=MAX_SECONDS)
    (libraries,) = folder.glob("lib/python3*/site-packages")
    # What such a file names is taken as it is: the files in it that name us are not read.
    ours = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (libraries / "libraries.pth").write_text("".join(f"{path}\n" for path in ours))
    return folder / "bin" / "python"


def _runs(machine: LabMachine, runner: Path) -> bool:
    """Whether the modules find there all that they need."""
    try:
        done = subprocess.run(
            [str(machine.python), str(runner), "--check"],
            cwd=machine.folder,
            user=machine.account.uid,
            group=machine.account.gid,
            extra_groups=machine.account.extra_groups,
            env={"PATH": SYSTEM_PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0
