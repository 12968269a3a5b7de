"""What may be set: `REFINERY_*` variables over `refinery.toml` over defaults.

One frozen object, made at the entry point and passed down; nothing below reads the
environment. A value that is wrong or a key that is not known is refused by name.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from schemas.log_lines import LogFormat
from schemas.pipeline.load import Throttle
from schemas.problems import REPOSITORY

PREFIX = "REFINERY_"
FILE = "refinery.toml"
NEARLY = 0.8  # likeness of two names, 1 for equal ones
ROLE = re.compile(r"dassco-(?:admin|developer|user)|service-user|(?:READ|WRITE)_[\w-]+")
PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

PATHS = (
    "n_drive", "store", "records", "previews", "sites_file", "pipelines", "postgres_home",
    "users_file", "workstations_file",
)  # fmt: skip
"""Settings that are taken from the project's folder when they are relative."""

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(ValueError):
    """A setting is wrong; the message names the file or variable, the field and the remedy."""


def listed(value: object) -> object:
    """A variable holds a list as text, its items separated by commas."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def address(value: object) -> object:
    """An address is kept as text without its last slash, once it has been read as one."""
    return str(AnyHttpUrl(str(value))).rstrip("/") if value else ""


def addresses(value: object) -> object:
    """A variable holds addresses as text, each begun by its scheme: they may have commas."""
    from blocks.alarm_delivery import split

    return tuple(split(value)) if isinstance(value, str) else value


def sendable(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Addresses that Apprise can send to; it is asked only where there are any."""
    from blocks.alarm_delivery import faulty

    if value and (fault := faulty([each.get_secret_value() for each in value])):
        raise ValueError(fault)
    return value


def realm_role(value: str) -> str:
    """A role of ARS's realm; `READ_<r>` and `WRITE_<r>` open what is restricted to r."""
    if not ROLE.fullmatch(value):
        raise ValueError(
            "write dassco-admin, dassco-developer, dassco-user, service-user, READ_… or WRITE_…"
        )
    return value


