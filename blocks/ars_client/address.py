"""Where ARS is, who we are to it, and how its URLs are built.

URLs come from the configured base alone, never from the host and path ARS reports:
those have named other hosts and held unescaped spaces in several releases.
"""

from dataclasses import dataclass, field
from urllib.parse import quote

from blocks.tier import TierRefused
from schemas.metadata.ars_asset import Profile

TOKEN_PATH = "/keycloak/realms/dassco/protocol/openid-connect/token"


@dataclass(frozen=True)
class ArsAddress:
    """Everything `ArsClient` needs to know. `users` may not be empty: ARS wants one."""

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    update_user: str
    users: tuple[str, ...]
    token_url: str = ""
    profile: Profile = "current"

    @property
    def token_endpoint(self) -> str:
        return self.token_url or self.base_url.rstrip("/") + TOKEN_PATH

    def asset_service(self, *segments: str) -> str:
        """URL under the asset service, each segment escaped."""
        return self._join("/ars/api/v1", segments)

    def file_proxy(self, *segments: str) -> str:
        """URL under the file proxy, each segment escaped."""
        return self._join("/file_proxy/api", segments)

    def file_url(self, institution: str, collection: str, guid: str, name: str) -> str:
        """Where a file of an open share is read from and written to; `name` may hold folders."""
        return self.file_proxy("assetfiles", institution, collection, guid, *name.split("/"))

    def health_urls(self) -> dict[str, str]:
        base = self.base_url.rstrip("/")
        return {
            "asset service": f"{base}/ars/actuator/health",
            "file proxy": f"{base}/file_proxy/api/actuator/health",
            "keycloak": f"{base}/keycloak/health",
        }

    def _join(self, prefix: str, segments: tuple[str, ...]) -> str:
        return self.base_url.rstrip("/") + prefix + "".join(f"/{escaped(s)}" for s in segments)


def escaped(segment: str) -> str:
    """One URL path segment; TierRefused for one that would name another place."""
    if segment in ("", ".", "..") or "\x00" in segment:
        raise TierRefused(f"{segment!r} cannot be part of an ARS address; correct the metadata")
    return quote(segment, safe="")
