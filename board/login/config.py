"""How people log in to the board."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from blocks.access.addresses import Network


@dataclass(frozen=True)
class OidcConfig:
    """A provider that people log in at, by OpenID Connect.

    Attributes:
        issuer: its address, as its tokens name it.
        client_id, client_secret: the board's credentials there.
        role_claim: the claim that holds roles or groups; `a.b` is b within a.
        operators, readers: its values that make somebody operator or reader; `*` is everybody.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    role_claim: str = "roles"
    operators: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoginConfig:
    """Who may log in and for how long.

    Attributes:
        users_file: local users; None for none.
        secret: signs the sessions; one that is drawn anew ends them with the process.
        hours: after how many a login ends.
        address: the board's address as browsers know it; empty when it is only this host's.
        trusted_proxies: networks that are believed about a client's address.
        oidc: the provider, if there is one.
    """

    users_file: Path | None = None
    secret: str = field(repr=False, default_factory=lambda: secrets.token_hex(32))
    hours: float = 12
    address: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    oidc: OidcConfig | None = None

    @property
    def encrypted(self) -> bool:
        """Whether browsers come by https."""
        return self.address.startswith("https:")
