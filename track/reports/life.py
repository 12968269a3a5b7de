"""One specimen's life: everything that is on record of it, read by its own rows alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import sentence
from track.records.leaving import folders_of
from track.reports.waiting import of_asset
from track.reports.waiting_words import Waits

MAX_HISTORY = 1_000
"""Rows of history that are read: the newest; a life of a usual specimen has some eighty."""

MAX_RELATED = 100
"""Derivatives, and other sheets of its object, that are listed."""

ASSET = text("""
    SELECT a.*, p.name AS pipeline, e.path AS folder, e.workstation, e.opened_at,
           d.body, d.arrived, d.arrived_version, d.revision, d.ars_revision
    FROM track.asset a
    JOIN track.pipeline p ON p.id = a.pipeline_id
    JOIN track.session e ON e.id = a.session_id
    LEFT JOIN metadata.document d ON d.asset_guid = a.guid
    WHERE a.guid = :guid
""")
REVISIONS = text("""
    SELECT revision, at, actor, changes FROM metadata.revision
    WHERE asset_guid = :guid ORDER BY revision DESC LIMIT 200
""")
FILES = text("""
    SELECT f.asset_guid AS guid, f.name, f.mime_type, f.crc32, f.sha256, f.size_bytes, f.site,
           f.added_at, f.uploaded_at, f.synchronised_at, f.deleted_at, f.source_mtime
    FROM track.file f
    WHERE f.asset_guid = ANY(ARRAY(
        SELECT CAST(:guid AS text) UNION ALL
        SELECT guid FROM track.asset WHERE parent_guid = :guid))
    ORDER BY f.asset_guid <> :guid, f.asset_guid, f.name LIMIT 200
""")
COPIES = text("""
    SELECT kind, location, due_at, done_at, outcome FROM track.retention
    WHERE asset_guid = :guid ORDER BY id
""")
JOBS = text("""
    SELECT j.id, s.key AS stage, s.kind, s.run, j.state, j.reason, j.warning, j.tries,
           j.details, j.updated_at, j.dispatcher_id, j.attempt_id
    FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    WHERE j.asset_guid = :guid ORDER BY s.position, s.id
""")
ATTEMPTS = text("""
    SELECT t.id, t.job_id, t.n, t.site, t.queued_at, t.submitted_at, t.started_at, t.finished_at,
           t.closed_at, t.outcome, t.exit_code, t.seconds, t.cpu_s, t.max_rss_mb, t.message,
           t.result, coalesce(t.external_id, t.started_by, b.external_id) AS native_id
    FROM track.attempt t LEFT JOIN track.batch b ON b.id = t.batch_id
    WHERE t.job_id = ANY(:jobs) ORDER BY t.job_id, t.n LIMIT 500
""")
HISTORY = text("""
    SELECT id, at, actor, what, job_id, attempt_id, old, new, why FROM track.history
    WHERE asset_guid = :guid ORDER BY id DESC LIMIT :most
""")
# What was read on the picture is in the message that brought it, as it came.
CODES = text("""
    SELECT payload #> '{result,barcode,codes}' AS codes FROM track.inbox
    WHERE asset_guid = :guid AND payload #> '{result,barcode,codes}' IS NOT NULL
    ORDER BY id DESC LIMIT 1
""")
RUNS = text("""
    SELECT id, flow_run_id FROM track.dispatcher
    WHERE id = ANY(:ids) AND flow_run_id IS NOT NULL ORDER BY started_at
""")
DERIVATIVES = text("""
    SELECT a.guid, a.ppi, p.name AS pipeline, a.finalised_at, a.attention,
           (SELECT j.state FROM track.job j WHERE j.asset_guid = a.guid
             ORDER BY j.state IN ('done', 'excluded', 'absent'),
                      j.state NOT IN ('failed', 'cancelled'), j.id LIMIT 1) AS state
    FROM track.asset a JOIN track.pipeline p ON p.id = a.pipeline_id
    WHERE a.parent_guid = :guid ORDER BY a.guid LIMIT :most
""")
SHEETS = text("""
    SELECT o.asset_guid AS guid, o.label, o.spid, o.own_barcodes
    FROM mos.member mine CROSS JOIN LATERAL (
        SELECT * FROM mos.member o WHERE o.unique_label_id = mine.unique_label_id OFFSET 0) o
    WHERE mine.asset_guid = :guid AND o.asset_guid <> :guid ORDER BY o.asset_guid LIMIT :most
""")
MEMBER = text("""
    SELECT label, spid, disposable_id, unique_label_id, own_barcodes
    FROM mos.member WHERE asset_guid = :guid
""")
LIKE = text("""
    SELECT guid FROM track.asset WHERE guid >= :guid ORDER BY guid LIMIT 3
