"""Hands an event to Prefect's events API over plain HTTP, and knows whether it was taken.

204 means taken. The event's id decides what repeating it means, so it is sent again
whenever the answer is missing. `occurred` is stamped at each sending: subscribers never
hear of an event that says it is more than a minute old.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

Emit = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Sends one event; raises NotAnnounced when nobody has accepted it."""

WAITS = (0.2, 1.0, 3.0)  # seconds before the second, third and fourth try


class NotAnnounced(Exception):
    """Prefect has not accepted an event; it is still owed, and sent again later."""


class PrefectEvents:
    """An `Emit` for a Prefect server. `auth` is the server's auth string, `user:password`."""

    def __init__(
        self,
        api_url: str,
        *,
        auth: str | None = None,
        client: httpx.AsyncClient | None = None,
        waits: tuple[float, ...] = WAITS,
    ) -> None:
        self._url = api_url.rstrip("/") + "/events"
        user, _, password = (auth or "").partition(":")
        self._auth = httpx.BasicAuth(user, password) if auth else None
        self._client = client or httpx.AsyncClient(timeout=10, trust_env=False)
        self._waits = waits

    async def __aenter__(self) -> "PrefectEvents":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def __call__(self, event: Mapping[str, Any]) -> None:
        for wait in (*self._waits, None):
            problem = await self._send({**event, "occurred": datetime.now(UTC).isoformat()})
            if problem is None:
                return
            if wait is None:
                raise NotAnnounced(f"Prefect at {self._url} did not take an event: {problem}")
            await asyncio.sleep(wait)

    async def _send(self, event: dict[str, Any]) -> str | None:
        """None when the event was taken, else why it was not."""
        try:
            auth = self._auth or httpx.USE_CLIENT_DEFAULT
            answer = await self._client.post(self._url, json=[event], auth=auth)
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        if answer.is_client_error:
            raise NotAnnounced(f"Prefect at {self._url} refused an event: {answer.text[:300]}")
        return f"HTTP {answer.status_code}"
