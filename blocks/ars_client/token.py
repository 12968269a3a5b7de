"""The access token: fetched once, shared by all calls, renewed before it ends.

Keycloak gives it for client credentials. A token is not used in its last 30 seconds,
so that it cannot end between our check and the one ARS makes.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.errors import ArsBusy, ArsUnauthorised

MARGIN = 30.0
"""Seconds before its end from which a token counts as ended."""


@dataclass(frozen=True)
class AccessToken:
    """A bearer token and the seconds it had left when it was handed out."""

    text: str = field(repr=False)
    expires_in: float


class TokenCache:
    """Guarantee: one fetch at a time, however many calls wait for a token."""

    def __init__(
        self,
        address: ArsAddress,
        http: httpx.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._http = http
        self._clock = clock
        self._lock = asyncio.Lock()
        self._text = ""
        self._ends = 0.0

    async def get(self, lasting: float = MARGIN) -> AccessToken:
        """A token with `lasting` seconds left, or a new one, however short its life."""
        async with self._lock:
            if not self._text or self._clock() + lasting > self._ends:
                await self._fetch()
            return AccessToken(self._text, self._ends - self._clock())

    def forget(self, token: AccessToken) -> None:
        """Drop a token ARS no longer takes, unless a newer one is already here."""
        if self._text == token.text:
            self._text = ""

    async def _fetch(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._address.client_id,
            "client_secret": self._address.client_secret,
            "scope": "openid",
        }
        asked_at = self._clock()
        try:
            response = await self._http.post(self._address.token_endpoint, data=form, timeout=30.0)
        except httpx.TransportError as lost:
            raise ArsBusy(f"Keycloak does not answer: {lost!r}", seconds=60) from lost
        if response.status_code >= 500 or response.status_code == 429:
            raise ArsBusy(f"Keycloak answered {response.status_code}", seconds=60)
        if response.status_code != 200:
            raise ArsUnauthorised(
                f"Keycloak refused client {self._address.client_id!r} ({response.status_code}): "
                "correct client_id, client_secret or token_url in the ArsArchive block"
            )
        try:
            answer = response.json()
            text, lives = str(answer["access_token"]), float(answer["expires_in"])
        except (ValueError, KeyError, TypeError) as odd:
            raise ArsBusy(
                "Keycloak's answer holds no token; is token_url right?", seconds=60
            ) from odd
        self._text, self._ends = text, asked_at + lives
