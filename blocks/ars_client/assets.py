"""The asset service: assets, their status, and the specimens they name."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.answers import AssetStatus
from blocks.ars_client.wire import SHARE_SECONDS, WRITE_SECONDS, Call, Wire, parsed
from blocks.tier import TierRefused

T = TypeVar("T")
Body = dict[str, Any]

CREATES = 3
"""Creates at a time: each holds one of the asset service's few database connections
while it calls the file proxy, which calls back for another."""


class Assets:
    """Reading and writing assets and specimens."""

    def __init__(self, address: ArsAddress, wire: Wire) -> None:
        self._address = address
        self._wire = wire
        self._creating = asyncio.Semaphore(CREATES)

    async def status(self, guid: str) -> AssetStatus | None:
        """Where the asset stands, or None when ARS does not know it."""
        url = self._address.asset_service("assets", "status", guid)
        return await self._read(url, AssetStatus.read)

    async def get(self, guid: str) -> Body | None:
        """All of the asset as ARS holds it, or None when ARS does not know it."""
        return await self._read(self._asset_url(guid), _body)

    async def create(self, body: Body, allocation_mb: int) -> Body:
        """Create the asset and open its share. Returns the asset; raises TierError.

        ARS answers 400 or 403 both for "exists already" and for final refusals.
        """
        url = self._address.asset_service("assetmetadata")
        params = {"allocation_mb": allocation_mb}
        call = Call("POST", url, changes=True, seconds=SHARE_SECONDS, params=params, json=body)
        async with self._creating:
            response = await self._wire.send(call)
        return parsed(call, response, _body)

    async def update(self, guid: str, body: Body) -> Body:
        """Replace the asset by `body`: whatever it omits is erased in ARS."""
        if body.get("asset_guid") != guid:
            raise TierRefused(f"the body for asset {guid} names {body.get('asset_guid')!r}")
        return await self._put(self._asset_url(guid), body)

    async def specimen(self, specimen: Body) -> Body | None:
        """The specimen as ARS holds it, or None."""
        return await self._read(self._specimen_url(specimen), _body)

    async def put_specimen(self, specimen: Body) -> Body:
        """Create or replace the specimen: institution, collection, barcode, preparation_types."""
        return await self._put(self._specimen_url(specimen), specimen)

    async def _read(self, url: str, parse: Callable[[Body], T]) -> T | None:
        call = Call("GET", url, accept=frozenset({404}))
        response = await self._wire.send(call)
        return None if response.status_code in (204, 404) else parsed(call, response, parse)

    async def _put(self, url: str, body: Body) -> Body:
        call = Call("PUT", url, changes=True, seconds=WRITE_SECONDS, json=body)
        return parsed(call, await self._wire.send(call), _body)

    def _asset_url(self, guid: str) -> str:
        return self._address.asset_service("assetmetadata", guid)

    def _specimen_url(self, specimen: Body) -> str:
        place = specimen["institution"], specimen["collection"], specimen["barcode"]
        if self._address.profile == "v2_6":
            pid = specimen.get("specimen_pid") or ".".join(place)
            return self._address.asset_service("specimens", pid)
        institution, collection, barcode = place
        return self._address.asset_service(
            "institutions", institution, "collections", collection, "specimen", barcode
        )


def _body(answer: Body) -> Body:
    return dict(answer)
