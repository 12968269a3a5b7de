"""What ARS answers, as small frozen records.

Two generations of ARS name the same things differently (a parent alone or in a list,
COMPLETED or ERDA_SYNCHRONISED); these records are where the difference ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.tier import Facts
from schemas.files import MB, megabytes

RECEIVED = "ASSET_RECEIVED"
"""ARS is synchronising: nothing may be uploaded now, or it is lost with the share."""

IN_ERDA = frozenset(
    {
        "COMPLETED",
        "ERDA_SYNCHRONISED",
        "SPECIFY_SYNC_SCHEDULED",
        "SPECIFY_SYNC_FAILED",
        "SPECIFY_SYNCHRONISED",
    }
)
"""Statuses that mean the files reached ERDA, in both vocabularies."""

NOT_IN_ERDA = frozenset({"ERDA_FAILED", "ERDA_ERROR"})
"""Statuses that mean ARS gave up bringing the files to ERDA, in both vocabularies."""


@dataclass(frozen=True)
class AssetStatus:
    """`share_allocation_mb` is None exactly when no writeable share is open."""

    guid: str
    status: str
    share_allocation_mb: int | None
    parent_guids: tuple[str, ...] = ()
    error_message: str | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "AssetStatus":
        parents = body.get("parent_guid") or ()
        return cls(
            guid=str(body["asset_guid"]),
            status=str(body["status"]),
            share_allocation_mb=body.get("share_allocation_mb") or None,
            parent_guids=(parents,) if isinstance(parents, str) else tuple(parents),
            error_message=body.get("error_message"),
        )


@dataclass(frozen=True)
class FileRow:
    """One file ARS knows of an asset; `leaving` = marked to go at the next synchronise."""

    name: str
    crc32: int
    size_bytes: int
    synchronised: bool
    leaving: bool = False

    @classmethod
    def read(cls, guid: str, body: Mapping[str, Any]) -> "FileRow":
        return cls(
            name=str(body["path"]).partition(f"/{guid}/")[2],
            crc32=int(body["crc"] or 0),
            size_bytes=int(body["sizeBytes"] or 0),
            synchronised=body["syncStatus"] == "SYNCHRONIZED",
            leaving=bool(body.get("deleteAfterSync")),
        )

    def holds(self, wanted: Facts) -> bool:
        """Whether this row is that very content.

        Scripts on clusters report a file's size in full MB only; with its checksum that does.
        """
        reported = (self.size_bytes, megabytes(self.size_bytes) * MB)
        same = (self.name, self.crc32) == (wanted.name, wanted.crc32)
        return not self.leaving and same and wanted.size_bytes in reported
