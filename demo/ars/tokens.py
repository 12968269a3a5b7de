"""Signed tokens: RS256, short-lived, verifiable with the published key.

The key is kept in the database, so a token outlives a restart of the stand-in. `not_before`
is the revocation line: every token issued earlier is refused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from demo.ars.clock import ArchiveClock
from demo.ars.config import StandInConfig
from demo.ars.store import Connection, insert, one, run

_KEY_BITS = 2048


def _new_key() -> str:
    key = generate_private_key(65537, _KEY_BITS)
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


@dataclass(frozen=True)
class User:
    """Who a verified token speaks for."""

    name: str
    roles: frozenset[str]


class InvalidToken(Exception):
    """The token is not ours, has expired, or was revoked."""


class Tokens:
    """Issues and verifies tokens; `load` must have run."""

    def __init__(self, config: StandInConfig, clock: ArchiveClock) -> None:
        self.issuer = f"{config.base_url}/keycloak/realms/dassco"
        self._seconds = config.token_seconds
        self._clock = clock
        self._key: RSAPrivateKey
        self._not_before = datetime.fromtimestamp(0, UTC)

    async def load(self, db: Connection) -> None:
        """Read the signing key, or make the one this database will keep."""
        stored = "SELECT private_pem, not_before FROM signing_key"
        if await one(db, stored) is None:
            # Two stand-ins may start on one empty database; the first key to arrive is kept.
            await insert(db, "signing_key", conflict="DO NOTHING", id=1, private_pem=_new_key())
        row = await one(db, stored)
        assert row is not None
        key = serialization.load_pem_private_key(row["private_pem"].encode(), password=None)
        assert isinstance(key, RSAPrivateKey)
        self._key = key
        self._not_before = row["not_before"] or self._not_before

    async def revoke_all(self, db: Connection) -> None:
        """Refuse every token issued up to now."""
        self._not_before = self._clock.now()
        await run(db, "UPDATE signing_key SET not_before = %s", self._not_before)

    @property
    def key_id(self) -> str:
        return uuid5(NAMESPACE_URL, self._public_jwk()["n"]).hex

    def jwks(self) -> dict[str, Any]:
        jwk = self._public_jwk() | {"kid": self.key_id, "use": "sig", "alg": "RS256"}
        return {"keys": [jwk]}

    def issue(self, client_id: str, roles: list[str], scope: str) -> dict[str, Any]:
        """A token answer as Keycloak writes it, for a service account."""
        now = self._clock.now().timestamp()
        claims = {
            "exp": int(now) + self._seconds,
            "iat": now,
            "jti": str(uuid4()),
            "iss": self.issuer,
            "aud": "account",
            "sub": str(uuid5(NAMESPACE_URL, client_id)),
            "typ": "Bearer",
            "azp": client_id,
            "realm_access": {"roles": roles},
            "scope": scope,
            "clientId": client_id,
            "preferred_username": f"service-account-{client_id}",
        }
        answer = {
            "access_token": self._sign(claims),
            "expires_in": self._seconds,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": int(self._not_before.timestamp()),
            "scope": scope,
        }
        if "openid" in scope.split():
            answer["id_token"] = self._sign(claims | {"typ": "ID", "aud": client_id})
        return answer

    def verify(self, token: str) -> User:
        """The user of a token, judged by the archive's own clock, or `InvalidToken`."""
        # Expiry is compared below: the library knows only the machine's clock, not ours.
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                options=options,
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken from error
        if claims.get("typ") != "Bearer" or claims["exp"] <= self._clock.now().timestamp():
            raise InvalidToken
        if claims["iat"] < self._not_before.timestamp():
            raise InvalidToken
        return User(claims["preferred_username"], frozenset(claims["realm_access"]["roles"]))

    def _public_jwk(self) -> dict[str, Any]:
        return RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})
