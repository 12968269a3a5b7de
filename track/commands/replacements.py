"""A specimen photographed anew: two assets that name each other, both kept.

The archive has no field for it. `parent_guids` would make the new image a derivative of the old
one, share its files and take its place in the count of its share; `issues` needs categories
that the archive must know. So it is a tag on each, which goes wherever metadata goes, and which
derivatives have like every other tag.
"""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.metadata.document import Metadata
from track.commands.operations import ResultRow
from track.commands.selection import CannotDo, asset_row
from track.records.documents import NoDocument, change_with_children, read_document
from track.schema.history import record
from track.schema.tables import document

REPLACED_BY, REPLACES = "replaced_by", "replaces"
BETWEEN = " | "
"""Between the guids of several old ones: no guid holds it."""


async def replace(
    tx: AsyncConnection, old: str, new: str | None, *, actor: str, why: str
) -> list[ResultRow]:
    """Say of an asset that another shows its specimen instead; None takes that back.

    A row for each of the two; said again it changes nothing. One asset may stand for several old
    ones, an old one has one successor. Raises CannotDo.
    """
    for name, guid in (("old", old), ("new", new)):
        if guid is not None:
            await _check(tx, name, guid)
    if old == new:
        raise CannotDo("new: an asset does not replace itself; name the new image's guid")
    one_at_a_time = func.pg_advisory_xact_lock(func.hashtextextended("replacement", 0))
    await tx.execute(select(one_at_a_time))  # several at once could make a circle
    known = await _locked(tx, old, new)
    before = known[old].tags.get(REPLACED_BY)
    if new is not None and before not in (None, new):
        raise CannotDo(
            f"old: {old} is replaced by {before} already; replace that one, or take it back first"
            " by leaving new empty"
        )
    if before == new:
        return [ResultRow(old, "", before or "", new or "", "it is so already")]
    if new is not None:
        await _refuse_circle(tx, old, new)
    other = new or str(before)
    rows = [
        await _say(tx, old, REPLACED_BY, before, new, actor=actor),
        await _say_replaces(tx, known[other], old, add=new is not None, actor=actor),
    ]
    for row in rows:
        session_id = (await asset_row(tx, row.guid)).session_id
        await record(
            tx, actor=actor, what=f"asset.{row.note}", session_id=session_id,
            asset_guid=row.guid, old=row.was or None, new=row.now or None, why=why,
        )  # fmt: skip
    return rows


async def _check(tx: AsyncConnection, name: str, guid: str) -> None:
    try:
        row = await asset_row(tx, guid)
    except CannotDo as error:
        raise CannotDo(str(error).replace("guid:", f"{name}:", 1)) from None
    if row.parent_guid is not None:
        raise CannotDo(f"{name}: {guid} is a derivative; name the image it was made of")


async def _locked(tx: AsyncConnection, old: str, new: str | None) -> dict[str, Metadata]:
    """The documents of the two, and of whoever replaces the old one; locked in one order."""
    guids = {old, new} - {None}
    while True:
        known = {guid: await _document(tx, str(guid)) for guid in sorted(map(str, guids))}
        successor = known[old].tags.get(REPLACED_BY)
        if successor is None or successor in known:
            return known
        guids = {*guids, successor}


async def _document(tx: AsyncConnection, guid: str) -> Metadata:
    try:
        return await read_document(tx, guid, lock=True)
    except NoDocument:
        raise CannotDo(f"guid: {guid} has no metadata yet: it was not taken in") from None


async def _refuse_circle(tx: AsyncConnection, old: str, new: str) -> None:
    """Raise CannotDo if the old one is what the new one was replaced by in the end."""
    tag = document.c.body["tags"][REPLACED_BY].astext
    seen, at = [new], new
    while True:
        mine = select(tag).where(document.c.asset_guid == at)
        following = (await tx.execute(mine)).scalar_one_or_none()
        if following is None:
            return
        at = str(following)
        seen.append(at)
        if at == old:
            raise CannotDo(
                f"new: {' is replaced by '.join(seen)}; an image cannot replace what replaces it"
            )


async def _say(
    tx: AsyncConnection, guid: str, tag: str, was: str | None, now: str | None, *, actor: str
) -> ResultRow:
    changes: dict[str, Any] = {f"tags.{tag}": now}
    await change_with_children(tx, guid, changes, actor=actor)
    return ResultRow(guid, "", was or "", now or "", tag)


async def _say_replaces(
    tx: AsyncConnection, known: Metadata, old: str, *, add: bool, actor: str
) -> ResultRow:
    """Put an old asset among those that this one stands for, or take it out."""
    was = known.tags.get(REPLACES)
    guids = [each for each in (was or "").split(BETWEEN) if each and each != old]
    now = BETWEEN.join(sorted([*guids, old] if add else guids))
    return await _say(tx, known.asset_guid, REPLACES, was, now or None, actor=actor)
