"""Every table of the refinery, in the three schemas a museum calls its databases.

`track` says where each specimen is, `metadata` what is known of it, `mos` which
specimens share an object. SQLAlchemy Core: rows are read and written by plain
statements, since states move by guarded UPDATEs and never by a unit of work.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from track.schema.states import State

SCHEMAS = ("track", "metadata", "mos")

catalogue = MetaData()


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _when(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True))


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


pipeline = Table(
    "pipeline",
    catalogue,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("definition", JSONB, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("throttle", JSONB, nullable=False, server_default=text("'{}'")),
    Column("exclude", JSONB, nullable=False, server_default=text("'[]'")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _now("created_at"),
    _now("updated_at"),
    schema="track",
)

stage = Table(
    "stage",
    catalogue,
    _id(),
    Column("pipeline_id", ForeignKey("track.pipeline.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # builtin | module | script
    Column("run", Text, nullable=False),  # ingest, barcode, or the script's command line
    Column("position", Integer, nullable=False),  # topological: later stages are claimed first
    Column("params", JSONB, nullable=False, server_default=text("'{}'")),
    Column("resources", JSONB, nullable=False, server_default=text("'{}'")),
    Column("writes", JSONB, nullable=False, server_default=text("'[]'")),
    Column("sites", JSONB(none_as_null=True)),  # null: any open site
    Column("emits", Text),  # the pipeline of the children it makes
    Column("covers", JSONB, nullable=False, server_default=text("'[]'")),
    Column("retries", Integer, nullable=False, server_default=text("2")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _when("archived_at"),
    # The last asset that has a job of it, and the last whose job was judged by its edges of
    # today; null: every one. See track/commands/back_fill.py.
    Column("filled_to", Text),
    Column("judged_to", Text),
    CheckConstraint("kind IN ('builtin', 'module', 'script')", name="stage_kind"),
    Index(
        "stage_key", "pipeline_id", "key", unique=True, postgresql_where=text("archived_at IS NULL")
    ),
    schema="track",
)

edge = Table(
    "edge",
    catalogue,
    _id(),
    Column("stage_id", ForeignKey("track.stage.id"), nullable=False),
    Column("upstream_id", ForeignKey("track.stage.id"), nullable=False),
    Column("selector", Text, nullable=False),  # whose upstream job: self, parent, children, offset
    Column("dx", Integer, nullable=False, server_default=text("0")),
    Column("dy", Integer, nullable=False, server_default=text("0")),
    Column("dz", Integer, nullable=False, server_default=text("0")),
    Column("accept", ARRAY(Text), nullable=False, server_default=text("'{done,excluded}'")),
    CheckConstraint("selector IN ('self', 'parent', 'children', 'offset')", name="edge_selector"),
    UniqueConstraint("stage_id", "upstream_id", "selector", "dx", "dy", "dz"),
    Index("edge_upstream", "upstream_id"),
    schema="track",
)

session = Table(
    "session",
    catalogue,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("path", Text, nullable=False),  # where the folder lies now
    Column("opened_as", Text, nullable=False),  # where it lay when first seen
    Column("listing_hash", Text, nullable=False),
    Column("workstation", Text, nullable=False),
    _now("opened_at"),
    _when("registered_at"),
    _when("wake_requested_at"),  # a dispatcher was asked for
    _when("finished_at"),
    # Files whose guid was taken in from elsewhere: what is wrong with each, and what to do.
    Column("known", JSONB, nullable=False, server_default=text("'[]'")),
    # What it waits for while nobody is at it (track/jobs/parking.py); a lease clears all of it.
    _when("parked_at"),
    _when("wake_at"),
    Column("room", JSONB(none_as_null=True)),
    UniqueConstraint("opened_as", "listing_hash"),
    Index(
        "session_asked", "wake_requested_at", postgresql_where=text("wake_requested_at IS NOT NULL")
    ),
    Index("session_new", "opened_at", postgresql_where=text("registered_at IS NULL")),
    Index(
        "session_parked",
        "parked_at",
        postgresql_where=text("parked_at IS NOT NULL AND finished_at IS NULL"),
    ),
    Index("session_due", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
    Index("session_room", "opened_at", postgresql_where=text("room IS NOT NULL")),
    schema="track",
)

asset = Table(
    "asset",
    catalogue,
    Column("guid", Text, primary_key=True),
    Column("session_id", ForeignKey("track.session.id"), nullable=False),
    Column("pipeline_id", ForeignKey("track.pipeline.id"), nullable=False),
    Column("parent_guid", ForeignKey("track.asset.guid")),
    Column("file_name", Text, nullable=False),  # base name in the session's folder
    Column("batch_name", Text, nullable=False, server_default=text("''")),
    Column("subject", Text, nullable=False, server_default=text("'unknown'")),
    Column("ppi", Integer),  # of a derivative
    Column("x", Integer),
    Column("y", Integer),
    Column("z", Integer),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("attention", Text),
    Column("quarantine", JSONB(none_as_null=True)),  # file, problem, remedy
    Column("source_path", Text),  # the folder on the N-Drive
    Column("local_path", Text),  # the folder in the store
    Column("size_mb", Integer, nullable=False, server_default=text("1")),
    Column("reserved_mb", Integer, nullable=False, server_default=text("0")),
    _when("admitted_at"),
    _when("released_at"),
    _when("finalised_at"),
    _when("reopened_at"),  # since when it has something to do again after its end
    Column("share_mb", Integer),  # of its share in the archive, which is or may be open
    _when("share_opened_at"),  # null while that is not certain
    _now("created_at"),
    Index("asset_session", "session_id"),
    Index("asset_pipeline", "pipeline_id", "guid"),
    Index("asset_parent", "parent_guid"),
    Index("asset_batch", "batch_name"),
    Index("asset_lattice", "pipeline_id", "z", "y", "x"),
    Index(
        "asset_in_flight",
        "pipeline_id",
        postgresql_where=text("admitted_at IS NOT NULL AND released_at IS NULL"),
    ),
    Index("asset_share", "guid", postgresql_where=text("share_mb IS NOT NULL")),
    Index("asset_reopened", "guid", postgresql_where=text("reopened_at IS NOT NULL")),
    schema="track",
)

file = Table(
    "file",
    catalogue,
    _id(),
    Column("asset_guid", ForeignKey("track.asset.guid"), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("mime_type", Text, nullable=False, server_default=text("'application/octet-stream'")),
    Column("crc32", BigInteger, nullable=False),
    Column("sha256", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("site", Text),  # where a derivative's file was made
    Column("source_mtime", BigInteger),  # of the file that was taken in, whole s since 1970
    _now("added_at"),
    _when("uploaded_at"),
    _when("synchronised_at"),
    _when("deleted_at"),
    UniqueConstraint("asset_guid", "name"),
    Index("file_synchronised", "synchronised_at"),
    schema="track",
)

job = Table(
    "job",
    catalogue,
    _id(),
    Column("asset_guid", ForeignKey("track.asset.guid"), nullable=False),
    Column("stage_id", ForeignKey("track.stage.id"), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("reason", Text),
    Column("warning", Text),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("pauses", Integer, nullable=False, server_default=text("0")),  # in a row, without a try
    _now("available_at"),
    Column("redo", Boolean, nullable=False, server_default=text("false")),
    Column("declared", Integer),  # how many children an emitting stage says it made
    Column("effects", JSONB, nullable=False, server_default=text("'{}'")),  # begun, confirmed
    Column("details", JSONB(none_as_null=True)),  # what it hands to later stages
    Column("dispatcher_id", Uuid),
    Column("attempt_id", BigInteger),
    _now("updated_at"),
    CheckConstraint(
        "state IN (" + ", ".join(f"'{state}'" for state in State) + ")", name="job_state"
    ),
    UniqueConstraint("asset_guid", "stage_id"),
    Index("job_stage", "stage_id", "state"),
    Index("job_ready", "available_at", postgresql_where=text("state = 'ready'")),
    Index(
        "job_moving",
        "state",
        postgresql_where=text("state IN ('claimed', 'queued', 'running', 'returned')"),
    ),
    Index("job_stopped", "updated_at", postgresql_where=text("state IN ('failed', 'cancelled')")),
    schema="track",
)

attempt = Table(
    "attempt",
    catalogue,
    _id(),
    Column("job_id", ForeignKey("track.job.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("site", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("batch_id", BigInteger),
    Column("member", Integer),  # its line in the batch
    Column("external_id", Text),
    Column("started_by", Text),  # the native id the start was granted to
    Column("nonce", Text),
    _now("queued_at"),
    _when("submitted_at"),
    _when("started_at"),
    _when("finished_at"),
    _when("closed_at"),
    _when("cancel_requested_at"),
    # done, failed, unserved (by its site), lost, declared, cancelled, superseded, released
    Column("outcome", Text),
    Column("exit_code", Integer),
    Column("seconds", Double),
    Column("cpu_s", Double),
    Column("max_rss_mb", Double),
    Column("message", Text),
    Column("result", JSONB(none_as_null=True)),
    UniqueConstraint("job_id", "n"),
    Index("attempt_open", "site", postgresql_where=text("closed_at IS NULL")),
    Index("attempt_batch", "batch_id"),
    schema="track",
)

batch = Table(
    "batch",
    catalogue,
    _id(),
    Column("key", Text, nullable=False, unique=True),
    Column("site", Text, nullable=False),
    Column("stage_id", ForeignKey("track.stage.id"), nullable=False),
    Column("resources", JSONB, nullable=False, server_default=text("'{}'")),
    Column("members", ARRAY(BigInteger), nullable=False),  # attempts, in the manifest's order
    Column("state", Text, nullable=False, server_default=text("'intended'")),
    Column("external_id", Text),
    _now("created_at"),
    _when("submitted_at"),
    _when("ended_at"),
    CheckConstraint("state IN ('intended', 'submitted', 'refused', 'ended')", name="batch_state"),
    Index("batch_open", "site", postgresql_where=text("ended_at IS NULL")),
    schema="track",
)

dispatcher = Table(
    "dispatcher",
    catalogue,
    Column("id", Uuid, primary_key=True),
    Column("session_id", ForeignKey("track.session.id"), nullable=False),
    Column("host", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("flow_run_id", Uuid),
    _now("started_at"),
    Column("alive_until", DateTime(timezone=True), nullable=False),
    _when("ended_at"),
    Column("ended_why", Text),
    Index("dispatcher_live", "session_id", postgresql_where=text("ended_at IS NULL")),
    schema="track",
)

inbox = Table(
    "inbox",
    catalogue,
    _id(),
    Column("dedupe_key", Text, nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("asset_guid", Text),
    Column("attempt_id", BigInteger),
    Column("payload", JSONB, nullable=False),
    Column("applied", Text, nullable=False),  # applied, stale, repeated, recorded
    _now("received_at"),
    Index("inbox_asset", "asset_guid"),
    schema="track",
)

outbox = Table(
    "outbox",
    catalogue,
    _id(),
    Column("event", JSONB, nullable=False),
    _now("created_at"),
    Index(
        "outbox_wake",
        text("(event #>> '{payload,session}')"),
        postgresql_where=text("event ->> 'event' = 'specimen.session.wake'"),
    ),
    schema="track",
)

history = Table(
    "history",
    catalogue,
    _id(),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("what", Text, nullable=False),  # job.state, asset.attention, pipeline.definition, …
    Column("session_id", Uuid),
    Column("asset_guid", Text),
    Column("job_id", BigInteger),
    Column("attempt_id", BigInteger),
    Column("old", Text),
    Column("new", Text),
    Column("why", Text, nullable=False, server_default=text("''")),
    Index("history_asset", "asset_guid", "id"),
    Index("history_job", "job_id", "id"),
    Index("history_alarm", "what", "id", postgresql_where=text("what LIKE 'alarm.%'")),
    schema="track",
)

site = Table(
    "site",
    catalogue,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rank", Integer, nullable=False),  # the order of sites.yaml
    Column("definition", JSONB, nullable=False),
    Column("open", Boolean, nullable=False, server_default=text("true")),
    Column("degraded", Text),  # why, or null
    # Modules that it cannot run: {run: {why, times, until}}, `until` when one job may try again.
    Column("lacks", JSONB, nullable=False, server_default=text("'{}'")),
    _when("seen_at"),  # when its driver was last at work
    _now("expected_at"),  # since when a driver should be at work: the last start of the system
    CheckConstraint("kind IN ('local', 'slurm', 'pull')", name="site_kind"),
    schema="track",
)

retention = Table(
    "retention",
    catalogue,
    _id(),
    Column("kind", Text, nullable=False),  # ndrive, store, site
    Column("asset_guid", ForeignKey("track.asset.guid"), nullable=False),
    Column("location", Text, nullable=False),  # a folder, or a site's name
    Column("requires", ARRAY(Text), nullable=False, server_default=text("'{erda}'")),
    Column("due_at", DateTime(timezone=True), nullable=False),
    _when("done_at"),
    Column("outcome", Text),
    CheckConstraint("kind IN ('ndrive', 'store', 'site')", name="retention_kind"),
    UniqueConstraint("kind", "asset_guid", "location"),
    Index("retention_due", "due_at", postgresql_where=text("done_at IS NULL")),
    schema="track",
)

document = Table(
    "document",
    catalogue,
    Column("asset_guid", ForeignKey("track.asset.guid"), primary_key=True),
    Column("body", JSONB, nullable=False),  # canonical v3
    Column("arrived", JSONB, nullable=False),  # as it came
    Column("arrived_version", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("ars_revision", Integer, nullable=False, server_default=text("0")),
    _now("updated_at"),
    Index("document_owed", "asset_guid", postgresql_where=text("revision > ars_revision")),
    schema="metadata",
)

revision = Table(
    "revision",
    catalogue,
    Column("asset_guid", ForeignKey("metadata.document.asset_guid"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("changes", JSONB, nullable=False),  # [{field, old, new}]
    schema="metadata",
)

member = Table(
    "member",
    catalogue,
    Column("asset_guid", ForeignKey("track.asset.guid"), primary_key=True),
    Column("label", Boolean, nullable=False),
    Column("spid", Text, nullable=False),
    Column("disposable_id", Text),
    Column("unique_label_id", Text),  # null without a disposable label: no link
    Column("own_barcodes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    _now("created_at"),
    Index("member_label", "unique_label_id"),
    schema="mos",
)
