"""Pushing metadata: ARS replaces all of an asset, so what it holds is fetched and kept.

A push says only what we know, best only what we changed. What ARS knows beyond that stays:
fields we never heard of, tags and issues of others, and its numbers for an asset's specimens.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from blocks.ars_client import ArsClient
from blocks.tier import TierRefused, TierUnknown

Body = dict[str, Any]

SERVER_ONLY = frozenset(
    {
        "internal_status",
        "httpInfo",
        "events",
        "created_date",
        "date_metadata_updated",
        "metadata_created_by",
        "metadata_updated_by",
        "asset_created_by",
        "asset_updated_by",
        "asset_deleted_by",
        "date_asset_created_ars",
        "date_asset_updated_ars",
        "date_asset_deleted_ars",
        "date_audited",
        "audited",
        "audited_by",
        "date_pushed_to_specify",
        "error_message",
        "error_timestamp",
        "writeAccess",
        "synced",
        "mime_type",
        "legality_id",
    }
)
"""What ARS writes itself; sending it back is useless, and an old status word is refused."""

NOT_COMPARED = frozenset({"asset_guid", "updateUser", "updating_pipeline", "multi_specimen"})
"""What ARS does not echo, or counts for itself."""

ARS_OWNS_OF_A_LINK = (
    "asset_specimen_id",
    "specimen_id",
    "specify_collection_object_attachment_id",
    "asset_detached",
)


async def push_metadata(
    ars: ArsClient, guid: str, body: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> Body:
    """Have ARS hold what `body` says, all of an asset or some fields; returns what it then holds.

    With `before`, what was pushed last, only the fields changed since are pushed, also to
    empty. Without it, an empty field says nothing. Nothing is sent when ARS holds it all
    already, and nothing is ever unlocked. Pushes for one asset must not overlap: the caller
    serialises them. Raises TierRefused, TierBusy, TierUnknown (answer lost twice).
    """
    try:
        return await _push(ars, guid, body, before)
    except TierUnknown:
        # Not blind: it fetches first, and sends nothing if the first push arrived.
        return await _push(ars, guid, body, before)


async def lock(ars: ArsClient, guid: str) -> Body:
    """Lock the asset in ARS; only a person unlocks it. Returns what ARS then holds."""
    return await push_metadata(ars, guid, {"asset_locked": True})


async def _push(
    ars: ArsClient, guid: str, body: Mapping[str, Any], before: Mapping[str, Any] | None
) -> Body:
    held = await ars.assets.get(guid)
    if held is None:
        raise TierRefused(f"asset {guid} is not in ARS: create it first")
    if not differing_fields(held, body, before):
        return held
    full = {"updateUser": ars.address.update_user, **merged(held, body, before)}
    return await ars.assets.update(guid, {**full, "asset_guid": guid})


def differing_fields(
    held: Mapping[str, Any], body: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Names of the fields in which ARS does not hold what we say."""
    stated = stated_fields(body, before)
    return tuple(
        key
        for key, value in stated.items()
        if key not in NOT_COMPARED
        and not _covers(held.get(key), _put_over(key, held.get(key), value))
    )


def merged(
    held: Mapping[str, Any], body: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> Body:
    """The full asset to send: what ARS holds, with what we say put over it."""
    full = {key: value for key, value in held.items() if key not in SERVER_ONLY}
    full["issues"] = None  # leaves them; sending them back would undo one written meanwhile
    for key, value in stated_fields(body, before).items():
        full[key] = _put_over(key, held.get(key), value)
    return full


def stated_fields(body: Mapping[str, Any], before: Mapping[str, Any] | None) -> Body:
    """The fields of `body` that say something, as `push_metadata` describes."""
    ours = {key: value for key, value in body.items() if key not in SERVER_ONLY}
    if not ours.get("asset_locked"):
        ours.pop("asset_locked", None)
    if before is None:
        return {key: value for key, value in ours.items() if value}
    return {key: value for key, value in ours.items() if value != before.get(key)}


def _put_over(key: str, held: Any, value: Any) -> Any:
    if isinstance(held, Mapping) and isinstance(value, Mapping):
        return {**held, **{k: v for k, v in value.items() if v is not None}}
    if key == "asset_specimen" and value:
        return [_link(ours, held or ()) for ours in value]
    if key == "issues" and value and held:
        return [*held, *(issue for issue in value if not any(_covers(h, issue) for h in held))]
    return value


def _link(ours: Body, held: Sequence[Body]) -> Body:
    """Our link to a specimen, with what ARS and Specify know of it."""
    theirs = next((other for other in held if _names(other) & _names(ours)), {})
    link = {**theirs, **{k: v for k, v in ours.items() if v is not None}}
    owned = {key: theirs[key] for key in ARS_OWNS_OF_A_LINK if theirs.get(key) is not None}
    known = {k: v for k, v in (theirs.get("specimen") or {}).items() if v is not None}
    specimen = {**(ours.get("specimen") or {}), **known}
    # A specimen that ARS had before under another identifier keeps it.
    pid = {"specimen_pid": known["specimen_pid"]} if "specimen_pid" in known else {}
    return {**link, **owned, **pid, "specimen": specimen}


def _names(link: Body) -> set[tuple[str, ...]]:
    specimen = link.get("specimen") or {}
    place = tuple(str(specimen.get(k)) for k in ("institution", "collection", "barcode"))
    pids = {link.get("specimen_pid"), specimen.get("specimen_pid")} - {None, ""}
    return {(str(pid),) for pid in pids} | ({place} if specimen.get("barcode") else set())


def _covers(held: Any, value: Any) -> bool:
    if value is None or held == value or (not value and not held):
        return True  # ARS says null for what is empty
    if isinstance(value, Mapping):
        return isinstance(held, Mapping) and all(_covers(held.get(k), v) for k, v in value.items())
    if isinstance(value, str) and isinstance(held, str):
        instant = _instant(value)
        return instant is not None and instant == _instant(held)
    if isinstance(value, Sequence):
        matching = [any(_covers(other, item) for other in held or ()) for item in value]
        return len(value) == len(held or ()) and all(matching)
    return False


def _instant(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
