"""What a module brought back, applied to the three databases in the callback's transaction.

The same steps serve our runner's one `complete` and the several calls of a script
that reports in pieces: metadata within the stage's whitelist, barcodes and object
links, derivatives as child assets, files that reached the archive.
"""

from collections.abc import Mapping, Sequence
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
from track.jobs.agent_uploads import follow_file
from track.jobs.attempts import LockedAttempt
from track.jobs.verbs import resubmit
from track.records.documents import (
    change_document,
    change_with_children,
    create_document,
    read_document,
)
from track.records.mos import identifiers, lock_labels, note_member
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
    attempt, barcode = of.attempt, result.barcode
    guid, actor = attempt.guid, attempt.actor
    warnings = [result.warning] if result.warning else []
    changed = barcode is not None
    if barcode is not None:
        await lock_labels(tx, guid, barcode)
    if result.metadata:
        changes = result.metadata
        if barcode is not None:
            # Written below, once it is known what specimens they name.
            changes = {name: changes[name] for name in changes if v3_name(name) not in READ}
        changed |= await change_document(tx, guid, changes, writes=of.writes, actor=actor)
        if outside := ", ".join(Metadata.outside(result.metadata, of.writes)):
            warnings.append(f"not written, for the stage's `writes` lacks them: {outside}")
        if "barcode" in changes:
            warnings += await name_documented(tx, guid, actor=actor)
    if barcode is not None:
        warnings += await apply_barcode(tx, guid, barcode, actor=actor, stage_id=attempt.stage_id)
    if result.derivatives is not None:
        for derivative in result.derivatives:
            await apply_derivative(tx, of, derivative)
        await declare(tx, of, len(result.derivatives))
    if result.uploaded is not None:
        await apply_uploaded(tx, guid, [each.name for each in result.uploaded])
    return AppliedResult(warnings, changed)


async def apply_barcode(
    tx: AsyncConnection, guid: str, barcode: Barcode, *, actor: str, stage_id: int | None = None
) -> list[str]:
    """Record the codes of a sheet: metadata, the asset's subject, and its object's links.

    A subject that is none of ours is kept as it came; it never stops the job. What a person
    should know is returned, and holds the asset: a code that names no specimen, none where
    `stage_id` expects one. Where nothing was read, what is known stays.
    """
    labels = await lock_labels(tx, guid, barcode)
    found = await recognise(tx, guid, barcode)
    barcode, notes = found.barcode, found.notes
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
    if stage_id is not None and not notes and await expected(tx, guid, stage_id, barcode):
        notes = [NOTHING_READ]
    await hold(tx, guid, notes, actor=actor)
    return notes


async def apply_derivative(tx: AsyncConnection, of: LockedAttempt, derivative: Derivative) -> None:
    """Register one derivative as a child asset with its metadata, file and jobs."""
    fields = {"file_format": derivative.file_format, "payload_type": derivative.payload_type}
    size_mb = megabytes(derivative.file.size_bytes)
    guid, ppi = derivative.guid, derivative.ppi
    await register_child(tx, of, guid, ppi=ppi, fields=fields, size_mb=size_mb)
    mime = MIME.get(derivative.file_format, "application/octet-stream")
    await note_child_file(tx, of, guid, derivative.file, mime_type=mime)


async def register_child(
    tx: AsyncConnection,
    of: LockedAttempt,
    guid: str,
    *,
    ppi: int | None,
    fields: Mapping[str, Any],
    size_mb: int,
    document: Mapping[str, Any] | None = None,
) -> None:
    """Insert a child asset whose metadata is its parent's, but for `fields`; again is harmless.

    `document` is what it came with, if it came with one. Raises ValueError when the guid is
    that of another asset, or the attempt's stage makes no derivatives.
    """
    parent_guid, actor = of.attempt.guid, of.attempt.actor
    if of.emits is None:
        raise ValueError(
            f"stage {of.attempt.stage} made a derivative, but its pipeline has no `emits` there"
        )
    known = select(asset.c.parent_guid).where(asset.c.guid == guid)
    if (row := (await tx.execute(known)).one_or_none()) is not None:
        if row.parent_guid != parent_guid:
            raise ValueError(f"{guid} is not a derivative of {parent_guid}, but another asset")
        return
    parent = (await tx.execute(select(asset).where(asset.c.guid == parent_guid))).one()
    child = NewAsset(
        guid=guid,
        pipeline=of.emits,
        file_name=guid,
        parent_guid=parent_guid,
        subject=parent.subject,
        ppi=ppi,
        size_mb=size_mb,
        priority=parent.priority,
    )
    await register_assets(tx, parent.session_id, [child], actor=actor)
    # Under its lock: a change of what children share with it, made meanwhile, reaches this one.
    inherited = await read_document(tx, parent_guid, lock=True)
    own: dict[str, Any] = {"asset_guid": guid, "parent_guids": [parent_guid], "asset_pid": []}
    own |= {"date_asset_finalised": None} | dict(fields)  # the child is not final yet
    body = Metadata.model_validate(inherited.canonical() | own)
    arrived = Arrived(body, "3", dict(document or body.canonical()), ())
    await create_document(tx, guid, arrived, actor=actor)


