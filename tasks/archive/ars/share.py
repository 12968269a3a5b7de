"""Opening and closing the share an asset's files are worked on in."""

from collections.abc import Sequence

from blocks.ars_client import RECEIVED, ArsClient, AssetStatus
from blocks.tier import TierBusy, TierRefused
from tasks.archive.ars.unconfirmed import act_then_look


async def ensure_share_open(
    ars: ArsClient,
    guid: str,
    institution: str,
    collection: str,
    allocation_mb: int,
    parent_guids: Sequence[str] = (),
) -> int:
    """Have a share open with at least `allocation_mb` MB of 10^6 bytes; how many it has.

    One that is open is enlarged, never opened again: that would lock the guid for 300 s.
    Raises TierBusy while ARS synchronises (the share is about to go) or its disk is full,
    TierRefused when the files need more room than asked for.
    """
    status = await known(ars, guid)
    if status.status == RECEIVED:
        raise TierBusy(f"asset {guid} is being synchronised; its share will close", seconds=30)

    async def look() -> int | None:
        allocated = (await known(ars, guid)).share_allocation_mb or 0
        return allocated if allocated >= allocation_mb else None

    async def act() -> int:
        if status.share_allocation_mb is not None:
            return await ars.shares.change_allocation(guid, allocation_mb)
        return await ars.shares.open(guid, institution, collection, allocation_mb, parent_guids)

    if (status.share_allocation_mb or 0) >= allocation_mb:
        return status.share_allocation_mb or 0
    return await act_then_look(act, look)


async def ensure_share_closed(ars: ArsClient, guid: str, *, discard: bool = False) -> bool:
    """Have no share open; True when this call closed one.

    Closing drops what ERDA does not hold yet, so a share with such files is refused
    unless `discard`. Raises TierBusy while ARS synchronises.
    """
    status = await ars.assets.status(guid)
    if status is None or status.share_allocation_mb is None:
        return False
    if status.status == RECEIVED:
        raise TierBusy(
            f"asset {guid} is being synchronised; its share closes by itself", seconds=30
        )
    unsaved = [row.name for row in await ars.files.listed(guid) if not row.synchronised]
    if unsaved and not discard:
        raise TierRefused(
            f"the share of {guid} holds files not in ERDA ({', '.join(unsaved)}): "
            "synchronise it first, or discard them"
        )

    async def look() -> bool | None:
        now = await ars.assets.status(guid)
        return True if now is None or now.share_allocation_mb is None else None

    return await act_then_look(lambda: ars.shares.close(guid), look)


async def known(ars: ArsClient, guid: str) -> AssetStatus:
    """The asset's status; TierRefused when ARS does not know it."""
    status = await ars.assets.status(guid)
    if status is None:
        raise TierRefused(f"asset {guid} is not in ARS: create it first")
    return status
