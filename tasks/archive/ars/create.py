"""Registering in ARS: first the specimens an asset names, then the asset itself."""

from collections.abc import Iterable
from typing import Any

from blocks.ars_client import ArsClient
from blocks.tier import Created, TierRefused
from tasks.archive.ars.unconfirmed import act_then_look

Body = dict[str, Any]


async def ensure_specimens(ars: ArsClient, specimens: Iterable[Body]) -> list[Body]:
    """Have ARS know each specimen with at least our preparation types; returns ARS's own.

    A body has institution, collection, barcode, preparation_types and optionally
    specimen_pid and role_restrictions. What ARS already holds of it is kept. The first
    contract, v1_7, has no specimens of their own: nothing is done. Raises TierError.
    """
    if ars.address.profile == "v1_7":
        return []
    return [await _ensure_specimen(ars, specimen) for specimen in specimens]


async def ensure_created(ars: ArsClient, body: Body, allocation_mb: int) -> Created:
    """Have the asset exist in ARS, its share open at first creation. Idempotent by guid.

    `allocation_mb` is room for all its files and its parents', in MB of 10^6 bytes.
    Raises TierRefused (also when the guid belongs to another collection), TierBusy (disk
    full, guid locked), TierUnknown (nothing to be seen yet after an unclear answer).
    """
    guid = str(body["asset_guid"])
    found = await _found(ars, body)
    if found is not None:
        return found
    sent = {**body, "asset_pid": body.get("asset_pid") or guid}

    async def create() -> Created:
        await ars.assets.create(sent, allocation_mb)
        return Created(new=True, share_open=True)

    return await act_then_look(create, lambda: _found(ars, body))


async def _found(ars: ArsClient, body: Body) -> Created | None:
    guid = str(body["asset_guid"])
    status = await ars.assets.status(guid)
    if status is None:
        return None
    held = await ars.assets.get(guid) or {}
    for key in ("institution", "collection"):
        if held.get(key, body[key]) != body[key]:
            raise TierRefused(
                f"asset {guid} is already in ARS under {key} {held[key]!r}, not {body[key]!r}: "
                "the guid was given twice, or the metadata names the wrong place"
            )
    return Created(new=False, share_open=status.share_allocation_mb is not None)


async def _ensure_specimen(ars: ArsClient, wanted: Body) -> Body:
    if "/" in str(wanted["barcode"]):
        raise TierRefused(
            f"barcode {wanted['barcode']!r} has a slash, and ARS addresses specimens by their "
            "barcode in a path: register the specimen in ARS by hand, then skip this stage"
        )
    held = await ars.assets.specimen(wanted)
    if held is not None and _covers(held, wanted):
        return held
    known = held or {}
    merged = {
        **wanted,
        **{key: value for key, value in known.items() if value is not None},
        "preparation_types": sorted({*_preparations(known), *_preparations(wanted)}),
    }

    async def look() -> Body | None:
        now = await ars.assets.specimen(wanted)
        return now if now is not None and _covers(now, wanted) else None

    return await act_then_look(lambda: ars.assets.put_specimen(merged), look)


def _preparations(specimen: Body) -> list[str]:
    return list(specimen.get("preparation_types") or ())


def _covers(held: Body, wanted: Body) -> bool:
    return set(_preparations(wanted)) <= set(_preparations(held))
