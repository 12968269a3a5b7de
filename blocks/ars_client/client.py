"""The ARS client: one HTTP connection pool, one token, and ARS's nouns on top of it.

It translates and bounds single calls and decides nothing; what may be called again
after a crash is built on it in `tasks.archive.ars`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import httpx

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.assets import Assets
from blocks.ars_client.files import Files, Shares
from blocks.ars_client.token import MARGIN, AccessToken, TokenCache
from blocks.ars_client.wire import Wire
from blocks.tier import Guard

# Shorter than any server keeps an idle connection: the one that speaks first into a
# connection just closed by the other side cannot know whether it was heard.
_IDLE_SECONDS = 3.0


class ArsClient:
    """`async with ArsClient(address) as ars`: assets, shares and files of one ARS.

    Use it within one event loop. Three creates at a time go out per client. `guard` is
    held around every call that changes ARS. `transport` replaces the network in tests.
    """

    def __init__(
        self,
        address: ArsAddress,
        *,
        guard: Guard | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address
        self._http = httpx.AsyncClient(
            transport=transport,
            limits=httpx.Limits(max_connections=64, keepalive_expiry=_IDLE_SECONDS),
        )
        self._pool = ThreadPoolExecutor(4, "ars-files")
        self._tokens = TokenCache(address, self._http)
        wire = Wire(self._http, self._tokens, guard)
        self.assets = Assets(address, wire)
        self.shares = Shares(address, wire)
        self.files = Files(address, wire, self._pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def token(self, lasting: float = MARGIN) -> AccessToken:
        """A token to hand to a job, with `lasting` seconds left where Keycloak gives as many."""
        return await self._tokens.get(lasting)

    async def silent_parts(self) -> list[str]:
        """The parts of ARS that do not report health; [] when all do. Asks without a token."""
        urls = self.address.health_urls()
        well = await asyncio.gather(*(self._well(url) for url in urls.values()))
        return [part for part, is_well in zip(urls, well, strict=True) if not is_well]

    async def _well(self, url: str) -> bool:
        try:
            return (await self._http.get(url, timeout=10.0)).is_success
        except httpx.TransportError:
            return False