def table(value: object) -> object:
    """A variable holds a table as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError('write it as JSON, as {"synchronising": 12}') from None


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
Roles = Annotated[
    tuple[Annotated[str, AfterValidator(realm_role)], ...],
    BeforeValidator(listed),
    Field(min_length=1),
]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(listed)]
Address = Annotated[str, BeforeValidator(address)]
People = Annotated[tuple[SecretStr, ...], BeforeValidator(addresses), AfterValidator(sendable)]
Bounds = Annotated[Throttle, BeforeValidator(table)]


class Settings(BaseModel):
    """Everything that may be set, paths absolute, times in seconds.

    Attributes:
        project_dir: where `prefect.yaml` lies; relative paths are taken from here.
        project: the name of a second system on this host; empty for the first.
        state: the system's own folder: data, logs, secrets.
        n_drive: the root under which workstations put their session folders.
        workstations: the folders under it that are watched.
        settle_seconds: N: a session without new files this long is complete.
        store: where ingested originals are kept until they are archived and pruned.
        records: where records of old specimens go that leave the database.
        previews: where small pictures of specimens are kept, some 400 kB of each, for ever.
        ars_base_url: the edge of ARS; empty runs the stand-in.
        ars_token_url: where its tokens come from; empty means its own Keycloak realm.
        ars_client_id, ars_client_secret: our credentials there.
        ars_control: lets a campaign make the stand-in fail on purpose.
        ars_profile: which ARS the stand-in is: that of v2.11 or of v2.6.
        ars_roles: the realm roles that our client has at the stand-in.
        database_url: a PostgreSQL of your own for the refinery; empty means the embedded one.
        prefect_database_url: the same for Prefect.
        prefect_login: whether Prefect's pages and API ask for a name and a password.
        prefect_password: that password; one of our own is drawn when none is set.
        postgres_home: where the embedded cluster lies; empty lets us choose.
        *_port: wanted ports; a busy one, or 0, is replaced by a free one.
        api_host: the address that the clusters' and workstations' APIs listen on.
        clusters_url: how clusters reach their API; empty means this host.
        board_host: the address that the board listens on.
        board_url: how people reach the board; empty means this host.
        legacy_callbacks: networks whose callbacks need no token.
        trusted_proxies: proxies that are believed about the client's address.
        users_file: who may log in, as `refinery user` writes it.
        login_hours: after how many hours a login ends.
        oidc_issuer: the provider that people log in at, as its tokens name it; empty: none.
        oidc_client_id, oidc_client_secret: the board's credentials there.
        oidc_role_claim: the claim of its tokens that holds roles or groups; `a.b` is b within a.
        oidc_operators, oidc_readers: its values that make somebody operator or reader; `*` among
            the readers is everybody who can log in there.
        oidc_audience: whom the access tokens that programs show must be meant for; empty means
            oidc_client_id.
        oidc_workstation_claim: the claim of those that holds the workstations into whose folders
            somebody may upload; `a.b` is b within a.
        sites_file, pipelines: the clusters and the pipelines.
        workstations_file: what the workstations' digitisers choose from.
        archive_throttle: the upper bounds of all pipelines together.
        alarm_urls: who is told of alarms, as Apprise addresses; empty: nobody.
        alarms_together_s: how long an alarm waits for others, to be one message with them.
        issue_tracker_repository: where workstations' problems become issues, `owner/name`;
            empty: nowhere.
        issue_tracker_api_url, issue_tracker_token: GitHub's API and our token there.
        flow_runs: how many dispatchers the worker holds at once.
        log_format: how our services write their logs: `text`, or `json`, an object a line.
        work_pool: the Prefect work pool; housekeeping and operators have another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    project_dir: Path
    project: str = ""
    state: Path

    n_drive: Path
    workstations: Names = (
        "WORKHERB0001",
        "WORKHERB0002",
        "WORKHERB0003",
        "WORKPIOF0001",
        "WORKPIOF0002",
        "WORKPIOF0003",
    )
    settle_seconds: float = Field(default=10, gt=0)
    store: Path
    records: Path
    previews: Path

    ars_base_url: Address = ""
    ars_token_url: Address = ""
    ars_client_id: str = "specimen-refinery"
    ars_client_secret: SecretStr = SecretStr("")
    ars_control: bool = False
    ars_profile: Literal["v2_11", "v2_6"] = "v2_11"
    ars_roles: Roles = ("service-user",)

    database_url: SecretStr = SecretStr("")
    prefect_database_url: SecretStr = SecretStr("")
    prefect_login: bool = True
    prefect_password: SecretStr = SecretStr("")
    postgres_home: Path | None = None

    prefect_port: Port = 4200
    clusters_port: Port = 8000
    workstations_port: Port = 8100
    board_port: Port = 8300
    ars_port: Port = 8200
    postgres_port: Port = 0
    api_host: str = "127.0.0.1"
    clusters_url: Address = ""
    board_host: str = "127.0.0.1"
    board_url: Address = ""
    legacy_callbacks: Networks = ()
    trusted_proxies: Networks = ()

    users_file: Path
    login_hours: float = Field(default=12, gt=0, le=24 * 31)
    oidc_issuer: Address = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_role_claim: str = Field(default="roles", min_length=1)
    oidc_operators: Names = ()
    oidc_readers: Names = ()
    oidc_audience: str = ""
    oidc_workstation_claim: str = Field(default="workstations", min_length=1)

    sites_file: Path
    workstations_file: Path
    pipelines: Path
    archive_throttle: Bounds = Throttle()
    alarm_urls: People = ()
    alarms_together_s: float = Field(default=90, ge=0, le=240)
    issue_tracker_repository: str = Field(default="", pattern=f"^$|{REPOSITORY}")
    issue_tracker_api_url: Address = "https://api.github.com"
    issue_tracker_token: SecretStr = SecretStr("")
    flow_runs: int = Field(default=8, ge=1)
    work_pool: str
    log_format: LogFormat = "text"

    @model_validator(mode="after")
    def _oidc_is_complete(self) -> Self:
        if not self.oidc_issuer:
            return self
        missing = [name for name in ("oidc_client_id", "board_url") if not getattr(self, name)]
        if not self.oidc_operators + self.oidc_readers:
            missing.append("oidc_operators or oidc_readers")
        if missing:
            raise ValueError(f"oidc_issuer is set, so set {', '.join(missing)} too")
        issuer = urlsplit(self.oidc_issuer)
        if issuer.scheme != "https" and issuer.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("oidc_issuer: write an https address; who logs in is told by it")
        if "*" in self.oidc_operators:
            raise ValueError("oidc_operators: name the values; `*` is for oidc_readers only")
        return self

    @model_validator(mode="after")
    def _tracker_is_complete(self) -> Self:
        if not self.issue_tracker_repository:
            return self
        if not re.fullmatch("[!-~]+", self.issue_tracker_token.get_secret_value()):
            raise ValueError(
                "issue_tracker_repository is set, so set issue_tracker_token too, as GitHub gave it"
            )
        if not _is_confidential(self.issue_tracker_api_url):
            raise ValueError("issue_tracker_api_url: write an https address; it is sent the token")
        return self

    @property
    def housekeeping_pool(self) -> str:
        """The work pool of reconcile, prune and what operators start."""
        return f"{self.work_pool}-housekeeping"

    @classmethod
    def load(cls, project_dir: Path, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings of the project in `project_dir`.

        `environment` stands in for the process's own. Raises SettingsError.
        """
        variables = os.environ if environment is None else environment
        project_dir = project_dir.absolute()
        given, sources = gathered(project_dir, variables)
        values = defaults(project_dir, str(given.get("project", ""))) | given
        for name in PATHS:
            if isinstance(values.get(name), str) and values[name]:
                values[name] = project_dir / Path(values[name]).expanduser()
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(described(error, sources)) from None

    @property
    def embedded_database(self) -> bool:
        """Whether we run PostgreSQL ourselves."""
        return not self.database_url.get_secret_value()

    @property
    def stand_in_ars(self) -> bool:
        """Whether the stand-in takes the place of ARS."""
        return not self.ars_base_url

    def host_of(self, server: str) -> str:
        """The address that one of our applications listens on, by the name of its port."""
        return self.board_host if server == "board" else self.api_host

    @property
    def logs(self) -> Path:
        """Where every service writes its log."""
        return self.state / "logs"


def _is_confidential(url: str) -> bool:
    """Whether nobody between can read what is sent to an address."""
    found = urlsplit(url)
    return found.scheme == "https" or found.hostname in ("localhost", "127.0.0.1", "::1")


def defaults(project_dir: Path, project: str) -> dict[str, Any]:
    """What depends on the project's folder and name. Raises SettingsError for a bad name."""
    if project and not PROJECT.fullmatch(project):
        raise SettingsError(
            f"{PREFIX}PROJECT: '{project}' cannot name a folder and a work pool: use lower-case "
            "letters, digits and dashes, 32 at most."
        )
    state, ports = project_dir / ".refinery", dict[str, int]()
    if project:
        state = state / "projects" / project
        # A second system leaves the usual ports to the first.
        names = ("prefect_port", "clusters_port", "workstations_port", "ars_port", "board_port")
        ports = dict.fromkeys(names, 0)
    return {
        **ports,
        "project_dir": project_dir,
        "state": state,
        "n_drive": state / "ndrive",
        "users_file": state / "users.toml",
        "store": state / "store",
        "records": state / "records",
        "previews": state / "previews",
        "sites_file": project_dir / "deployments" / "sites.yaml",
        "workstations_file": project_dir / "deployments" / "workstations.yaml",
        "pipelines": project_dir / "deployments" / "pipelines",
        "work_pool": f"refinery-{project}" if project else "refinery",
    }


def gathered(
    project_dir: Path, variables: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that were given, and by which file or variable each of them was."""
    settable = set(Settings.model_fields) - {"project_dir", "state"}
    path = project_dir / FILE
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, value in read_file(path).items():
        if name not in settable or name == "project":
            raise SettingsError(unknown(f"{path}: '{name}'", name, settable - {"project"}))
        values[name], sources[name] = value, f"{path}: {name}"
    for variable, text in variables.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in settable:
            # Others may have variables of that prefix; one that nearly is ours is a mistake.
            if get_close_matches(name, settable, n=1, cutoff=NEARLY):
                raise SettingsError(unknown(variable, name, settable, variables=True))
            continue
        values[name], sources[name] = text, variable
    return values, sources


def read_file(path: Path) -> dict[str, Any]:
    """The settings file, which need not exist. Raises SettingsError when it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def unknown(where: str, name: str, known: set[str], *, variables: bool = False) -> str:
    """The refusal of an unknown key, with the nearest one that is known."""
    remedy = f"known are {', '.join(sorted(known))}."
    if near := get_close_matches(name, sorted(known), n=1):
        remedy = f"did you mean {PREFIX + near[0].upper() if variables else near[0]}?"
    return f"{where} is not a setting: {remedy}"


def described(error: ValidationError, sources: dict[str, str]) -> str:
    """Every fault, one per line, with the file or variable it comes from; values are not shown."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        lines.append(f"{sources.get(name, name)}: {fault['msg']}. Correct or remove it.")
    return "\n".join(lines)
