"""The file proxy's shares: the room an asset's files are written in before ERDA has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.wire import SHARE_SECONDS, Call, Wire, parsed


class Shares:
    def __init__(self, address: ArsAddress, wire: Wire) -> None:
        self._address = address
        self._wire = wire

    async def open(
        self,
        guid: str,
        institution: str,
        collection: str,
        allocation_mb: int,
        parent_guids: Sequence[str] = (),
    ) -> int:
        """Open a share with the asset's and its parents' files from ERDA; its MB of 10^6 bytes.

        Ask for the status first: opening one that is open leaves the guid locked for 300 s.
        """
        asset = {
            "asset_guid": guid,
            "parent_guids": list(parent_guids),
            "institution": institution,
            "collection": collection,
        }
        body = {
            "assets": [asset],
            "users": list(self._address.users),
            "allocation_mb": allocation_mb,
        }
        call = self._call("POST", guid, "createShare", json=body)
        return parsed(call, await self._wire.send(call), _allocated_mb)

    async def change_allocation(self, guid: str, allocation_mb: int) -> int:
        """Give an open share another size, in MB; the one it has then."""
        body = {"asset_guid": guid, "new_allocation_mb": allocation_mb}
        call = self._call("POST", guid, "changeAllocation", json=body)
        return parsed(call, await self._wire.send(call), _allocated_mb)

    async def close(self, guid: str) -> bool:
        """Close the share; False when none was open. Files not yet in ERDA are dropped."""
        call = self._call("DELETE", guid, "deleteShare", accept=frozenset({404}))
        return (await self._wire.send(call)).status_code != 404

    async def synchronise(self, guid: str, workstation: str, pipeline: str) -> None:
        """Ask ARS to bring the share's files to ERDA; it answers before it has begun."""
        params = {"workstation": workstation, "pipeline": pipeline}
        await self._wire.send(self._call("POST", guid, "synchronize", params=params))

    def _call(self, method: str, guid: str, verb: str, **more: Any) -> Call:
        url = self._address.file_proxy("shares", "assets", guid, verb)
        return Call(method, url, changes=True, seconds=SHARE_SECONDS, **more)


def _allocated_mb(answer: Mapping[str, Any]) -> int:
    return int(answer["allocated_storage_mb"] or 0)
