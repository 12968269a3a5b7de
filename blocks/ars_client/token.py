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
from blocks.tier import TierBusy, TierError, TierUnauthorised

MARGIN = 30.0
"""Seconds before its end from which a token counts as ended."""

AGAIN_S = (0.5, 1.0, 2.0)
"""Seconds before what was refused is asked for once more: a Keycloak that is just starting, or
whose nodes lag behind each other, refuses for a moment what it grants in the next."""

REFUSED_S = 10.0
"""For so many seconds a refusal is the answer to all who waited for that token as well."""


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
        self._refused = ""
        self._refused_until = 0.0

    async def get(self, lasting: float = MARGIN) -> AccessToken:
        """A token with `lasting` seconds left, or a new one, however short its life.

        Raises TierUnauthorised when it was refused several times, TierBusy.
        """
        async with self._lock:
            if self._clock() < self._refused_until:
                raise TierUnauthorised(self._refused)
            if not self._text or self._clock() + lasting > self._ends:
                await self._fetch()
            return AccessToken(self._text, self._ends - self._clock())

    def forget(self, token: AccessToken) -> None:
        """Drop a token ARS no longer takes, unless a newer one is already here."""
        if self._text == token.text:
            self._text = ""

    async def _fetch(self) -> None:
        for wait in (0.0, *AGAIN_S):
            await asyncio.sleep(wait)
            asked_at = self._clock()
            response = await self._ask()
            if response.status_code == 200:
                break
        else:
            raise self._refusal(response)
        try:
            answer = response.json()
            text, lives = str(answer["access_token"]), float(answer["expires_in"])
        except (ValueError, KeyError, TypeError) as odd:
            raise TierBusy("Keycloak's answer holds no token; is token_url right?") from odd
        self._text, self._ends = text, asked_at + lives

    def _refusal(self, response: httpx.Response) -> TierError:
        if not _is_keycloaks(response):
            return TierBusy(
                f"something that is not Keycloak answers {response.status_code} at its address; "
                "is token_url right?"
            )
        self._refused = (
            f"Keycloak refused client {self._address.client_id!r} ({response.status_code}): "
            "correct client_id, client_secret or token_url in the ArsArchive block"
        )
        self._refused_until = self._clock() + REFUSED_S
        return TierUnauthorised(self._refused)

    async def _ask(self) -> httpx.Response:
        """Keycloak's answer: a token or a refusal. Raises TierBusy when it is neither."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._address.client_id,
            "client_secret": self._address.client_secret,
            "scope": "openid",
        }
        try:
            response = await self._http.post(self._address.token_endpoint, data=form, timeout=30.0)
        except httpx.TransportError as lost:
            raise TierBusy(f"Keycloak does not answer: {lost!r}") from lost
        if response.status_code >= 500 or response.status_code == 429:
            raise TierBusy(f"Keycloak answered {response.status_code}")
        return response


def _is_keycloaks(refusal: httpx.Response) -> bool:
    """Whether a no is Keycloak's own, which has its reason in JSON; a gateway's has not."""
    try:
        body = refusal.json()
    except ValueError:
        return False
    return isinstance(body, dict) and "error" in body
