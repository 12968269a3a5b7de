"""Multi-object specimens: sheets that share a disposable label are one object.

Links are computed from `unique_label_id`, never accumulated, so the order in which
sheets are read and how often cannot matter. Only specimens feed labels: a label's
barcodes are its own first, then its specimens' first ones in the order of their guids.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.attempts import Barcode
from schemas.metadata.document import Metadata, MetadataError
from track.records.documents import NoDocument, change_with_children, is_unpushed, read_document
from track.schema.tables import asset, document, member

UNKNOWN_SPECIMEN = "NOT_AVAILABLE"
MAX_LABEL = 1000
"""Bytes of a disposable label's code; an index has to hold it, and real ones are far shorter."""


async def lock_labels(tx: AsyncConnection, guid: str, barcode: Barcode) -> list[str]:
    """Lock the labels a sheet concerns, now and before; again, in this transaction, is harmless.

    To be called before any document is locked: the sheets of one object write each other's.
    Raises MetadataError for a label that is none.
    """
    if barcode.disposable and len(barcode.disposable.encode()) > MAX_LABEL:
        raise MetadataError(
            f"is longer than the {MAX_LABEL} bytes of a disposable label",
            "Check what the sheet's code was taken for",
            field="disposable",
        )
    old = select(member.c.unique_label_id).where(member.c.asset_guid == guid)
    named = ((await tx.execute(old)).scalar_one_or_none(), await _label(tx, guid, barcode))
    labels = sorted({str(label) for label in named if label is not None})
    for label_id in labels:
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(label_id, 0))))
    return labels


async def note_member(
    tx: AsyncConnection,
    guid: str,
    barcode: Barcode,
    labels: Sequence[str],
    pids: Mapping[str, str] | None = None,
    *,
    actor: str,
) -> None:
    """Record what was read on one sheet of its object, and bring the locked labels up to date.

    `pids` are the identifiers of its barcodes, of those that have one.
    """
    known = await read_document(tx, guid)
    first = barcode.barcodes[0] if barcode.barcodes else None
    row = {
        "asset_guid": guid,
        "label": barcode.label,
        "spid": f"{known.institution}_{known.collection}_{first}" if first else UNKNOWN_SPECIMEN,
        "disposable_id": barcode.disposable or None,
        "unique_label_id": await _label(tx, guid, barcode),
        "own_barcodes": list(barcode.barcodes),
    }
    statement = insert(member).values(row)
    fields = {name: statement.excluded[name] for name in row if name != "asset_guid"}
    await tx.execute(
        statement.on_conflict_do_update(index_elements=[member.c.asset_guid], set_=fields)
    )
    for label_id in labels:
        await _feed_labels(tx, label_id, pids or {}, actor)


async def _label(tx: AsyncConnection, guid: str, barcode: Barcode) -> str | None:
    if not barcode.disposable:
        return None
    batch = select(asset.c.batch_name).where(asset.c.guid == guid)
    return f"{(await tx.execute(batch)).scalar_one()}_{barcode.disposable}"


async def _feed_labels(
    tx: AsyncConnection, label_id: str, pids: Mapping[str, str], actor: str
) -> None:
    """Recompute the barcodes of every label sheet of one object, with their identifiers.

    `pids` are those that were read just now.
    """
    statement = select(member).where(member.c.unique_label_id == label_id)
    members = (await tx.execute(statement.order_by(member.c.asset_guid))).all()
    linked = [each.own_barcodes[0] for each in members if not each.label and each.own_barcodes]
    known = dict(pids)
    for sheet in sorted(members, key=lambda each: each.label):  # labels last: they show the others'
        try:
            before = await read_document(tx, sheet.asset_guid)
            known |= identified(before)
            if sheet.label:
                barcodes = list(dict.fromkeys([*sheet.own_barcodes, *linked]))
                changes = {"barcode": barcodes, **identifiers(before, barcodes, known)}
                await change_with_children(tx, sheet.asset_guid, changes, actor=actor)
        except NoDocument:
            continue


MAY_LACK = text("""
    WITH mine AS (SELECT j.id, j.asset_guid AS guid FROM track.job j WHERE j.id = ANY(:jobs)),
    sheets AS (
        SELECT id, guid FROM mine
        UNION
        SELECT mine.id, other.asset_guid FROM mine
        JOIN mos.member m ON m.asset_guid = mine.guid
        JOIN mos.member other ON other.unique_label_id = m.unique_label_id
    ),
    kin AS (
        SELECT id, guid FROM sheets
        UNION
        SELECT sheets.id, a.guid FROM sheets JOIN track.asset a ON a.parent_guid = sheets.guid
    )
    SELECT DISTINCT kin.id FROM kin JOIN metadata.document d ON d.asset_guid = kin.guid
    WHERE d.revision > d.ars_revision
      AND (SELECT j.id FROM track.job j JOIN track.stage s ON s.id = j.stage_id
            WHERE j.asset_guid = kin.guid AND s.kind = 'builtin' AND s.run = 'create'
            LIMIT 1) IS NOT NULL  -- no archive is ever told of the others
""")


async def may_lack_metadata(tx: AsyncConnection, job_ids: Collection[int]) -> set[int]:
    """Those of these jobs after which the archive may lack metadata, of their asset or of what
    `unpushed_relatives` names."""
    if not job_ids:
        return set()
    return set((await tx.execute(MAY_LACK, {"jobs": sorted(job_ids)})).scalars())


async def unpushed_relatives(tx: AsyncConnection, guid: str) -> list[str]:
    """Those whose metadata a sheet's codes concern too, and lack a push: never the sheet itself.

    They are the other sheets of its object, and the derivatives of all of them.
    """
    mine = select(member.c.unique_label_id).where(member.c.asset_guid == guid).scalar_subquery()
    linked = (member.c.unique_label_id == mine) & (member.c.asset_guid != guid)
    sheets = select(member.c.asset_guid.label("guid")).where(linked).cte("sheets")
    parents = select(sheets.c.guid).union(select(literal(guid)))
    derived = select(asset.c.guid).where(asset.c.parent_guid.in_(parents))
    # One list of them all: else it would be asked of every document that the archive lacks.
    kin = select(document.c.asset_guid).where(
        document.c.asset_guid.in_(select(sheets.c.guid).union(derived)), is_unpushed()
    )
    return list((await tx.execute(kin.order_by(document.c.asset_guid))).scalars())


def identifiers(
    before: Metadata, barcodes: Sequence[str], known: Mapping[str, str]
) -> dict[str, Any]:
    """The change of `specimen_pid` that goes with these barcodes: one to each, or none at all.

    The identifier that a document has of a barcode stays; that of one that is gone goes with it.
    """
    paired = identified(before)
    pids = {**paired, **known}
    if any(barcode in pids for barcode in barcodes):
        place = f"{before.institution}.{before.collection}"
        # As the archive makes one itself.
        return {"specimen_pid": [pids.get(each, f"{place}.{each}") for each in barcodes]}
    return {"specimen_pid": []} if paired else {}


def identified(metadata: Metadata) -> dict[str, str]:
    """The identifier of each barcode, where a document has as many of both."""
    if len(metadata.barcode) != len(metadata.specimen_pid):
        return {}
    return dict(zip(metadata.barcode, metadata.specimen_pid, strict=True))
