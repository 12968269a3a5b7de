"""Metadata documents: one canonical v3 body per asset, counted in revisions.

`revision > ars_revision` means that metadata must be pushed: whoever sees it pushes, and notes
the revision that it pushed, so that a change made meanwhile is pushed again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.metadata.document import Arrived, Metadata
from schemas.searching import SEARCHED
from track.records.search import note_document, note_words
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import asset, document, job, revision, stage


class NoDocument(LookupError):
    """No metadata is known of this asset; it was quarantined before it could be read."""


async def create_document(tx: AsyncConnection, guid: str, arrived: Arrived, *, actor: str) -> None:
    """Record the document an asset came with; a corrected re-drop becomes a new revision."""
    body = arrived.metadata.canonical()
    row = {
        "asset_guid": guid,
        "body": body,
        "arrived": arrived.document,
        "arrived_version": arrived.version,
    }
    statement = upsert(document).values(row).on_conflict_do_nothing()
    if (await tx.execute(statement.returning(document.c.asset_guid))).first() is not None:
        await _record_revision(tx, guid, 1, actor, [{"field": "*", "old": None, "new": "created"}])
        await note_words(tx, [guid])
        return
    old = await read_document(tx, guid, lock=True)
    await tx.execute(
        update(document)
        .where(document.c.asset_guid == guid)
        .values(arrived=arrived.document, arrived_version=arrived.version)
    )
    await _store(tx, guid, old, arrived.metadata, actor)


async def read_document(tx: AsyncConnection, guid: str, *, lock: bool = False) -> Metadata:
    """The canonical metadata of an asset. Raises NoDocument."""
    statement = select(document.c.body).where(document.c.asset_guid == guid)
    if lock:
        statement = statement.with_for_update(key_share=True)
    body = (await tx.execute(statement)).scalar_one_or_none()
    if body is None:
        raise NoDocument(guid)
    return Metadata.model_validate(body)


async def change_document(
    tx: AsyncConnection,
    guid: str,
    changes: Mapping[str, Any],
    *,
    writes: Iterable[str],
    actor: str,
) -> bool:
    """Apply changes within a whitelist of v3 names; whether anything differs now.

    Raises NoDocument, and MetadataError for a field that may not be written.
    """
    old = await read_document(tx, guid, lock=True)
    new, _ = old.apply(changes, writes)
    return await _store(tx, guid, old, new, actor)


async def change_with_children(
    tx: AsyncConnection, guid: str, changes: Mapping[str, Any], *, actor: str
) -> None:
    """Apply changes to an asset and to all that was derived from it: they show the same thing.

    Raises NoDocument for the asset itself.
    """
    await change_document(tx, guid, changes, writes=list(changes), actor=actor)
    derived = select(asset.c.guid).join(document, document.c.asset_guid == asset.c.guid)
    mine = derived.where(asset.c.parent_guid == guid).order_by(asset.c.guid)
    for child in (await tx.execute(mine)).scalars().all():
        await change_with_children(tx, child, changes, actor=actor)


async def _store(tx: AsyncConnection, guid: str, old: Metadata, new: Metadata, actor: str) -> bool:
    before, after = old.canonical(), new.canonical()
    changed = [
        {"field": name, "old": before.get(name), "new": value}
        for name, value in after.items()
        if before.get(name) != value
    ]
    if not changed:
        return False
    statement = (
        update(document)
        .where(document.c.asset_guid == guid)
        .values(body=after, revision=document.c.revision + 1, updated_at=func.now())
        .returning(document.c.revision)
    )
    number = (await tx.execute(statement)).scalar_one()
    await _record_revision(tx, guid, number, actor, changed)
    if any(change["field"] in SEARCHED for change in changed):
        await note_document(tx, guid, after)
    return True


async def _record_revision(
    tx: AsyncConnection, guid: str, number: int, actor: str, changes: list[dict[str, Any]]
) -> None:
    row = {"asset_guid": guid, "revision": number, "actor": actor, "changes": changes}
    await tx.execute(insert(revision).values(row))


@dataclass(frozen=True)
class Unpushed:
    """A revision that the archive lacks, and the metadata pushed before it (None: none was)."""

    revision: int
    metadata: Metadata
    last_pushed: Metadata | None


def is_unpushed() -> ColumnElement[bool]:
    """Of a document: the archive has created the asset, and lacks a revision made since."""
    created = (
        select(job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .where(job.c.asset_guid == document.c.asset_guid, job.c.state == State.DONE)
        .where(stage.c.kind == "builtin", stage.c.run == "create")
        .limit(1)
    )
    # As an EXISTS it is answered by reading all that was ever created, for the planner takes a
    # third of all documents to lack a revision.
    return and_(
        document.c.revision > document.c.ars_revision, created.scalar_subquery().is_not(None)
    )


def is_for_archive() -> ColumnElement[bool]:
    """Of a document: a stage of its asset creates that in the archive, sooner or later."""
    creates = (
        select(job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .where(job.c.asset_guid == document.c.asset_guid)
        .where(stage.c.kind == "builtin", stage.c.run == "create")
        .limit(1)
    )
    return creates.scalar_subquery().is_not(None)  # as in `is_unpushed`


async def unpushed(tx: AsyncConnection, guid: str) -> Unpushed | None:
    """What the archive lacks of an asset's metadata; None when there is nothing to push."""
    statement = select(document).where(
        document.c.asset_guid == guid,
        document.c.revision > document.c.ars_revision,
        is_for_archive(),
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    last = None
    if row.ars_revision:
        last = Metadata.model_validate(await _body_at(tx, guid, row.body, row.ars_revision))
    return Unpushed(row.revision, Metadata.model_validate(row.body), last)


async def created_and_unpushed(tx: AsyncConnection, guids: Sequence[str]) -> list[str]:
    """Those of these assets that the archive has created and whose metadata it lacks."""
    mine = select(document.c.asset_guid).where(any_of(document.c.asset_guid, guids), is_unpushed())
    return list((await tx.execute(mine.order_by(document.c.asset_guid))).scalars())


async def _body_at(
    tx: AsyncConnection, guid: str, body: dict[str, Any], number: int
) -> dict[str, Any]:
    """The body as it was at an earlier revision: its changes taken back, the last one first."""
    since = select(revision.c.changes).where(
        revision.c.asset_guid == guid, revision.c.revision > number
    )
    rows = (await tx.execute(since.order_by(revision.c.revision.desc()))).scalars()
    undone = {change["field"]: change["old"] for changes in rows for change in changes}
    return body | undone


async def mark_unpushed(tx: AsyncConnection, guids: Sequence[str]) -> None:
    """Take it that the archive has no metadata of these assets: all of it is pushed again."""
    mine = any_of(document.c.asset_guid, guids)
    await tx.execute(update(document).where(mine).values(ars_revision=0))


async def mark_pushed(tx: AsyncConnection, guid: str, number: int) -> None:
    """Note that the archive holds revision `number`; never goes back."""
    pushed = func.greatest(document.c.ars_revision, number)
    mine = document.c.asset_guid == guid
    await tx.execute(update(document).where(mine).values(ars_revision=pushed))
