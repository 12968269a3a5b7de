"""A person's correction of a field after ingest, in an asset and in all that was made of it.

A derivative's document follows where it says what its parent's said. Codes and subject are those
of the sheet, so the links of its object are computed again. Sheets of one object write each
other's documents: their label is locked first, then the documents from the parent down.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.attempts import Barcode
from schemas.metadata.corrections import FIXED_TAGS, NEEDED, OWN, correctable
from schemas.metadata.document import Metadata, MetadataError
from track.commands.operations import ResultRow
from track.commands.results import READ, SUBJECTS
from track.commands.selection import CannotDo, asset_row
from track.commands.specimen_codes import name_codes
from track.records.documents import (
    NoDocument,
    change_document,
    change_with_children,
    read_document,
)
from track.records.mos import identifiers, lock_labels, note_member
from track.schema.history import record
from track.schema.tables import asset, document, member

Values = dict[str, Any]


async def correct_field(
    tx: AsyncConnection, guid: str, field: str, value: Any, *, actor: str, why: str
) -> list[ResultRow]:
    """Write a field of either version's name, null to clear it; a row for each asset concerned.

    The same value again changes nothing. Raises CannotDo for what is no person's to change and
    for what cannot be read.
    """
    row = await asset_row(tx, guid)
    try:
        name = correctable(field)
    except MetadataError as error:
        raise CannotDo(f"field: {error.problem}; {error.remedy}") from None
    if name in READ and row.parent_guid is not None:
        raise CannotDo(f"guid: {guid} shows what its sheet shows; correct {row.parent_guid}")
    sheet = await _locked_sheet(tx, guid) if name in READ else None
    before = await _document(tx, guid)
    changes = await _changes(tx, guid, before, name, value)
    old = {each: _value(before, each) for each in changes}
    rows = await _write(tx, guid, old, changes, actor=actor)
    if name in READ:
        rows = await _compute_links(tx, guid, sheet, before, rows, actor=actor)
    if rows[0].changed:
        reason = f"{name}: {why}" if why else name
        await record(
            tx, actor=actor, what="metadata.corrected", session_id=row.session_id,
            asset_guid=guid, old=rows[0].was, new=rows[0].now, why=reason,
        )  # fmt: skip
    return rows


async def _document(tx: AsyncConnection, guid: str) -> Metadata:
    try:
        return await read_document(tx, guid, lock=True)
    except NoDocument:
        raise CannotDo(
            f"guid: {guid} has no metadata yet: it was not taken in; correct its file and drop it"
        ) from None


async def _changes(
    tx: AsyncConnection, guid: str, before: Metadata, name: str, value: Any
) -> Values:
    """What is to be written when this field is to have that value, checked as at ingest."""
    try:
        after, _ = before.apply({name: value}, [name])
    except MetadataError as error:
        raise CannotDo(f"value: {error.problem}. {error.remedy}") from None
    if name == "tags":
        return _tags(value, before, after)
    new = after.canonical()[name]
    if name in NEEDED and not new:
        raise CannotDo(f"value: the archive takes no asset without {name}; write one")
    if name == "specimen_pid" and new and len(new) != len(before.barcode):
        raise CannotDo(
            f"value: {len(new)} identifiers for {len(before.barcode)} barcodes; write one for each,"
            " in their order"
        )
    if name != "barcode":
        return {name: new}
    named = await name_codes(tx, guid, new)
    if named.unknown:
        raise CannotDo(
            f"value: {'; '.join(f'{code!r} {no}' for code, no in named.unknown.items())}"
        )
    codes: Values = {"barcode": list(named.barcodes)}
    if codes["barcode"] != list(before.barcode):
        codes["multi_specimen"] = len(named.barcodes) > 1
    return codes | identifiers(before, named.barcodes, named.pids)


def _tags(value: Any, before: Metadata, after: Metadata) -> Values:
    if not isinstance(value, dict) or not value:
        raise CannotDo('value: write the tags to change as {"key": "text"}; null takes one away')
    for key in value:
        if key in FIXED_TAGS:
            raise CannotDo(f"value: the tag {key} is not a person's to change; {FIXED_TAGS[key]}")
    return {f"tags.{key}": after.tags.get(key) for key in value}


def _value(metadata: Metadata, name: str) -> Any:
    tag = name.removeprefix("tags.")
    return metadata.canonical()[name] if tag == name else metadata.tags.get(tag)


async def _write(
    tx: AsyncConnection, guid: str, old: Values, changes: Values, *, actor: str
) -> list[ResultRow]:
    """Change an asset's document, and those of its derivatives where they say what it said."""
    await change_document(tx, guid, changes, writes=list(changes), actor=actor)
    rows = [ResultRow(guid, "", _shown(old), _shown(changes))]
    if changes == old or OWN.issuperset(changes):
        return rows
    derived = select(asset.c.guid).join(document, document.c.asset_guid == asset.c.guid)
    mine = derived.where(asset.c.parent_guid == guid).order_by(asset.c.guid)
    for child in (await tx.execute(mine)).scalars().all():
        theirs = await read_document(tx, child, lock=True)
        values = {name: _value(theirs, name) for name in changes}
        inherited = {n: new for n, new in changes.items() if values[n] == old[n] != new}
        if inherited:
            rows += await _write(tx, child, values, values | inherited, actor=actor)
        elif values != changes:
            rows.append(ResultRow(child, "", _shown(values), _shown(values), "its own value stays"))
    return rows


