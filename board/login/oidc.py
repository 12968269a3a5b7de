"""Logging in at a provider, by OpenID Connect: authorization code with PKCE, state and nonce."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from authlib.integrations.base_client import OAuthError
from fastapi import Request
from joserfc.errors import JoseError
from starlette.responses import Response

from blocks.access.claims import (
    LEEWAY_S,
    SIGNED_BY_KEY,
    NoNameClaimed,
    ProviderAway,
    name_in,
    texts_in,
)
from blocks.access.users import Role
from board.login.config import OidcConfig

TIMEOUT_S = 10.0


class LoginNotProven(ValueError):
    """What the browser brought from the provider proves no login; the log says why."""


class NoRoleHere(ValueError):
    """The provider knows them, and nothing makes them reader or operator."""


class Provider:
    """A provider; it is asked for its addresses and keys when somebody logs in."""

    def __init__(self, config: OidcConfig) -> None:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            # It warns whoever imports it of the HTTP client that it will want one day.
            from authlib.integrations.starlette_client import OAuth

        self._config = config
        self._client = OAuth().register(
            "provider",
            client_id=config.client_id,
            client_secret=config.client_secret,
            server_metadata_url=f"{config.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "timeout": TIMEOUT_S,
            },
        )

    async def send_there(self, request: Request, callback: str) -> Response:
        """The redirect to the provider, which sends the browser back to `callback`.

        Raises ProviderAway.
        """
        with _understood():
            await self._discover()
            answer: Response = await self._client.authorize_redirect(request, callback)
            return answer

    async def who_comes_back(self, request: Request) -> tuple[str, Role]:
        """The name and role of who logged in. Raises ProviderAway, LoginNotProven, NoRoleHere."""
        with _understood():
            metadata = await self._discover()
            token = await self._client.authorize_access_token(
                request,
                leeway=LEEWAY_S,
                claims_options={
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self._config.client_id},
                },
            )
        claims = token.get("userinfo")
        if not claims:
            raise LoginNotProven("the provider sent no id_token")
        try:
            name = name_in(claims)
        except NoNameClaimed as error:
            raise LoginNotProven(str(error)) from error
        if role := role_in(claims, self._config):
            return name, role
        raise NoRoleHere(name)

    async def _discover(self) -> Mapping[str, Any]:
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if str(metadata["issuer"]).rstrip("/") != self._config.issuer:
            raise ProviderAway(f"{self._config.issuer} says that it is {metadata['issuer']}")
        allowed = "id_token_signing_alg_values_supported"
        metadata[allowed] = sorted(SIGNED_BY_KEY & set(metadata.get(allowed, ()))) or ["RS256"]
        return metadata


@contextmanager
def _understood() -> Iterator[None]:
    """Errors of the libraries as our own."""
    try:
        yield
    except (OAuthError, JoseError) as error:
        raise LoginNotProven(str(error)) from error
    except ProviderAway:
        raise
    except (httpx.HTTPError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ProviderAway(f"{type(error).__name__}: {error}") from error


def role_in(claims: Mapping[str, Any], config: OidcConfig) -> Role | None:
    """The role that a token's claims give, the highest of several; None for none."""
    given = set(texts_in(claims, config.role_claim))
    if given & set(config.operators):
        return Role.OPERATOR
    return Role.READER if given & set(config.readers) or "*" in config.readers else None
