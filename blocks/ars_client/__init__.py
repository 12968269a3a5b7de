"""The client of ARS, the archive: plain HTTP, in our words, on one connection pool.

Import from here. Beside our schemas it needs httpx alone, so that what only talks to ARS
stays light. What can go wrong is told in the words of `blocks.tier`.
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
