"""What each specimen is found by, in a table of its own: see `schemas.searching`.

It is written in the transaction that registers an asset or changes its document. Derivatives are
found by their specimen. What was there before the table is brought in page by page.
"""

import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.searching import numbers_of, words_of_asset, words_of_document
from track.schema.database import transact

PAGE = 500
"""Specimens brought in by one transaction."""

OF_ASSETS = text("""
    SELECT a.guid, a.file_name, p.name AS pipeline, e.workstation, d.body
    FROM track.asset a
    JOIN track.pipeline p ON p.id = a.pipeline_id
    JOIN track.session e ON e.id = a.session_id
    LEFT JOIN metadata.document d ON d.asset_guid = a.guid
    WHERE a.guid = ANY(:guids) AND a.parent_guid IS NULL
    ORDER BY a.guid
""")

# Written only where it differs: an index of words is dear to write.
WRITE = text("""
    INSERT INTO track.search (asset_guid, at, taken_at, numbers, base, words)
    SELECT a.guid, a.created_at, r.taken_at, r.numbers, v.base,
           v.base || array_to_tsvector(ARRAY(SELECT jsonb_array_elements_text(r.words)))
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
      AS r(guid text, taken_at timestamptz, numbers text, base jsonb, words jsonb)
    JOIN track.asset a ON a.guid = r.guid
    CROSS JOIN LATERAL (
        SELECT array_to_tsvector(ARRAY(SELECT jsonb_array_elements_text(r.base))) AS base) v
    ORDER BY a.guid
    ON CONFLICT (asset_guid) DO UPDATE
    SET taken_at = excluded.taken_at, numbers = excluded.numbers, base = excluded.base,
        words = excluded.words
    WHERE (search.taken_at, search.numbers, search.base, search.words)
          IS DISTINCT FROM (excluded.taken_at, excluded.numbers, excluded.base, excluded.words)
""")

CHANGE = text("""
    UPDATE track.search s
    SET taken_at = CAST(:taken_at AS timestamptz), numbers = :numbers,
        words = base || array_to_tsvector(CAST(:words AS text[]))
    WHERE s.asset_guid = :guid
""")
"""Of a derivative, and of what has yet to be brought in, there is no row."""


async def note_document(tx: AsyncConnection, guid: str, body: Mapping[str, Any]) -> None:
    """Write down what an asset is found by now that its document says this."""
    given = {
        "guid": guid,
        "taken_at": body.get("date_asset_taken"),
        "numbers": "\n".join(numbers_of(body)),
        "words": words_of_document(body),
    }
    await tx.execute(CHANGE, given)


async def note_words(tx: AsyncConnection, guids: Collection[str]) -> None:
    """Write down what these assets are found by now; derivatives among them are left out."""
    found = (await tx.execute(OF_ASSETS, {"guids": sorted(guids)})).all()
    if found:
        await tx.execute(WRITE, {"rows": json.dumps([_row(each) for each in found])})


def _row(found: Row[Any]) -> dict[str, Any]:
    body = found.body or {}
    base = words_of_asset(
        found.guid,
        file_name=found.file_name,
        workstation=found.workstation,
        pipeline=found.pipeline,
    )
    return {
        "guid": found.guid,
        "taken_at": body.get("date_asset_taken"),
        "numbers": "\n".join(numbers_of(body)),
        "base": base,
        "words": words_of_document(body),
    }


# One row while there is something left to bring in: the last guid that was.
MARK = text("SELECT done_to FROM track.search_fill FOR UPDATE SKIP LOCKED")
NEXT = text("SELECT guid FROM track.asset WHERE guid > :after ORDER BY guid LIMIT :size")
HOLD = text("""
    SELECT asset_guid FROM metadata.document
    WHERE asset_guid = ANY(:guids) ORDER BY asset_guid FOR SHARE
""")
"""Who changes one of these meanwhile would find no row to write it to."""
MOVE_MARK = text("UPDATE track.search_fill SET done_to = :guid")
NO_MARK = text("DELETE FROM track.search_fill")


async def fill_search(engine: AsyncEngine, *, within_s: float | None = None) -> bool:
    """Bring in what was there before the table, until the time (s) is over; whether all is in."""
    began = time.monotonic()
    while within_s is None or time.monotonic() - began < within_s:
        if not await transact(engine, fill_search_page):
            return True
    return False


async def fill_search_page(tx: AsyncConnection, size: int = PAGE) -> bool:
    """Bring in up to `size` assets; False when there was nothing left to do, or another is at it.

    Killed, it goes on where it was; whoever writes a document meanwhile writes the same.
    """
    mark = (await tx.execute(MARK)).scalar_one_or_none()
    if mark is None:
        return False
    guids = list((await tx.execute(NEXT, {"after": mark, "size": size})).scalars())
    await tx.execute(HOLD, {"guids": guids})
    await note_words(tx, guids)
    if len(guids) < size:
        await tx.execute(NO_MARK)
        return False
    await tx.execute(MOVE_MARK, {"guid": guids[-1]})
    return True
