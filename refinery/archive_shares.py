"""The archive's open shares, for sites whose nodes have no network: we fetch and send for them."""

from pathlib import Path

from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import LocalFile, TierError
from hpc.sites.slurm.relay import ArchiveSharesError, ShareLocation
from schemas.files import FileFacts


class ArsShares:
    """Fetches and sends with our own credentials, which no site ever sees."""

    def __init__(self, address: ArsAddress) -> None:
        self._address = address

    async def fetch(self, location: ShareLocation, file: FileFacts, to: Path) -> None:
        """Put a file of the share at `to`, complete and checked. Raises ArchiveSharesError."""
        try:
            async with ArsClient(self._address) as client:
                await client.files.download(
                    location.guid, location.institution, location.collection, file, to
                )
        except (TierError, OSError) as error:
            raise ArchiveSharesError(str(error)) from error

    async def send(self, location: ShareLocation, file: FileFacts, path: Path) -> None:
        """Put `path` into the share; the archive checks its CRC. Raises ArchiveSharesError.

        What is there already is not sent again: the archive would count both against the share.
        """
        local = LocalFile(path, file.name, file.crc32, file.size_bytes, "application/octet-stream")
        try:
            async with ArsClient(self._address) as client:
                if any(row.holds(local) for row in await client.files.listed(location.guid)):
                    return
                await client.files.upload(
                    location.guid, location.institution, location.collection, local
                )
        except (TierError, OSError) as error:
            raise ArchiveSharesError(str(error)) from error
