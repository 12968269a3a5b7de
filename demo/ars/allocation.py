"""Disk space on the share mount: who has how much, and what still fits.

A MB is 10^6 bytes throughout. Space belongs to a share; what an asset uses is the sum of its
files not marked for deletion, and parents count only where the share lists them.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from demo.ars.folders import AssetPlace
from demo.ars.store import Connection, number
from demo.ars.world import World

MB = 1_000_000

Outcome = Literal[
    "SUCCESS",
    "DISK_FULL",
    "BAD_REQUEST",
    "UPSTREAM_ERROR",
    "SHARE_NOT_FOUND",
]
_HTTP_STATUS: dict[Outcome, int] = {
    "SUCCESS": 200,
    "DISK_FULL": 403,
    "BAD_REQUEST": 400,
    "UPSTREAM_ERROR": 503,
    "SHARE_NOT_FOUND": 404,
}
TOO_SMALL = "Total size of existing asset files (and parent folder), exceeds requested allocation"


@dataclass(frozen=True)
class HttpInfo:
    """The archive's answer to every question about a share; sizes in MB."""

    path: str | None
    hostname: str | None
    total_storage_mb: int
    cache_storage_mb: int
    all_allocated_storage_mb: int
    remaining_storage_mb: int
    allocated_storage_mb: int
    allocation_status_text: str | None
    http_allocation_status: Outcome
    parent_size_mb: int

    def seen_by_asset_service(self) -> dict[str, Any]:
        view = asdict(self)
        del view["all_allocated_storage_mb"], view["parent_size_mb"]
        return view

    @property
    def ok(self) -> bool:
        return self.http_allocation_status == "SUCCESS"

    @property
    def status_code(self) -> int:
        return _HTTP_STATUS[self.http_allocation_status]


@dataclass(frozen=True)
class Disk:
    """The share mount at one moment."""

    total_mb: int
    allocated_mb: int

    @property
    def remaining_mb(self) -> int:
        return self.total_mb - self.allocated_mb

    def info(
        self,
        outcome: Outcome,
        text: str | None = None,
        *,
        place: AssetPlace | None = None,
        hostname: str | None = None,
        allocated_mb: int = 0,
        parent_mb: int = 0,
    ) -> HttpInfo:
        return HttpInfo(
            path=place.http_path if place else None,
            hostname=hostname,
            total_storage_mb=self.total_mb,
            cache_storage_mb=0,
            all_allocated_storage_mb=self.allocated_mb,
            remaining_storage_mb=self.remaining_mb,
            allocated_storage_mb=allocated_mb,
            allocation_status_text=text,
            http_allocation_status=outcome,
            parent_size_mb=parent_mb,
        )


async def disk(db: Connection, world: World) -> Disk:
    allocated = "SELECT coalesce(sum(allocation_mb), 0) AS number FROM share"
    return Disk(world.disk_mb, await number(db, allocated))


async def used_bytes(db: Connection, *guids: str) -> int:
    return await number(
        db,
        "SELECT coalesce(sum(size_bytes), 0) AS number FROM file"
        " WHERE asset_guid = ANY(%s) AND NOT delete_after_sync",
        list(guids),
    )


def whole_mb(size_bytes: int) -> int:
    """Bytes as MB, rounded up."""
    return -(-size_bytes // MB)
