"""The N-Drive: where it is mounted, whose folders are taken, and how patiently."""

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, field_validator


class NDrive(Block):
    """The share the workstations drop their sessions on: `<root>/<workstation>/<session>/`."""

    _block_type_name = "N-Drive"
    _block_type_slug = "ndrive"

    root: Path = Field(description="The folder the share is mounted on, as an absolute path.")
    workstations: list[str] = Field(
        description="Folders right below the root whose sessions are taken; `*` means every one."
    )
    settle_seconds: float = Field(
        default=30,
        gt=0,
        description="How long a folder must lie unchanged before it is taken, in seconds; "
        "ten times that while a metadata file lacks its image.",
    )
    poll_seconds: float = Field(
        default=5, gt=0, description="Seconds between two looks at the share."
    )

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: Path) -> Path:
        if not root.is_absolute():
            raise ValueError(f"root must be an absolute path, not {str(root)!r}")
        return root

    @field_validator("workstations")
    @classmethod
    def _plain_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not name.strip() or name in (".", "..") or "/" in name or "\\" in name:
                raise ValueError(
                    f"workstations: {name!r} is no folder name; write one name, or * for all"
                )
        return names
