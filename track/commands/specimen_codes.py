"""From the codes somebody read to the specimens an asset names, and to a person where none is.

Whoever brings codes (our module, a script, the workstation's document), they come through
here: a URI becomes barcode and identifier by the patterns of the asset's pipeline, and what
names no specimen holds the asset for a person. It never fails: the stage is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.attempts import Barcode
from schemas.specimen_codes import Named, UriPattern, is_uri, name_specimens, uri_patterns
from track.commands.attention import hold
from track.records.documents import change_with_children, read_document
from track.records.mos import identifiers
from track.schema.tables import asset, stage

NOTHING_READ = "no code was read, and one was expected: look at the image, and at its codes"


@dataclass(frozen=True)
class Recognised:
    """A sheet as its specimens are called; `notes` say what a person should know of its codes."""

    barcode: Barcode
    named: Named
    notes: list[str]


async def recognise(tx: AsyncConnection, guid: str, given: Barcode) -> Recognised:
    """What the codes of a sheet name. Several codes of one specimen are one."""
    collection = (await read_document(tx, guid)).collection
    patterns = await _patterns(tx, guid)
    # What its module left out as somebody else's may be a URI that the pipeline knows by now.
    others = [code.text for code in given.codes if code.kind == "other" and is_uri(code.text)]
    named = name_specimens([*given.barcodes, *others], patterns, collection)
    several = given.multi_specimen
    if len(named.barcodes) != len(given.barcodes):
        several = len(named.barcodes) > 1
    known = {"barcodes": named.barcodes, "multi_specimen": several}
    return Recognised(given.model_copy(update=known), named, _notes(named.unknown))


async def name_documented(tx: AsyncConnection, guid: str, *, actor: str) -> list[str]:
    """The same for the barcodes that a document has come with; what a person should know.

    Holds the asset when something should be known.
    """
    document = await read_document(tx, guid)
    if not any(is_uri(text) or "/" in text for text in document.barcode):
        return []
    named = name_specimens(document.barcode, await _patterns(tx, guid), document.collection)
    changes = {"barcode": named.barcodes, **identifiers(document, named.barcodes, named.pids)}
    await change_with_children(tx, guid, changes, actor=actor)
    notes = _notes(named.unknown)
    await hold(tx, guid, notes, actor=actor)
    return notes


async def name_codes(tx: AsyncConnection, guid: str, codes: Sequence[str]) -> Named:
    """What codes that a person wrote name on an asset: barcodes, or URIs of its pipeline."""
    collection = (await read_document(tx, guid)).collection
    return name_specimens(codes, await _patterns(tx, guid), collection)


async def expected(tx: AsyncConnection, guid: str, stage_id: int, sheet: Barcode) -> bool:
    """Whether a code was to be seen on a sheet that shows none and is not known without.

    By the stage's `params.expected`, else whenever it may write `barcode`. A label, a target
    and a sheet that its disposable label links to others need none of their own.
    """
    if sheet.barcodes or sheet.label or sheet.disposable or sheet.asset_subject != "specimen":
        return False
    found = select(stage.c.params, stage.c.writes).where(stage.c.id == stage_id)
    row = (await tx.execute(found)).one()
    wanted = row.params.get("expected", "barcode" in row.writes)
    return bool(wanted) and not (await read_document(tx, guid)).barcode


def _notes(unknown: Mapping[str, str]) -> list[str]:
    short = {code: code if len(code) <= 120 else f"{code[:120]}…" for code in unknown}
    return [f"code {short[code]!r} {why}" for code, why in unknown.items()]


async def _patterns(tx: AsyncConnection, guid: str) -> list[UriPattern]:
    """Those of all stages of the asset's pipeline: a document comes before any stage."""
    uris = stage.c.params["patterns"]["uri"]
    statement = (
        select(uris)
        .join(asset, asset.c.pipeline_id == stage.c.pipeline_id)
        .where(asset.c.guid == guid, stage.c.archived_at.is_(None), uris.is_not(None))
        .order_by(stage.c.position)
    )
    return [
        each for given in (await tx.execute(statement)).scalars() for each in uri_patterns(given)
    ]
