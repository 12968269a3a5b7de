"""Calls of existing scripts: which job is meant by an asset and a name, and whose scripts may call.

The job is locked first and read afterwards, so that what is decided about it stays true until
the caller's commit.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.guid import GuidError, derivative_guid
from schemas.metadata.document import Metadata
from track.jobs.attempts import Attempt, LockedAttempt, lock_attempt
from track.jobs.edges import HELD
from track.jobs.scripts import reported_ids
from track.records.documents import change_document, read_document
from track.schema.states import State
from track.schema.tables import asset, attempt, batch, file, job, stage
from track.schema.views import MODULE_CALLED

ADMITTING = text("""
    SELECT t.name FROM track.site t
    CROSS JOIN jsonb_array_elements_text(t.definition -> 'legacy_callbacks') AS listed(network)
    WHERE CAST(:address AS inet) <<= CAST(listed.network AS inet)
""")
WAS_AT = text("""
    SELECT EXISTS (
        SELECT 1 FROM track.asset a
        JOIN track.job j ON j.asset_guid IN (a.guid, a.parent_guid)
        JOIN track.attempt p ON p.job_id = j.id
        WHERE a.guid = :guid AND p.site = ANY(CAST(:sites AS text[]))
    )
""")

MISSING = "No derivative for ppi"
LOST_IMAGE = "ISSUE_WITH_MEDIA"


StageChoice = ColumnElement[bool]
"""Which stage of an asset's is meant."""


class UnknownAsset(LookupError):
    """No asset has this guid."""


class UnknownJob(LookupError):
    """The asset has no such job; the text names those it has."""


@dataclass(frozen=True)
class BoundJob:
    """A job under its lock, and the attempt that the caller speaks for, if there is one.

    `script_ids` are those that its script submitted, `earlier_ids` those of other attempts.
    """

    job_id: int
    guid: str
    stage: str
    params: dict[str, Any]
    state: State
    locked: LockedAttempt | None
    native_ids: frozenset[str]
    returned: bool
    script_ids: frozenset[str] = frozenset()
    earlier_ids: frozenset[str] = frozenset()

    @property
    def attempt(self) -> Attempt | None:
        """The attempt that is spoken for."""
        return self.locked.attempt if self.locked else None

    @property
    def open(self) -> bool:
        """Whether the attempt is current: what it reports is applied."""
        return self.attempt is not None and self.attempt.current

    def knows(self, native_id: str) -> bool:
        """Whether a job id may be this attempt's.

        While none has called, any may but those of the job's other attempts, which may be at
        work still. An id that its script printed as submitted always counts.
        """
        if native_id in self.script_ids:
            return True
        if self.native_ids:
            return native_id in self.native_ids
        return native_id not in self.earlier_ids


def stage_named(name: str) -> StageChoice:
    """The stage with this key, or else the one whose module has had this name."""
    module = MODULE_CALLED.get(name)
    if module is None:
        return stage.c.key == name
    return or_(stage.c.key == name, stage_running_module(module))


def stage_running_module(module: str) -> StageChoice:
    """The stage that does what a module does, be it a script under an old name."""
    names = [name for name, does in MODULE_CALLED.items() if does == module]
    return or_(
        and_(stage.c.kind == "module", stage.c.run == module),
        and_(stage.c.kind == "script", stage.c.key.in_([*names, module])),
    )


def emitting_stage() -> StageChoice:
    """The stage that makes derivatives."""
    return stage.c.emits.is_not(None)


