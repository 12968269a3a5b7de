"""Where files lie on the integration server: originals until they are archived, old records."""

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field


class LocalStore(Block):
    """The folder on this server that holds `<guid>/<file>` until prune may remove it."""

    _block_type_name = "Local store"
    _block_type_slug = "local-store"

    root: Path = Field(description="An absolute path with room for the assets in flight.")
    records: Path | None = Field(
        default=None,
        description="An absolute path for records that left the database; none: `records` beside"
        " the root.",
    )

    previews: Path | None = Field(
        default=None,
        description="An absolute path for small pictures that are kept for ever; none: `previews`"
        " beside the root.",
    )

    @property
    def previews_folder(self) -> Path:
        """Where small pictures of specimens are kept."""
        return self.previews or self.root.parent / "previews"

    @property
    def records_folder(self) -> Path:
        """Where records go that leave the database."""
        return self.records or self.root.parent / "records"

    def folder(self, guid: str) -> Path:
        """The folder of one asset; guids are path-safe wherever they come from."""
        return self.root / guid
