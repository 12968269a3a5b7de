"""The archive's open shares, for sites whose nodes have no network: we fetch and send for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import LocalFile, TierError
from hpc.sites.slurm.relay import ArchiveSharesError, ShareLocation
from schemas.files import FileFacts


@dataclass(frozen=True)
class ArsShares:
    """Fetches and sends with our own credentials, which no site ever sees."""

    address: ArsAddress

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[ArsClient]:
        try:
            async with ArsClient(self.address) as client:
                yield client
        except (TierError, OSError) as error:
            raise ArchiveSharesError(str(error)) from error

    async def fetch(self, location: ShareLocation, file: FileFacts, to: Path) -> None:
        """Put a file of the share at `to`, complete and checked. Raises ArchiveSharesError."""
        place = (location.guid, location.institution, location.collection)
        async with self._client() as client:
            await client.files.download(*place, file, to)

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        """Put `path` into the share; the archive checks its CRC. Raises ArchiveSharesError.

        What is there already is not sent again: the archive would count both against the share.
        """
        place = (location.guid, location.institution, location.collection)
        local = LocalFile(path, file.name, file.crc32, file.size_bytes, "application/octet-stream")
        async with self._client() as client:
            if not any(row.holds(local) for row in await client.files.listed(location.guid)):
                await client.files.upload(*place, local)
