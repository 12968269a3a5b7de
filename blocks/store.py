"""Where originals lie on the integration server between the N-Drive and the archive."""

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field


class LocalStore(Block):
    """The folder on this server that holds `<guid>/<file>` until prune may remove it."""

    _block_type_name = "Local store"
    _block_type_slug = "local-store"

    root: Path = Field(description="An absolute path with room for the assets in flight.")

    def folder(self, guid: str) -> Path:
        """The folder of one asset; guids are path-safe wherever they come from."""
        return self.root / guid
