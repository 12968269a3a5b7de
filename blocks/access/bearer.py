"""Access tokens of a login provider, which programs show instead of a name and a password.

They are checked by the provider's published keys, so that it is asked only now and then.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet

from blocks.access.claims import (
    LEEWAY_S,
    SIGNED_BY_KEY,
    NoNameClaimed,
    ProviderAway,
    name_in,
    texts_in,
)
from schemas.digitisation import upload_target

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0

KEYS_AGAIN_S = 60.0
"""How soon after its last answer the provider is asked for a key that it did not have."""

KEYS_KEPT_S = 3600.0
"""How long its keys are believed; one that it withdraws is good no longer than that."""

AWAY_S = 5.0
"""How long a provider that did not answer is not asked again."""

TOKEN_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What a token's header may call it: plainly, or an access token as RFC 9068 has it."""


NOT_UNDERSTOOD = (LookupError, TypeError, ValueError, AttributeError)
"""What the library and we raise over JSON of an unexpected shape."""


class BadBearer(ValueError):
    """The token proves nobody: it is no access token of the provider, or not meant for us."""


class BearerExpired(BadBearer):
    """The token was good; a new one is needed."""


@dataclass(frozen=True)
class BearerUser:
    """Who showed a token; `workstations` are those into whose folders their uploads may go."""

    name: str
    workstations: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True)
class _Published:
    """What the provider says of itself; `issuer` as its tokens write it, `at` our clock then."""

    issuer: str
    keys: KeySet
    at: float


class BearerTokens:
    """Checks the access tokens of one provider.

    Attributes:
        issuer: the provider's address, without a slash at its end.
        audience: what a token must be meant for: in `aud`, or the client that it was given to.
        workstation_claim: the claim that holds workstations; `a.b` is b within a.
        client: makes an HTTP client, which is closed after use.
        clock: monotonic, in seconds; the age of what the provider said.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        workstation_claim: str,
        client: Callable[[], httpx.AsyncClient],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer, self._audience, self._claim = issuer, audience, workstation_claim
        self._client, self._clock = client, clock
        self._asking = asyncio.Lock()
        self._published: _Published | None = None
        self._away: tuple[float, str] | None = None

    async def check(self, token: str) -> BearerUser:
        """Who shows this token. Raises BadBearer, BearerExpired, ProviderAway."""
        header = _header(token)
        published = await self._with_key(header.get("kid"))
        claims = _signed_claims(token, published.keys)
        self._check_meant_for_us(claims)
        try:
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S,
                iss={"essential": True, "value": published.issuer},
                exp={"essential": True},
            ).validate(claims)
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
            return BearerUser(name_in(claims), self._workstations(claims), expires_at)
        except ExpiredTokenError as error:
            raise BearerExpired("the login has expired: log in again") from error
        except (JoseError, NoNameClaimed, OverflowError, OSError, ValueError) as error:
            raise BadBearer(f"the token proves no login: {error}") from error

    def _check_meant_for_us(self, claims: Mapping[str, Any]) -> None:
        # Keycloak writes `account` into aud, and the client into azp.
        if self._audience not in (*texts_in(claims, "aud"), claims.get("azp")):
            raise BadBearer(
                f"the token is not meant for '{self._audience}', which neither its aud nor its "
                "azp names: ask who keeps the login provider"
            )
        # Keycloak says so of each token; one for a page of ours must not open this door.
        kind = claims.get("typ", "Bearer")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise BadBearer(f"the token is no access token: its claim typ is {kind!r:.40}")

    def _workstations(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        found = []
        for each in texts_in(claims, self._claim):
            try:
                found.append(upload_target(each))
            except ValueError as error:
                log.warning("claim %s of a token: %s", self._claim, error)
        return tuple(found)

    async def _with_key(self, kid: object) -> _Published:
        """What the provider published, asked anew when that has no key `kid`."""
        if kept := self._kept(kid):
            return kept
        async with self._asking:
            if kept := self._kept(kid):  # by whoever asked meanwhile
                return kept
            if self._away and self._clock() < self._away[0]:
                raise ProviderAway(self._away[1])
            try:
                self._published, self._away = await self._ask(), None
            except ProviderAway as error:
                self._away = self._clock() + AWAY_S, str(error)
                raise
            return self._published

    def _kept(self, kid: object) -> _Published | None:
        """What was published, if that is recent enough for a token of key `kid`."""
        known = self._published
        if known is None:
            return None
        good_s = KEYS_KEPT_S if _has(known.keys, kid) else KEYS_AGAIN_S
        return known if self._clock() - known.at < good_s else None

    async def _ask(self) -> _Published:
        try:
            async with self._client() as client:
                address = f"{self._issuer}/.well-known/openid-configuration"
                found = await _json(client, address)
                if str(found["issuer"]).rstrip("/") != self._issuer:
                    raise ProviderAway(f"{self._issuer} says that it is {found['issuer']}")
                keys_at = str(found["jwks_uri"])
                if urlsplit(self._issuer).scheme == "https" != urlsplit(keys_at).scheme:
                    raise ProviderAway(f"{self._issuer} has its keys at {keys_at}, without https")
                keys = KeySet.import_key_set(await _json(client, keys_at))
        except (httpx.HTTPError, httpx.InvalidURL, JoseError, *NOT_UNDERSTOOD) as error:
            what = f"{type(error).__name__}: {error}"
            raise ProviderAway(f"{self._issuer} does not answer as it should: {what}") from error
        return _Published(str(found["issuer"]), keys, self._clock())


def _header(token: str) -> Mapping[str, Any]:
    """The header of a token, of which nothing is proven. Raises BadBearer."""
    try:
        header: Mapping[str, Any] = jws.extract_compact(token.encode()).headers()
        kind, algorithm = str(header.get("typ", "JWT")), str(header.get("alg"))
    except (JoseError, *NOT_UNDERSTOOD) as error:
        raise BadBearer("the token cannot be read: it is no signed JWT") from error
    if kind.lower() not in TOKEN_TYPES:
        raise BadBearer(f"the token is no access token: its header's typ is {kind!r:.40}")
    if algorithm not in SIGNED_BY_KEY:
        raise BadBearer(f"the token is signed by {algorithm!r:.40}, which proves nothing")
    return header


def _signed_claims(token: str, keys: KeySet) -> dict[str, Any]:
    """What a token says, once its signature has been checked. Raises BadBearer."""
    # Whatever else a header holds is the provider's affair; what is critical is still refused.
    registry = jws.JWSRegistry(algorithms=SIGNED_BY_KEY, strict_check_header=False)
    try:
        return jwt.decode(token, keys, registry=registry).claims
    except (JoseError, *NOT_UNDERSTOOD) as error:
        raise BadBearer(f"the provider did not sign this token: {error}") from error


def _has(keys: KeySet, kid: object) -> bool:
    if kid is None:
        return len(keys.keys) == 1
    return any(key.kid == kid for key in keys.keys)


async def _json(client: httpx.AsyncClient, address: str) -> Any:
    answer = await client.get(address, timeout=TIMEOUT_S)
    answer.raise_for_status()
    return answer.json()
