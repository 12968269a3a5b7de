"""The places where modules run, as `sites.yaml` lists them; their order is the order of choice.

Addresses and secrets are not here: a site names the block that holds them.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    field_validator,
    model_validator,
)

from schemas.definition import Definition, build, refusal
from schemas.pipeline.model import Name, Resources
from schemas.yaml_lines import DefinitionError, Located, Path, Problem, nearest, read_documents

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
SILENT_AFTER_S = 120
LEASE_S = 900

SiteKind: TypeAlias = Literal["local", "slurm", "pull"]
Scheduler: TypeAlias = Literal["slurm", "torque", "lsf"]


@dataclass(frozen=True)
class Capabilities:
    """What a kind of site can do.

    `here`: it is this machine, so its folders are ours and its jobs always reach us. `driven`:
    a driver of ours hands it its jobs; else it asks for them itself. `over_ssh`: it is reached
    over SSH, by the block that it names. `scripts`: whether it runs scripts of its own, always
    or when it names their folder. `scheduler`: its default.
    """

    here: bool = False
    driven: bool = False
    over_ssh: bool = False
    scripts: Literal["always", "if_named", "never"] = "never"
    scheduler: Scheduler | None = None


CAPABILITIES: Mapping[SiteKind, Capabilities] = {
    "local": Capabilities(here=True, driven=True, scripts="if_named"),
    "slurm": Capabilities(driven=True, over_ssh=True, scripts="always", scheduler="slurm"),
    "pull": Capabilities(scheduler="torque"),
}
"""What each kind of site can do; nothing else depends on a site's kind."""

KINDS = tuple(CAPABILITIES)


def kinds_that(can: Callable[[Capabilities], bool]) -> list[SiteKind]:
    """The kinds of site that can do something, for a statement's list."""
    return [kind for kind, capabilities in CAPABILITIES.items() if can(capabilities)]


KINDS_HERE = kinds_that(lambda kind: kind.here)


class SitesError(DefinitionError):
    """The sites cannot be used as they are written."""


