"""Looks at one system from outside and says, for whatever is wrong, what to do about it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from refinery import connections, services, state
from refinery.addresses import Addresses, resolve
from refinery.definitions import read_pipelines, read_sites
from refinery.doctor_prefect import reconcile, work_pool
from refinery.settings import Settings

MIN_FREE = 5_000_000_000  # bytes
DEADLINE_S = 5.0


@dataclass(frozen=True)
class SystemFinding:
    """One thing that was looked at; `what` says what was seen, and the remedy if it is ill."""

    name: str
    well: bool
    what: str


def examine(settings: Settings) -> list[SystemFinding]:
    """Everything there is to find; nothing is changed."""
    now = state.read(settings)
    findings = [*at_rest(settings)]
    if not now.running():
        return [*findings, SystemFinding("running", True, "no; start it with 'refinery up'")]
    findings.append(SystemFinding("running", now.ready, "yes" if now.ready else "being started"))
    findings += [
        SystemFinding(f"service {name}", who.alive(), f"process {who.pid}")
        for name, who in now.services.items()
    ]
    return [*findings, *at_work(settings, resolve(settings, now.ports))]


def at_rest(settings: Settings) -> Iterator[SystemFinding]:
    """What can be judged whether or not the system runs."""
    yield look("pipelines", lambda: f"{len(read_pipelines(settings))} in {settings.pipelines}")
    yield look("sites", lambda: ", ".join(site.name for site in read_sites(settings)))
    yield look("N-Drive", partial(n_drive, settings))
    yield look("disk", partial(disk, settings))


def at_work(settings: Settings, addresses: Addresses) -> Iterator[SystemFinding]:
    """What only a running system can tell."""
    yield look("database", partial(database, addresses.database))
    yield look("Prefect", partial(answers, f"{addresses.prefect_api}/health"))
    for pool in (settings.work_pool, settings.housekeeping_pool):
        yield look(f"work pool {pool}", partial(work_pool, addresses.prefect_api, pool))
    yield look("reconcile", partial(reconcile, addresses.prefect_api))
    for name in services.APPS:
        yield look(f"API for {name}", partial(answers, f"{getattr(addresses, name)}/health"))
    yield look("ARS", partial(archive, settings, addresses))


def look(name: str, at: Callable[[], str]) -> SystemFinding:
    """A finding from a look that raises, in plain words, when something is wrong."""
    try:
        return SystemFinding(name, True, at())
    except (OSError, RuntimeError, ValueError, psycopg.Error, httpx.HTTPError) as error:
        return SystemFinding(name, False, str(error) or type(error).__name__)


def n_drive(settings: Settings) -> str:
    """The watched folders that are there. Raises OSError when the drive is not readable."""
    root = connections.n_drive(settings).root
    there = sorted({path.name for path in root.iterdir()} & set(settings.workstations))
    return f"{root}: {', '.join(there) or 'no folder of a watched workstation yet'}"


def disk(settings: Settings) -> str:
    """The room under the state folder. Raises OSError when there is too little."""
    settings.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.state).free
    if free < MIN_FREE:
        raise OSError(
            f"only {free / 1e9:.1f} GB are free under {settings.state}: make room, or set store "
            "to a larger disk"
        )
    return f"{free / 1e9:.0f} GB are free under {settings.state}"


def database(url: str) -> str:
    """The revision of the tables. Raises psycopg.Error or RuntimeError."""
    address = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address, connect_timeout=int(DEADLINE_S)) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise RuntimeError("it has no tables yet: run 'refinery migrate'")
    return f"tables at revision {row[0]}"


def answers(url: str) -> str:
    """That a service answers. Raises httpx.HTTPError or RuntimeError."""
    status = httpx.get(url, timeout=DEADLINE_S, trust_env=False).status_code
    if status != 200:
        raise RuntimeError(f"{url} answers {status}: see 'refinery logs'")
    return url


def archive(settings: Settings, addresses: Addresses) -> str:
    """That ARS gives us a token. Raises what the client raises."""
    health = answers(f"{addresses.ars}/ars/actuator/health")
    return f"{health} ({'the stand-in' if settings.stand_in_ars else 'ARS'})"


def told(findings: list[SystemFinding]) -> None:
    """Show the findings, the ill ones marked."""
    table = Table(box=None, show_header=False)
    for finding in findings:
        mark = "[green]well[/]" if finding.well else "[red]ill[/]"
        table.add_row(mark, finding.name, finding.what)
    Console(highlight=False).print(table)
