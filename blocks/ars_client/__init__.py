"""The client of ARS, the archive: plain HTTP, in our words, on one connection pool.

Import from here. It needs httpx alone, so that what only talks to ARS stays light.
"""

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.answers import (
    IN_ERDA,
    NOT_IN_ERDA,
    RECEIVED,
    AssetStatus,
    Facts,
    FileRow,
    Share,
    megabytes,
)
from blocks.ars_client.client import ArsClient
from blocks.ars_client.errors import (
    ArsBusy,
    ArsCorrupted,
    ArsError,
    ArsRefused,
    ArsUnauthorised,
    ArsUnknown,
    SourceLost,
)
from blocks.ars_client.files import LocalFile
from blocks.ars_client.token import AccessToken
from blocks.ars_client.wire import Guard

__all__ = [
    "IN_ERDA",
    "NOT_IN_ERDA",
    "RECEIVED",
    "AccessToken",
    "ArsAddress",
    "ArsBusy",
    "ArsClient",
    "ArsCorrupted",
    "ArsError",
    "ArsRefused",
    "ArsUnauthorised",
    "ArsUnknown",
    "AssetStatus",
    "Facts",
    "FileRow",
    "Guard",
    "LocalFile",
    "Share",
    "SourceLost",
    "megabytes",
]
