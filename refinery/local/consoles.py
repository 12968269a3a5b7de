"""The running system at a terminal: psql, and the services' logs."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from refinery import state
from refinery.addresses import DATABASES, of_running
from refinery.local.service import added, tail
from refinery.local.stack import embedded
from refinery.settings import Settings, SettingsError
from schemas.log_lines import readable

LAST_LINES = 40
POLL_S = 0.25


def open_psql(settings: Settings, database: str, arguments: Sequence[str]) -> None:
    """Become psql on one of the three databases. Raises NotRunning or SettingsError."""
    if database not in DATABASES:
        raise SettingsError(f"--database {database}: there are only {', '.join(DATABASES)}.")
    if not settings.embedded_database:
        raise SettingsError("database_url is set: open that database with your own psql.")
    of_running(settings)
    postgres = embedded(settings, state.read(settings).ports["postgres"])
    argv = postgres.client("psql", database, *arguments)
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
        show(path, tail(path, LAST_LINES * 400).splitlines()[-LAST_LINES:], alone=bool(name))
    while follow:
        for path in paths:
            lines, ends[path] = added(path, ends[path])
            show(path, lines, alone=bool(name))
        time.sleep(POLL_S)


def show(path: Path, lines: list[str], *, alone: bool) -> None:
    """Lines of a log, with its service's name when several logs are shown."""
    for line in lines:
        text = readable(line)
        sys.stdout.write(f"{text}\n" if alone else f"{path.stem:>16} | {text}\n")
    sys.stdout.flush()