class Site(Definition):
    """One cluster, or this machine.

    `root` and `scripts` are folders over there, `python` the interpreter modules run under
    (null on the local site: the refinery's own). `callback` is the URL at which its jobs
    reach us; null on a cluster whose nodes have no network, where the driver relays.
    `capacity` bounds the jobs given to it at a time, `max_queued` and `max_running` those
    pending and running in its scheduler. `poll_s` is the least time between two polls,
    `submit_s` that between two submissions of new work. A site whose driver was not seen for
    `silent_after_s` seconds gets no work. Where agents take the work, `lease_s` is how long an
    agent holds what it does not renew, and each agent has a root and a Python of its own.
    """

    name: Name = Field(alias="site")
    kind: SiteKind
    root: str = ""
    python: str | None = None
    scripts: str | None = None
    block: Name | None = None
    scheduler: Scheduler | None = None
    callback: str | None = None
    legacy_callbacks: tuple[Network, ...] = ()
    capacity: Annotated[StrictInt, Field(ge=1)] = 1000
    max_queued: Annotated[StrictInt, Field(ge=1)] | None = None
    max_running: Annotated[StrictInt, Field(ge=1)] | None = None
    max_array: Annotated[StrictInt, Field(ge=1)] = 1000
    poll_s: Annotated[StrictInt, Field(ge=1)] = 60
    submit_s: Annotated[float, Field(strict=True, ge=0, le=3600)] = 0.5
    silent_after_s: Annotated[StrictInt, Field(ge=60)] = SILENT_AFTER_S
    lease_s: Annotated[StrictInt, Field(ge=120, le=86_400)] = LEASE_S
    resources: Resources = Resources()
    open: StrictBool = True

    @field_validator("kind", mode="before")
    @classmethod
    def _know_the_kind(cls, given: Any) -> Any:
        if given not in KINDS:
            raise refusal(f"no kind of site '{given}'", nearest(str(given), KINDS))
        return given

    @field_validator("root", "python", "scripts")
    @classmethod
    def _plain_path(cls, given: str | None) -> str | None:
        if given is not None and (not given or not given.isprintable() or ".." in given.split("/")):
            raise refusal("a path is printable and has no '..' in it")
        return given

    @field_validator("callback")
    @classmethod
    def _is_http(cls, given: str | None) -> str | None:
        if given is None or given == "none":
            return None
        try:
            url = urlsplit(given)
            usable = url.scheme in ("http", "https") and url.hostname and (url.port or True)
        except ValueError:
            usable = False
        if not usable or url.username or url.query or url.fragment:
            raise refusal(f"'{given}' is not a URL such as https://refinery.example.org:8000")
        return given.rstrip("/")

    @field_validator("legacy_callbacks", mode="before")
    @classmethod
    def _networks(cls, given: Any) -> Any:
        items = given if isinstance(given, list | tuple) else [given]
        try:
            return tuple(ipaddress.ip_network(item) for item in items)
        except ValueError as error:
            raise refusal(f"{error}; write a network such as 10.1.0.0/16") from None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        needed = ["root"] if self.can.driven else []
        needed += ["python", "block"] if self.can.over_ssh else []
        if missing := [key for key in needed if not getattr(self, key)]:
            raise refusal(f"site {self.name} is {self.kind} and needs `{missing[0]}`")
        if self.can.here:
            return self
        if "callback" not in self.model_fields_set:
            what = "needs `callback`: the URL its nodes can reach, or none if they have no network"
            raise refusal(f"site {self.name} {what}")
        if self.root and not self.root.startswith("/"):
            raise refusal(f"site {self.name}: root must be an absolute path over there")
        return self

    @property
    def can(self) -> Capabilities:
        """What a site of its kind can do."""
        return CAPABILITIES[self.kind]

    @property
    def uses(self) -> Scheduler | None:
        """Its scheduler: the one it names, else that of its kind."""
        return self.scheduler or self.can.scheduler

    @property
    def runs_scripts(self) -> bool:
        """Whether it runs scripts of its own."""
        named = self.can.scripts == "if_named" and self.scripts is not None
        return named or self.can.scripts == "always"

    def admits(self, address: str) -> bool:
        """Whether scripts without a token may call back from this address."""
        try:
            client = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(client, "ipv4_mapped", None)
        return any((mapped or client) in network for network in self.legacy_callbacks)

    def definition(self) -> dict[str, Any]:
        """The canonical form: JSON, defaults left out, read back by `model_validate`."""
        kept = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return kept if self.can.here else {"callback": None, **kept}


def load_sites(text: str, source: str) -> list[Site]:
    """Every site of a `sites:` list, in its order; `SitesError` with all problems found."""
    documents = read_documents(text, source, SitesError)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise SitesError(source, [Problem(1, "expected one mapping with the list `sites`")])
    located = documents[0].without_pieces()
    problems = [
        Problem(located.line((key,)), f"unknown key '{key}'", "sites")
        for key in located.value
        if key != "sites"
    ]
    items = located.value.get("sites")
    if not isinstance(items, list) or not items:
        problems.append(Problem(located.line(("sites",)), "`sites` must list at least one site"))
        raise SitesError(source, problems)
    sites: list[Site] = []
    for i, item in enumerate(items):
        problems += _add(sites, located, ("sites", i), item)
    if problems:
        raise SitesError(source, problems)
    return sites


def _add(sites: list[Site], located: Located, path: Path, item: Any) -> list[Problem]:
    if not isinstance(item, dict):
        return [Problem(located.line(path), "a site is a mapping that begins with `site: NAME`")]
    site = build(Site, located, path, item)
    if isinstance(site, list):
        return site
    if any(site.name == other.name for other in sites):
        return [Problem(located.line((*path, "site")), f"site {site.name} is written twice")]
    sites.append(site)
    return []
