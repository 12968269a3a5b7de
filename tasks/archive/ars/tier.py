"""ARS as a tier: the contract of `blocks.tier` on one client of ARS.

ARS is the archive, with shares to work in; ERDA, behind it, holds the durable copies.
"""

import asyncio
from collections.abc import Sequence

from blocks.ars_client import ArsClient
from blocks.tier import Created, Facts, LocalFile, Verdict
from schemas.metadata.ars_asset import Profile, missing_for_ars, specimens_of, to_ars
from schemas.metadata.document import Metadata
from tasks.archive.ars.create import Body, ensure_created, ensure_specimens
from tasks.archive.ars.metadata import differing_fields, lock, push_metadata
from tasks.archive.ars.share import ensure_share_closed, ensure_share_open
from tasks.archive.ars.synchronise import (
    await_synchronised,
    ensure_synchronise_requested,
    synchronised,
)
from tasks.archive.ars.upload import ensure_uploaded

PUSHES = 6
"""Pushes of metadata at a time: each holds what others need too."""


class ArsTier:
    """One ARS, within one event loop. What each method promises stands in `Tier`."""

    name = "ARS"
    durable_name = "ERDA"

    def __init__(self, ars: ArsClient) -> None:
        self.describing = asyncio.Semaphore(PUSHES)
        self._ars = ars

    def missing(self, metadata: Metadata) -> list[str]:
        return missing_for_ars(metadata)

    async def prepare(self, metadata: Metadata) -> None:
        specimens = specimens_of(metadata, self._profile)
        await ensure_specimens(self._ars, [each.model_dump(mode="json") for each in specimens])

    async def create(self, metadata: Metadata, room_mb: int) -> Created:
        return await ensure_created(self._ars, self._body(metadata), room_mb)

    async def open(self, metadata: Metadata, room_mb: int) -> None:
        await ensure_share_open(self._ars, *_place(metadata), room_mb)

    async def put(self, metadata: Metadata, files: Sequence[LocalFile]) -> tuple[str, ...]:
        return await ensure_uploaded(self._ars, *_place(metadata), files)

    async def make_durable(self, metadata: Metadata, files: Sequence[Facts]) -> Verdict:
        guid, by = metadata.asset_guid, (metadata.workstation_name, metadata.pipeline_name)
        await ensure_synchronise_requested(self._ars, guid, *by)
        return await await_synchronised(self._ars, guid, files, *by)

    async def prove(self, guid: str, files: Sequence[Facts]) -> Verdict:
        return await synchronised(self._ars, guid, files)

    async def describe(self, metadata: Metadata, last_pushed: Metadata | None) -> None:
        before = None if last_pushed is None else self._body(last_pushed)
        await self.prepare(metadata)
        await push_metadata(self._ars, metadata.asset_guid, self._body(metadata), before)

    async def differing(self, metadata: Metadata) -> tuple[str, ...]:
        held = await self._ars.assets.get(metadata.asset_guid)
        return differing_fields(held or {}, self._body(metadata))

    async def lock(self, guid: str) -> None:
        await lock(self._ars, guid)

    async def close(self, guid: str, *, discard: bool = False) -> None:
        await ensure_share_closed(self._ars, guid, discard=discard)

    async def trouble(self) -> str | None:
        silent = await self._ars.silent_parts()
        where = self._ars.address.base_url
        return f"{where}: no health from {', '.join(silent)}" if silent else None

    @property
    def _profile(self) -> Profile:
        return "v2_6" if self._ars.address.profile == "v2_6" else "current"

    def _body(self, metadata: Metadata) -> Body:
        user = self._ars.address.update_user
        return to_ars(metadata, update_user=user, profile=self._profile)


def _place(metadata: Metadata) -> tuple[str, str, str]:
    return metadata.asset_guid, metadata.institution, metadata.collection
