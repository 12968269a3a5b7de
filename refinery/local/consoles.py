"""Looking into the running system from a terminal: psql, and the services' logs."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from refinery import state
from refinery.addresses import DATABASES, of_running
from refinery.local.stack import embedded
from refinery.settings import Settings, SettingsError

LAST_LINES = 40
LOOK_EVERY_S = 0.25


def open_psql(settings: Settings, database: str, arguments: Sequence[str]) -> None:
    """Become psql on one of the three databases. Raises NotRunning or SettingsError."""
    if database not in DATABASES:
        raise SettingsError(f"--database {database}: there are only {', '.join(DATABASES)}.")
    if not settings.embedded_database:
        raise SettingsError("database_url is set: open that database with your own psql.")
    of_running(settings)
    argv = embedded(settings, state.read(settings).ports["postgres"]).psql(database, *arguments)
    os.execv(argv[0], argv)


def show_logs(settings: Settings, name: str, *, follow: bool) -> None:
    """Write the last lines of one log or of all to stdout; with `follow`, what is added, too.

    Raises SettingsError for a name that has no log.
    """
    known = sorted(path.stem for path in settings.logs.glob("*.log"))
    if name and name not in known:
        raise SettingsError(f"no log of '{name}'; there are: {', '.join(known) or 'none yet'}.")
    paths = [settings.logs / f"{each}.log" for each in ([name] if name else known)]
    ends = {path: path.stat().st_size for path in paths}
    for path in paths:
        for line in last_lines(path):
            show(path, line, alone=bool(name))
    while follow:
        for path in paths:
            for line in added(path, ends):
                show(path, line, alone=bool(name))
        time.sleep(LOOK_EVERY_S)


def last_lines(path: Path) -> list[str]:
    """The last lines of a log."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LAST_LINES * 400))
        return file.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]


def added(path: Path, ends: dict[Path, int]) -> Iterator[str]:
    """Whole lines added since the last look; a log begun anew is read from its start."""
    with path.open("rb") as file:
        if path.stat().st_size < ends[path]:
            ends[path] = 0
        file.seek(ends[path])
        whole, newline, _ = file.read().rpartition(b"\n")
    ends[path] += len(whole) + len(newline)
    yield from whole.decode("utf-8", "replace").splitlines()


def show(path: Path, line: str, *, alone: bool) -> None:
    """One line, with its service's name when several are shown."""
    sys.stdout.write(f"{line}\n" if alone else f"{path.stem:>16} | {line}\n")
    sys.stdout.flush()