async def bind_job(
    tx: AsyncConnection, guid: str, which: StageChoice, attempt_id: int | None = None
) -> BoundJob:
    """Lock an asset's job and read it with its last attempt, or with the one given.

    An archived stage counts while it has an open attempt. Raises UnknownAsset, UnknownJob.
    """
    open_first = (job.c.attempt_id.is_not(None)).desc()
    found = (
        select(job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .where(job.c.asset_guid == guid, which, HELD)
        .order_by(stage.c.archived_at.is_not(None), open_first, stage.c.position)
        .limit(1)
        .with_for_update(key_share=True, of=job)
    )
    job_id = (await tx.execute(found)).scalar_one_or_none()
    if job_id is None:
        await parent_of(tx, guid)  # the asset is known
        keys = select(stage.c.key).join(job).where(job.c.asset_guid == guid)
        names = ", ".join((await tx.execute(keys.order_by(stage.c.position))).scalars())
        raise UnknownJob(f"asset {guid} has no such job; its jobs are: {names or 'none'}")
    return await _read(tx, job_id, attempt_id)


async def _read(tx: AsyncConnection, job_id: int, attempt_id: int | None) -> BoundJob:
    asked = job.c.attempt_id if attempt_id is None else attempt_id
    statement = (
        select(
            job.c.asset_guid,
            job.c.state,
            (job.c.attempt_id == attempt.c.id).label("last"),
            *(stage.c[name] for name in ("key", "params")),
            attempt.c.id.label("attempt"),
            *(attempt.c[name] for name in ("external_id", "started_by", "outcome")),
            batch.c.external_id.label("submitted"),
            _ids_of_others(asked).label("earlier"),
        )
        .join(stage, stage.c.id == job.c.stage_id)
        .outerjoin(attempt, and_(attempt.c.id == asked, attempt.c.job_id == job.c.id))
        .outerjoin(batch, batch.c.id == attempt.c.batch_id)
        .where(job.c.id == job_id)
    )
    row = (await tx.execute(statement)).one()
    native_ids = frozenset(each for each in (row.external_id, row.started_by) if each)
    came_back = row.outcome == "done" and row.state in (State.RETURNED, State.DONE)
    return BoundJob(
        job_id=job_id,
        guid=row.asset_guid,
        stage=row.key,
        params=row.params,
        state=State(row.state),
        locked=None if row.attempt is None else await lock_attempt(tx, row.attempt),
        native_ids=native_ids,
        returned=bool(row.last) and came_back,
        script_ids=reported_ids(row.submitted),
        earlier_ids=frozenset(
            each
            for external_id, started_by, submitted in row.earlier or ()
            for each in (external_id, started_by, *reported_ids(submitted))
            if each
        ),
    )


def _ids_of_others(asked: Any) -> ScalarSelect[Any]:
    """The job ids known of the job's other attempts, three to each, with nulls."""
    other, theirs = attempt.alias(), batch.alias()
    ids = array([other.c.external_id, other.c.started_by, theirs.c.external_id])
    found = (
        select(func.array_agg(ids))
        .select_from(other)
        .outerjoin(theirs, theirs.c.id == other.c.batch_id)
        .where(other.c.job_id == job.c.id, other.c.id.is_distinct_from(asked))
    )
    return found.correlate(job).scalar_subquery()


async def parent_of(tx: AsyncConnection, guid: str) -> str | None:
    """The guid of an asset's parent. Raises UnknownAsset."""
    row = (await tx.execute(select(asset.c.parent_guid).where(asset.c.guid == guid))).one_or_none()
    if row is None:
        raise UnknownAsset(guid)
    parent: str | None = row.parent_guid
    return parent


async def guid_of(tx: AsyncConnection, attempt_id: int) -> str | None:
    """The asset that an attempt is about; None when there is no such attempt."""
    of_attempt = select(job.c.asset_guid).join(attempt, attempt.c.job_id == job.c.id)
    return (await tx.execute(of_attempt.where(attempt.c.id == attempt_id))).scalar_one_or_none()


async def file_names(tx: AsyncConnection, guid: str) -> list[str]:
    """An asset's files that are not deleted: images first, then by name."""
    mine = (file.c.asset_guid == guid) & file.c.deleted_at.is_(None)
    image_first = file.c.mime_type.not_like("image/%")
    names = select(file.c.name).where(mine).order_by(image_first, file.c.name)
    return list((await tx.execute(names)).scalars())


async def warn(tx: AsyncConnection, job_id: int, warning: str) -> None:
    """Add a warning to a job, once."""
    mine = job.c.id == job_id
    known = (await tx.execute(select(job.c.warning).where(mine))).scalar_one() or ""
    if warning not in known.split("; "):
        joined = f"{known}; {warning}" if known else warning
        await tx.execute(update(job).where(mine).values(warning=joined))


async def note_missing(tx: AsyncConnection, guid: str, ppi: int, *, actor: str) -> None:
    """Write into an asset's metadata that a derivative could not be made; again changes nothing."""
    known = (await read_document(tx, guid, lock=True)).tags.get("missing_derivative") or ""
    numbers = known.removeprefix(MISSING).split(" and ppi ")
    if str(ppi) not in {number.strip() for number in numbers}:
        known = f"{known} and ppi {ppi}" if known else f"{MISSING} {ppi}"
    changes = {"tags.missing_derivative": known, "status": LOST_IMAGE}
    await change_document(tx, guid, changes, writes=list(changes), actor=actor)


def ppi_of(parent_guid: str, guid: str, params: dict[str, Any]) -> int | None:
    """The resolution of a derivative, by the names its stage gives; None when it fits none."""
    asked = params.get("ppi", [])
    for n, ppi in enumerate(asked if isinstance(asked, list) else [asked], start=1):
        try:
            if guid in (derivative_guid(parent_guid, n, ppi), f"{parent_guid}_{ppi}"):
                return int(ppi)
        except GuidError:
            return None
    suffix = guid.removeprefix(f"{parent_guid}_")
    return int(suffix) if suffix.isascii() and suffix.isdecimal() and len(suffix) < 6 else None


async def document_of(tx: AsyncConnection, guid: str) -> Metadata:
    """An asset's metadata. Raises UnknownAsset, NoDocument."""
    await parent_of(tx, guid)
    return await read_document(tx, guid)


async def sites_admitting(tx: AsyncConnection, address: str) -> frozenset[str]:
    """The sites that list a network of this address, whose scripts may call without a token.

    Asked anew each time, since `sites.yaml` changes.
    """
    return frozenset((await tx.execute(ADMITTING, {"address": address})).scalars())


async def was_at(tx: AsyncConnection, guid: str, sites: frozenset[str]) -> bool:
    """Whether one of the sites was ever given a job of this asset or of its parent."""
    found = await tx.execute(WAS_AT, {"guid": guid, "sites": sorted(sites)})
    return bool(found.scalar_one())
