"""Checks one system from outside, Prefect's pools too; each fault is shown with its remedy."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from blocks.access.users import Role, UsersFile
from refinery import connections, services, state
from refinery.addresses import Addresses, resolve
from refinery.definitions import read_pipelines, read_sites
from refinery.offered import check_offered
from refinery.reconcile_watch import RECONCILED_S
from refinery.settings import Settings

MIN_FREE = 5_000_000_000  # bytes
DEADLINE_S = 5.0

LATE_S = 60.0
"""A run that has waited this long for its place is reported; less is a burst."""

MAX_RUNS = 200
"""Runs that Prefect's API gives at once."""


@dataclass(frozen=True)
class SystemFinding:
    """One thing that was checked; `what` says what was found, and the remedy if it is not well."""

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
    """What can be checked whether or not the system runs."""
    yield check("pipelines", lambda: f"{len(read_pipelines(settings))} in {settings.pipelines}")
    yield check("sites", lambda: ", ".join(site.name for site in read_sites(settings)))
    yield check("workstations", partial(workstations, settings))
    yield check("users", partial(users, settings))
    yield check("N-Drive", partial(n_drive, settings))
    yield check("disk", partial(disk, settings))
    yield SystemFinding("alarms", True, told(settings))
    yield check("issue tracker", partial(issue_tracker, settings))


def at_work(settings: Settings, addresses: Addresses) -> Iterator[SystemFinding]:
    """What can be checked of a running system only."""
    yield check("database", partial(database, addresses.database))
    yield check("Prefect", partial(answers, f"{addresses.prefect_api}/health"))
    with connections.prefect(addresses) as prefect:
        for pool in (settings.work_pool, settings.housekeeping_pool):
            yield check(f"work pool {pool}", partial(work_pool, prefect, pool))
        yield check("reconcile", partial(reconcile, prefect))
    for name in services.APPS:
        yield check(f"API for {name}", partial(answers, f"{getattr(addresses, name)}/health"))
    yield check("ARS", partial(archive, settings, addresses))


def check(name: str, at: Callable[[], str]) -> SystemFinding:
    """A finding from a check that raises, in plain words, when something is wrong."""
    try:
        return SystemFinding(name, True, at())
    except (OSError, RuntimeError, ValueError, psycopg.Error, httpx.HTTPError) as error:
        return SystemFinding(name, False, str(error) or type(error).__name__)


def workstations(settings: Settings) -> str:
    """Who is offered values to choose from.

    Raises DigitisationError or UnknownNames, and PipelineError of the pipelines they name.
    """
    pipelines = [each.name for each in read_pipelines(settings)]
    there = check_offered(settings, pipelines).workstations
    return f"{len(there)} are offered what stands in {settings.workstations_file}"


def users(settings: Settings) -> str:
    """Who may log in. Raises BrokenUsersFile, or OSError when others may read the file."""
    path = settings.users_file
    found = UsersFile(path).read().values()
    if found and path.stat().st_mode & 0o077:
        raise OSError(f"others may read the hashes in {path}: run 'chmod 600 {path}'")
    there = [f"{sum(user.role == role for user in found)} {role}s" for role in Role]
    shown = f"{' and '.join(there)} in {path}" if found else "none; add one: 'refinery user add'"
    return f"{shown}; others at {settings.oidc_issuer}" if settings.oidc_issuer else shown


def told(settings: Settings) -> str:
    """Who is told of alarms."""
    many = len(settings.alarm_urls)
    if not many:
        return "nobody is told of them: set alarm_urls (docs/alarms.md)"
    places = "1 address" if many == 1 else f"{many} addresses"
    return f"{places}; 'refinery alarm-test' sends a message to each"


