"""What a module brought back, applied to the three databases in the callback's transaction.

The same steps serve our runner's one `complete` and the several calls of a script
that reports in pieces: metadata within the stage's whitelist, barcodes and object
links, derivatives as child assets, files that reached the archive.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.attempts import Barcode, Derivative, Result
from schemas.files import FileFacts, megabytes
from schemas.metadata.document import Arrived, Metadata
from schemas.metadata.names import v3_name
from track.commands.assets import NewAsset, register_assets
from track.commands.attention import hold
from track.commands.specimen_codes import (
    NOTHING_READ,
    expected,
    name_documented,
    recognise,
)
from track.jobs.attempts import LockedAttempt
from track.jobs.verbs import resubmit
from track.records.documents import (
    change_document,
    change_with_children,
    create_document,
    read_document,
)
from track.records.mos import hold_labels, identifiers, note_member
from track.schema.arrays import any_of
from track.schema.states import IN_HAND, State
from track.schema.tables import asset, edge, file, job

SUBJECTS = {"specimen", "label", "device target", "folder"}
READ = ("asset_subject", "barcode", "multi_specimen")
"""Fields that codes decide."""
MIME = {"tif": "image/tiff", "jpeg": "image/jpeg"}


@dataclass(frozen=True)
class AppliedResult:
    """What the job warns of, and whether what is known of the asset differs now."""

    warnings: list[str]
    changed: bool


async def apply_result(tx: AsyncConnection, of: LockedAttempt, result: Result) -> AppliedResult:
    """Apply what one module returned.

    Fields that the stage may not write are left out, with a warning. Raises MetadataError
    for a value that cannot be read, ValueError for a child not its own.
    """
    attempt, writes = of.attempt, of.writes
    actor = attempt.actor
    warnings = [result.warning] if result.warning else []
    changed = result.barcode is not None
    if result.barcode is not None:
        await hold_labels(tx, attempt.guid, result.barcode)
    if result.metadata:
        changes = result.metadata
        if result.barcode is not None:
            # Written below, once it is known what specimens they name.
            changes = {name: changes[name] for name in changes if v3_name(name) not in READ}
        changed |= await change_document(tx, attempt.guid, changes, writes=writes, actor=actor)
        warnings += unwritten(result.metadata, writes)
        if "barcode" in changes:
            warnings += await name_documented(tx, attempt.guid, actor=actor)
    if result.barcode is not None:
        warnings += await apply_barcode(
            tx, attempt.guid, result.barcode, actor=actor, stage_id=attempt.stage_id
        )
    if result.derivatives is not None:
        for derivative in result.derivatives:
            await apply_derivative(tx, of, derivative)
        await declare(tx, attempt.job_id, len(result.derivatives))
    if result.uploaded is not None:
        await apply_uploaded(tx, attempt.guid, [each.name for each in result.uploaded])
    return AppliedResult(warnings, changed)


def unwritten(changes: Mapping[str, Any], writes: Iterable[str]) -> list[str]:
    """A warning when `changes` hold fields that the stage may not write; these are left out."""
    outside = ", ".join(Metadata.outside(changes, writes))
    return [f"not written, for the stage's `writes` lacks them: {outside}"] if outside else []


async def apply_barcode(
    tx: AsyncConnection, guid: str, barcode: Barcode, *, actor: str, stage_id: int | None = None
) -> list[str]:
    """Record the codes of a sheet: metadata, the asset's subject, and its object's links.

    A subject we have no word for is kept as it came; it never stops the job. What a person
    should know is returned, and holds the asset: a code that names no specimen, none where
    `stage_id` expects one. Where nothing was read, what is known stays.
    """
    labels = await hold_labels(tx, guid, barcode)
    found = await recognise(tx, guid, barcode)
    barcode, told = found.barcode, list(found.told)
    known = await read_document(tx, guid)
    fields: dict[str, Any] = {"asset_subject": barcode.asset_subject}
    if barcode.barcodes or barcode.label or barcode.asset_subject != "specimen":
        fields["multi_specimen"] = barcode.multi_specimen
        # A label's are added below: written twice, a repetition would be a revision.
        if not (barcode.label and barcode.disposable):
            fields["barcode"] = barcode.barcodes
            fields |= identifiers(known, barcode.barcodes, found.named.pids)
    await change_with_children(tx, guid, fields, actor=actor)
    subject = barcode.asset_subject if barcode.asset_subject in SUBJECTS else "unknown"
    shown = (asset.c.guid == guid) | (asset.c.parent_guid == guid)
    await tx.execute(update(asset).where(shown).values(subject=subject))
    await note_member(tx, guid, barcode, labels, found.named.pids, actor=actor)
    if stage_id is not None and not told and await expected(tx, guid, stage_id, barcode):
        told.append(NOTHING_READ)
    await hold(tx, guid, told, actor=actor)
    return told


async def apply_derivative(tx: AsyncConnection, of: LockedAttempt, derivative: Derivative) -> None:
    """Register one derivative as a child asset with its metadata, file and jobs."""
    attempt = of.attempt
    if of.emits is None:
        raise ValueError(
            f"stage {attempt.stage} made a derivative, but its pipeline has no `emits` there"
        )
    await register_child(
        tx,
        attempt.guid,
        derivative.guid,
        emits=of.emits,
        ppi=derivative.ppi,
        fields={"file_format": derivative.file_format, "payload_type": derivative.payload_type},
        size_mb=megabytes(derivative.file.size_bytes),
        actor=attempt.actor,
    )
    mime = MIME.get(derivative.file_format, "application/octet-stream")
    await note_child_file(
        tx, derivative.guid, derivative.file, mime_type=mime, site=attempt.site, actor=attempt.actor
    )


async def register_child(
    tx: AsyncConnection,
    parent_guid: str,
    guid: str,
    *,
    emits: str,
    ppi: int | None,
    fields: Mapping[str, Any],
    size_mb: int,
    actor: str,
    document: Mapping[str, Any] | None = None,
) -> None:
    """Insert a child asset whose metadata is its parent's, but for `fields`; again is harmless.

    `document` is what it came with, if it came with one. Raises ValueError when the guid is
    that of another asset.
    """
    known = select(asset.c.parent_guid).where(asset.c.guid == guid)
    if (row := (await tx.execute(known)).one_or_none()) is not None:
        if row.parent_guid != parent_guid:
            raise ValueError(f"{guid} is not a derivative of {parent_guid}, but another asset")
        return
    parent = (await tx.execute(select(asset).where(asset.c.guid == parent_guid))).one()
    child = NewAsset(
        guid=guid,
        pipeline=emits,
        file_name=guid,
        parent_guid=parent_guid,
        subject=parent.subject,
        ppi=ppi,
        size_mb=size_mb,
        priority=parent.priority,
    )
    await register_assets(tx, parent.session_id, [child], actor=actor)
    # Under its lock: a change of what children share with it, made meanwhile, finds this one.
    inherited = await read_document(tx, parent_guid, lock=True)
    own: dict[str, Any] = {"asset_guid": guid, "parent_guids": [parent_guid], "asset_pid": []}
    own |= {"date_asset_finalised": None} | dict(fields)  # its own road is not over
    body = Metadata.model_validate(inherited.canonical() | own)
    arrived = Arrived(body, "3", dict(document or body.canonical()), ())
    await create_document(tx, guid, arrived, actor=actor)


async def declare(tx: AsyncConnection, job_id: int, children: int) -> None:
    """Note how many children an emitting job says it made."""
    await tx.execute(update(job).where(job.c.id == job_id).values(declared=children))


async def note_file(
    tx: AsyncConnection,
    guid: str,
    facts: FileFacts,
    *,
    mime_type: str,
    sha256: str | None = None,
    site: str | None = None,
    source_mtime: int | None = None,
) -> None:
    """Record a file of an asset; the same name again replaces what was known of it.

    `source_mtime` is the time of the file it was copied from, in seconds since 1970.
    """
    row = {
        "asset_guid": guid,
        "name": facts.name,
        "type": facts.name.rpartition(".")[2].lower(),
        "mime_type": mime_type,
        "crc32": facts.crc32,
        "sha256": sha256,
        "size_bytes": facts.size_bytes,
        "site": site,
        "source_mtime": source_mtime,
    }
    statement = insert(file).values(row)
    same = file.c.crc32 == statement.excluded.crc32
    # Another file under the same name has been nowhere yet.
    been = {
        name: case((same, file.c[name]), else_=None)
        for name in ("uploaded_at", "synchronised_at", "deleted_at")
    }
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[file.c.asset_guid, file.c.name], set_=row | been
        )
    )


async def note_child_file(
    tx: AsyncConnection, guid: str, facts: FileFacts, *, mime_type: str, site: str, actor: str
) -> None:
    """Record a derivative's file, and its asset's size by it; again is harmless.

    Made anew with another content, it has to go its whole way again.
    """
    known = select(file.c.crc32).where(file.c.asset_guid == guid, file.c.name == facts.name)
    before = (await tx.execute(known)).scalar_one_or_none()
    await note_file(tx, guid, facts, mime_type=mime_type, site=site)
    await _resize(tx, guid)
    if before in (None, facts.crc32):
        return
    self_edges = select(edge.c.id).where(
        edge.c.stage_id == job.c.stage_id, edge.c.selector == "self"
    )
    mine = (job.c.asset_guid == guid) & ~self_edges.exists()
    first = select(job.c.id).where(mine, job.c.state == State.DONE)
    for job_id in (await tx.execute(first.order_by(job.c.id))).scalars().all():
        await resubmit(tx, job_id, actor=actor, why=f"{facts.name} was made anew, and differs")
    busy = mine & job.c.state.in_(sorted(IN_HAND))
    await tx.execute(update(job).where(busy).values(redo=True))


async def _resize(tx: AsyncConnection, guid: str) -> None:
    """Let an asset's size be that of its files, in whole MB of 10^6 bytes."""
    whole = func.ceil(file.c.size_bytes / 1_000_000.0)
    total = select(func.greatest(1, func.coalesce(func.sum(whole), 1)))
    mine = total.where(file.c.asset_guid == guid, file.c.deleted_at.is_(None))
    values = {"size_mb": mine.scalar_subquery()}
    await tx.execute(update(asset).where(asset.c.guid == guid).values(values))


async def apply_uploaded(tx: AsyncConnection, guid: str, names: Sequence[str]) -> None:
    """Note that these files of an asset lie in its open share."""
    mine = (file.c.asset_guid == guid) & any_of(file.c.name, names)
    await tx.execute(update(file).where(mine).values(uploaded_at=func.now()))