async def declare(tx: AsyncConnection, of: LockedAttempt, children: int | None = None) -> None:
    """Note how many children an emitting job made; without a number, those that are registered."""
    registered = select(func.count()).where(asset.c.parent_guid == of.attempt.guid)
    values = {"declared": registered.scalar_subquery() if children is None else children}
    await tx.execute(update(job).where(job.c.id == of.attempt.job_id).values(values))


async def note_file(
    tx: AsyncConnection,
    guid: str,
    facts: FileFacts,
    *,
    mime_type: str,
    sha256: str | None = None,
    site: str | None = None,
    agent_id: int | None = None,
    source_mtime: int | None = None,
) -> None:
    """Record a file of an asset; the same name again replaces what was known of it.

    `site` and `agent_id` say where it was made, `source_mtime` is the time of the file it was
    copied from, in seconds since 1970.
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
        "agent_id": agent_id,
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
    tx: AsyncConnection, of: LockedAttempt, guid: str, facts: FileFacts, *, mime_type: str
) -> None:
    """Record the file of a derivative that an attempt made, and its asset's size by it.

    Again is harmless. Made anew with another content, all stages of its asset are done again.
    """
    known = select(file.c.crc32).where(file.c.asset_guid == guid, file.c.name == facts.name)
    before = (await tx.execute(known)).scalar_one_or_none()
    by = of.attempt
    await note_file(tx, guid, facts, mime_type=mime_type, site=by.site, agent_id=by.agent_id)
    await _resize(tx, guid)
    if before is not None:  # it may have been made elsewhere
        mine = (job.c.asset_guid == guid) & (job.c.bound_to != "")
        await tx.execute(update(job).where(mine).values(bound_to=""))
        await follow_file(tx, guid, by.site, actor=by.actor)
    if before in (None, facts.crc32):
        return
    self_edges = select(edge.c.id).where(
        edge.c.stage_id == job.c.stage_id, edge.c.selector == "self"
    )
    mine = (job.c.asset_guid == guid) & ~self_edges.exists()
    first = select(job.c.id).where(mine, job.c.state == State.DONE)
    for job_id in (await tx.execute(first.order_by(job.c.id))).scalars().all():
        why = f"{facts.name} was made anew, and differs"
        await resubmit(tx, job_id, actor=of.attempt.actor, why=why)
    busy = mine & job.c.state.in_(sorted(IN_HAND))
    await tx.execute(update(job).where(busy).values(redo=True))


async def _resize(tx: AsyncConnection, guid: str) -> None:
    """Let an asset's size be that of its files, each rounded up to MB of 10^6 bytes."""
    megabytes_ = func.sum(func.ceil(file.c.size_bytes / 1_000_000.0))
    total = select(func.greatest(1, func.coalesce(megabytes_, 1)))
    mine = total.where(file.c.asset_guid == guid, file.c.deleted_at.is_(None))
    size = {"size_mb": mine.scalar_subquery()}
    await tx.execute(update(asset).where(asset.c.guid == guid).values(size))


async def apply_uploaded(tx: AsyncConnection, guid: str, names: Sequence[str]) -> None:
    """Note that these files of an asset lie in its open share."""
    mine = (file.c.asset_guid == guid) & any_of(file.c.name, names)
    await tx.execute(update(file).where(mine).values(uploaded_at=func.now()))
