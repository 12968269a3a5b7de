"""Where everything answers: from the settings, or where we chose ourselves.

The database URLs hold a password, and Prefect's login is one: they go to children by environment,
never in argv.
"""

import random
import socket
from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from refinery import state
from refinery.postgres_home import superuser_url
from refinery.settings import Settings

LOOPBACK = "127.0.0.1"
OURS = ("clusters", "workstations", "board")
PREFECT_NAME = "refinery"
DATABASES = ("refinery", "prefect", "ars")
SERVER_PORTS = range(20_000, 32_768)
"""Below what Linux gives to outgoing connections (ip_local_port_range), and others as well."""
TRIES = 100


@dataclass(frozen=True)
class Addresses:
    """Base URLs without a last slash, SQLAlchemy URLs of the three databases, Prefect's login.

    `prefect_login` is `name:password`; a server that asks nobody takes no notice of it.
    """

    prefect: str
    clusters: str
    workstations: str
    board: str
    ars: str
    database: str = field(repr=False)
    prefect_database: str = field(repr=False)
    ars_database: str = field(repr=False)
    prefect_login: str = field(repr=False, default="")

    @property
    def prefect_api(self) -> str:
        """The value of PREFECT_API_URL."""
        return f"{self.prefect}/api"

    @property
    def prefect_headers(self) -> dict[str, str]:
        """What a request of our own to Prefect's API says of who asks."""
        if not self.prefect_login:
            return {}
        return {"Authorization": f"Basic {b64encode(self.prefect_login.encode()).decode()}"}


def of_running(settings: Settings) -> Addresses:
    """The addresses of the system that runs here. Raises state.NotRunning."""
    now = state.read(settings)
    if not now.running():
        raise state.NotRunning(
            f"Nothing runs in {settings.state}: start it with 'refinery up' (or 'make up')."
        )
    return resolve(settings, now.ports)


def resolve(settings: Settings, ports: Mapping[str, int]) -> Addresses:
    """The addresses that follow from the settings and the ports that were found free.

    Raises state.NotRunning for the ports of an earlier release, which had fewer servers.
    """
    if not set(state.SERVERS) <= ports.keys():
        raise state.NotRunning(
            f"What runs in {settings.state} was started by an earlier release: "
            "'refinery stop', then 'refinery up'."
        )
    here = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    urls = databases(settings, ports)
    return Addresses(
        prefect=here["prefect"],
        clusters=settings.clusters_url or here["clusters"],
        workstations=here["workstations"],
        board=settings.board_url or here["board"],
        ars=settings.ars_base_url or here["ars"],
        database=urls["refinery"],
        prefect_database=urls["prefect"],
        ars_database=urls["ars"],
        prefect_login=prefect_login(settings),
    )


def prefect_login(settings: Settings) -> str:
    """The name and password that Prefect asks for: what is set, else drawn once per system."""
    given = settings.prefect_password.get_secret_value()
    return f"{PREFECT_NAME}:{given or state.secret(settings, 'prefect-password')}"


def databases(settings: Settings, ports: Mapping[str, int]) -> dict[str, str]:
    """The three databases' URLs: in the embedded cluster, or on the server that is set."""
    given = settings.database_url.get_secret_value()
    prefect = settings.prefect_database_url.get_secret_value()
    if settings.embedded_database:
        given, prefect = superuser_url(settings.state / "pg", ports["postgres"], "refinery"), ""
    return {
        "refinery": sibling_database_url(given, None),
        "prefect": prefect or sibling_database_url(given, "prefect", "postgresql+asyncpg"),
        "ars": sibling_database_url(given, "ars"),
    }


def sibling_database_url(url: str, database: str | None, driver: str = "postgresql+psycopg") -> str:
    """The URL of another database on the same server; None keeps the one it names."""
    parts = urlsplit(url)
    path = parts.path if database is None else f"/{database}"
    return urlunsplit((driver, parts.netloc, path, parts.query, ""))


def choose_ports(settings: Settings, last: Mapping[str, int]) -> dict[str, int]:
    """For each server the wanted port if it is free, else the last one, else any free one."""
    ports: dict[str, int] = {}
    for name in state.SERVERS:
        host = settings.host_of(name) if name in OURS else LOOPBACK
        wanted = (getattr(settings, f"{name}_port"), last.get(name, 0))
        free = [p for p in wanted if p and p not in ports.values() and listenable(host, p)]
        ports[name] = free[0] if free else unused_port(host, besides=ports.values())
    return ports


def listenable(host: str, port: int) -> bool:
    """Whether nobody listens on that port."""
    try:
        with socket.create_server((host, port)):
            return True
    except OSError:
        return False


def unused_port(host: str, besides: Collection[int] = ()) -> int:
    """A port that was free a moment ago, none of `besides`.

    Systems take theirs for outgoing connections from a higher range: such a connection could
    get the port before its server listens, or while the server restarts.
    """
    for port in random.SystemRandom().sample(SERVER_PORTS, TRIES):
        if port not in besides and listenable(host, port):
            return port
    with socket.create_server((host, 0)) as probe:
        found: int = probe.getsockname()[1]
        return found
