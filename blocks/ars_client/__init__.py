"""The client of ARS, the archive: plain HTTP on one connection pool.

Import from here. It needs httpx and our schemas alone, so that what only calls ARS stays light.
What can go wrong is raised as the errors of `blocks.tier`.
"""

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.answers import (
    IN_ERDA,
    NOT_IN_ERDA,
    RECEIVED,
    AssetStatus,
    FileRow,
)
from blocks.ars_client.client import ArsClient
from blocks.ars_client.token import AccessToken

__all__ = [
    "IN_ERDA",
    "NOT_IN_ERDA",
    "RECEIVED",
    "AccessToken",
    "ArsAddress",
    "ArsClient",
    "AssetStatus",
    "FileRow",
]
