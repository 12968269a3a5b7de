"""Asking a person about an asset: the note that holds it, and who has cleared it.

A note that begins with a file's name and checksum is answered for that content alone.
"""

from collections.abc import Iterable

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from track.commands.switches import set_attention
from track.schema.tables import asset, history

ZEROS = "all zero, as a copy that was cut short leaves them"
"""What every note says that asks about an image of which a part may never have been written."""


async def hold(tx: AsyncConnection, guid: str, notes: Iterable[str], *, actor: str) -> None:
    """Hold an asset until a person has seen these notes; a note that is there stays."""
    mine = select(asset.c.attention).where(asset.c.guid == guid)
    before = (await tx.execute(mine)).scalar_one()
    new = [each for each in notes if each not in (before or "")]
    if new:
        note = "; ".join(filter(None, (before, *new)))
        await set_attention(tx, guid, note, actor=actor)


async def cleared_by(tx: AsyncConnection, guid: str, note: str) -> str | None:
    """Who last let an asset go on that was held with `note`; None: nobody has."""
    last = _cleared(guid, note).order_by(history.c.id.desc()).limit(1)
    return (await tx.execute(last)).scalar_one_or_none()


async def zeros_accepted(tx: AsyncConnection, guid: str) -> bool:
    """Whether an asset that is in was held because of zeros in its image, and let go on."""
    return (await tx.execute(_cleared(guid, ZEROS).limit(1))).first() is not None


def _cleared(guid: str, note: str) -> Select[tuple[str]]:
    return select(history.c.actor).where(
        history.c.asset_guid == guid,
        history.c.what == "asset.attention",
        history.c.new.is_(None),
        func.strpos(history.c.old, note) > 0,
    )