""")


@dataclass(frozen=True)
class StageLife:
    """What one stage did, or has yet to do, with a specimen; `waits` is why it stands now."""

    job: Row[Any]
    attempts: Sequence[Row[Any]]
    moves: Sequence[Row[Any]]
    waits: Waits | None

    @property
    def began_at(self) -> datetime | None:
        """When somebody first was at it."""
        found: Iterator[datetime] = (row.at for row in self.moves if row.new == "claimed")
        return next(found, None)

    @property
    def ended_at(self) -> datetime | None:
        """When it came to its last end; None while it has none."""
        if self.job.state not in ("done", "excluded", "failed", "cancelled"):
            return None
        ended: datetime = self.moves[-1].at if self.moves else self.job.updated_at
        return ended

    @property
    def tries(self) -> list[Row[Any]]:
        """Its moves that have a reason: what went wrong, and who decided what."""
        return [row for row in self.moves if row.why]


@dataclass(frozen=True)
class SpecimenLife:
    """All of it, as rows; see the statements. `left` are folders that older records went to."""

    asset: Row[Any]
    stages: Sequence[StageLife]
    revisions: Sequence[Row[Any]]
    files: Sequence[Row[Any]]
    copies: Sequence[Row[Any]]
    events: Sequence[Row[Any]]
    codes: Sequence[Mapping[str, Any]]
    runs: Mapping[UUID, UUID]
    derivatives: Sequence[Row[Any]]
    member: Row[Any] | None
    sheets: Sequence[Row[Any]]
    left: Sequence[str]
    waits: Sequence[Waits] = field(default_factory=tuple)

    @property
    def body(self) -> Mapping[str, Any]:
        """Its document; empty where nothing is known."""
        return self.asset.body or {}

    @property
    def quarantine(self) -> str | None:
        """Why it was not taken in."""
        return sentence(self.asset.quarantine)

    @property
    def state(self) -> str:
        """quarantined, failed, cancelled, attention, finalised or underway, the first that fits."""
        states = {stage.job.state for stage in self.stages}
        for name, fits in (
            ("quarantined", self.asset.quarantine is not None),
            ("failed", "failed" in states),
            ("cancelled", "cancelled" in states),
            ("attention", self.asset.attention is not None),
            ("finalised", self.asset.finalised_at is not None),
        ):
            if fits:
                return name
        return "underway"


async def life_of(tx: AsyncConnection, guid: str) -> SpecimenLife | None:
    """A specimen's or derivative's life; None when there is no such asset."""
    of = {"guid": guid}
    related = {**of, "most": MAX_RELATED}
    asset = (await tx.execute(ASSET, of)).one_or_none()
    if asset is None:
        return None
    jobs = (await tx.execute(JOBS, of)).all()
    attempts = (await tx.execute(ATTEMPTS, {"jobs": [row.id for row in jobs]})).all()
    history = (await tx.execute(HISTORY, {**of, "most": MAX_HISTORY})).all()[::-1]
    waits = await of_asset(tx, guid)
    codes = (await tx.execute(CODES, of)).scalar_one_or_none()
    return SpecimenLife(
        asset=asset,
        stages=[
            StageLife(
                job=job,
                attempts=[row for row in attempts if row.job_id == job.id],
                moves=[row for row in history if row.job_id == job.id and row.what == "job.state"],
                waits=next((each for each in waits if each.job_id == job.id), None),
            )
            for job in jobs
        ],
        revisions=(await tx.execute(REVISIONS, of)).all(),
        files=(await tx.execute(FILES, of)).all(),
        copies=(await tx.execute(COPIES, of)).all(),
        events=[row for row in history if row.what != "job.state"],
        codes=codes or [],
        runs=await _runs(tx, jobs, history),
        derivatives=(await tx.execute(DERIVATIVES, related)).all(),
        member=(await tx.execute(MEMBER, of)).one_or_none(),
        sheets=(await tx.execute(SHEETS, related)).all(),
        left=await folders_of(tx, guid),
        waits=waits,
    )


async def guids_like(tx: AsyncConnection, guid: str) -> list[str]:
    """A few guids near one that does not exist."""
    return list((await tx.execute(LIKE, {"guid": guid})).scalars())


async def _runs(
    tx: AsyncConnection, jobs: Sequence[Row[Any]], history: Sequence[Row[Any]]
) -> dict[UUID, UUID]:
    """The runs in Prefect of the dispatchers that were at it, by the dispatchers' ids."""
    ids = {row.dispatcher_id for row in jobs if row.dispatcher_id}
    for row in history:
        kind, _, name = row.actor.partition(":")
        if kind == "dispatcher":
            try:
                ids.add(UUID(name))
            except ValueError:
                continue
    found = await tx.execute(RUNS, {"ids": sorted(ids)})
    return {row.id: row.flow_run_id for row in found}


def plain_life(life: SpecimenLife) -> dict[str, Any]:
    """All of it as JSON holds it: mappings, lists, texts, times in ISO 8601."""
    found = {
        "guid": life.asset.guid,
        "state": life.state,
        "quarantine": life.quarantine,
        "asset": _plain(life.asset),
        "stages": [
            {
                **_plain(stage.job),
                "attempts": _plain(stage.attempts),
                "moves": _plain(stage.moves),
                "waits": stage.waits and {"kind": stage.waits.kind, "reason": stage.waits.reason},
            }
            for stage in life.stages
        ],
    }
    rest = ("revisions", "files", "copies", "events", "derivatives", "member", "sheets")
    return found | {
        **{name: _plain(getattr(life, name)) for name in rest},
        "codes": list(life.codes),
        "runs": [str(run) for run in life.runs.values()],
        "records_left_to": list(life.left),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return {name: _plain(each) for name, each in value._mapping.items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