def _shown(values: Mapping[str, Any]) -> str:
    """Values as a person reads them; with their names when there are several."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value not in (None, [], "")
    }
    if len(values) == 1:
        return "".join(texts.values())
    return ", ".join(f"{name}: {text}" for name, text in texts.items())


@dataclass(frozen=True)
class _Sheet:
    """What was read on a sheet that is part of an object, and the labels locked for it."""

    member: Row[Any]
    labels: list[str]


async def _locked_sheet(tx: AsyncConnection, guid: str) -> _Sheet | None:
    """A sheet of which codes were read, with the labels it concerns locked; None: none were."""
    mine = select(member).where(member.c.asset_guid == guid)
    while (found := (await tx.execute(mine)).one_or_none()) is not None:
        labels = await lock_labels(tx, guid, _barcode(found, found.own_barcodes, "specimen"))
        if (await tx.execute(mine)).one() == found:  # it may have been read again meanwhile
            return _Sheet(found, labels)
    return None


def _barcode(found: Row[Any], codes: list[str], subject: str) -> Barcode:
    return Barcode(
        barcodes=tuple(codes), disposable=found.disposable_id, label=found.label,
        asset_subject=subject,
    )  # fmt: skip


async def _compute_links(
    tx: AsyncConnection,
    guid: str,
    sheet: _Sheet | None,
    before: Metadata,
    rows: list[ResultRow],
    *,
    actor: str,
) -> list[ResultRow]:
    """Have the asset's subject, its part in its object, and the object's labels follow."""
    after = await read_document(tx, guid)
    subject = after.asset_subject if after.asset_subject in SUBJECTS else "unknown"
    shown = (asset.c.guid == guid) | (asset.c.parent_guid == guid)
    await tx.execute(update(asset).where(shown).values(subject=subject))
    if sheet is None:
        return rows
    own = sheet.member.own_barcodes
    if after.barcode != before.barcode:
        # A label shows its own codes and those of its specimens, which are not its own.
        linked = set(before.barcode) - set(own) if sheet.member.label else set()
        own = [code for code in after.barcode if code not in linked]
    seen = _barcode(sheet.member, own, subject)
    if after.asset_subject != before.asset_subject:
        seen = seen.model_copy(update={"label": after.asset_subject == "label"})
    pids = dict(zip(after.barcode, after.specimen_pid, strict=False))
    await note_member(tx, guid, seen, sheet.labels, pids, actor=actor)
    if sheet.member.label and not seen.label:  # its specimens' codes are theirs alone now
        codes = {"barcode": own, **identifiers(after, own, pids)}
        await change_with_children(tx, guid, codes, actor=actor)
    linked_again = await read_document(tx, guid)
    if linked_again.barcode == after.barcode:
        return rows
    kept = ", ".join(code for code in linked_again.barcode if code not in after.barcode)
    note = f"its specimens' codes stay on a label: {kept}; correct those" if kept else ""
    names = ["barcode", "multi_specimen", "specimen_pid"]
    now = {name: _value(linked_again, name) for name in names}
    was = {name: _value(before, name) for name in names}
    return [ResultRow(guid, "", _shown(was), _shown(now), note), *rows[1:]]