def issue_tracker(settings: Settings) -> str:
    """Where workstations' problems become issues. Raises RuntimeError when it is not reached."""
    tracker = connections.issue_tracker(settings)
    if tracker is None:
        return "none: problems of workstations become no issues; set issue_tracker_repository"
    from blocks.issue_errors import TrackerError
    from blocks.issue_tracking import check_tracker

    try:
        return f"issues of {asyncio.run(check_tracker(tracker))}"
    except TrackerError as error:
        raise RuntimeError(str(error)) from error


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


def work_pool(prefect: httpx.Client, name: str) -> str:
    """How a pool does, in a line. Raises RuntimeError with the remedy, or httpx.HTTPError."""
    found = prefect.get(f"/work_pools/{name}")
    if found.status_code == httpx.codes.NOT_FOUND:
        raise RuntimeError("there is none: 'refinery up' makes it")
    found.raise_for_status()
    waiting = late(prefect, name)
    if found.json()["is_paused"]:
        command = f"prefect work-pool resume {name}"
        raise RuntimeError(f"it is paused, {waiting or 'and nothing starts'}: run '{command}'")
    workers = ask(prefect, f"work_pools/{name}/workers")
    online = sum(each["status"] == "ONLINE" for each in workers)
    if not online:
        raise RuntimeError(
            f"no worker is online, {waiting or 'and nothing starts'}: see 'refinery logs' of it; "
            "'refinery up' starts one for each pool"
        )
    if waiting:
        raise RuntimeError(
            f"{waiting}: every place is taken. Look which runs hold them (Prefect's page of the "
            "pool), or raise flow_runs in refinery.toml"
        )
    return f"{online} worker{'s' * (online > 1)} online, nothing waits for a place"


def late(prefect: httpx.Client, pool: str) -> str:
    """How many runs of a pool wait for a place, and since when the oldest does; empty: none."""
    runs = ask(
        prefect,
        "flow_runs",
        work_pools={"name": {"any_": [pool]}},
        flow_runs={"state": {"name": {"any_": ["Late"]}}},
        sort="EXPECTED_START_TIME_ASC",
    )
    waited = max((_ago_s(run["expected_start_time"]) for run in runs), default=0.0)
    if waited < LATE_S:
        return ""
    many = f"{MAX_RUNS} or more" if len(runs) == MAX_RUNS else str(len(runs))
    return f"{many} of its runs are late, the oldest by {waited / 60:.0f} min"


def reconcile(prefect: httpx.Client) -> str:
    """When reconcile ran last. Raises RuntimeError when that is too long ago."""
    if not ask(prefect, "deployments", flows={"name": {"any_": ["reconcile"]}}):
        return "this project has none"
    runs = ask(
        prefect,
        "flow_runs",
        flows={"name": {"any_": ["reconcile"]}},
        flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}},
        sort="END_TIME_DESC",
        limit=1,
    )
    if not runs:
        remedy = "look whether its pool has a worker and its schedule is active"
        raise RuntimeError(
            f"it has never run to its end: right after a start wait a minute, else {remedy}"
        )
    ago = _ago_s(runs[0]["end_time"])
    if ago > RECONCILED_S:
        raise RuntimeError(
            f"it ran last {ago / 60:.0f} min ago and should every minute: look at the runs of "
            "reconcile/every-minute, at its schedule, and at the pool for housekeeping"
        )
    return f"ran {ago:.0f} s ago"


def ask(prefect: httpx.Client, what: str, **filters: Any) -> list[dict[str, Any]]:
    """What Prefect's API answers to a filter. Raises httpx.HTTPError."""
    body = {"limit": MAX_RUNS} | filters
    answer = prefect.post(f"/{what}/filter", json=body)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


def _ago_s(when: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()


def show(findings: list[SystemFinding]) -> None:
    """Show the findings, the ill ones marked."""
    table = Table(box=None, show_header=False)
    for finding in findings:
        mark = "[green]well[/]" if finding.well else "[red]ill[/]"
        table.add_row(mark, finding.name, finding.what)
    Console(highlight=False).print(table)
