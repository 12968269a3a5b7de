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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.schema import SchemaItem

from track.schema.hours import ASSET_COUNTS, USAGE_COLUMNS
from track.schema.states import State

SCHEMAS = ("track", "metadata", "mos")

catalogue = MetaData()


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _when(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True))


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _index(
    name: str, *columns: Any, where: str = "", unique: bool = False, using: str = "btree"
) -> Index:
    condition = text(where) if where else None
    return Index(name, *columns, unique=unique, postgresql_where=condition, postgresql_using=using)


def _table(name: str, *items: SchemaItem, schema: str = "track") -> Table:
    return Table(name, catalogue, *items, schema=schema)


pipeline = _table(
    "pipeline",
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("definition", JSONB, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("throttle", JSONB, nullable=False, server_default=text("'{}'")),
    Column("exclude", JSONB, nullable=False, server_default=text("'[]'")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _now("created_at"),
    _now("updated_at"),
)

stage = _table(
    "stage",
    _id(),
    Column("pipeline_id", ForeignKey("track.pipeline.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # builtin | module | command | script
    Column("run", Text, nullable=False),  # ingest, barcode, command, or the script's whole line
    Column("command", JSONB(none_as_null=True)),  # words, expect_exit, inputs
    Column("position", Integer, nullable=False),  # topological: later stages are claimed first
    Column("params", JSONB, nullable=False, server_default=text("'{}'")),
    Column("resources", JSONB, nullable=False, server_default=text("'{}'")),
    Column("writes", JSONB, nullable=False, server_default=text("'[]'")),
    Column("sites", JSONB(none_as_null=True)),  # null: any open site
    Column("emits", Text),  # the pipeline of the children it makes
    Column("covers", JSONB, nullable=False, server_default=text("'[]'")),
    Column("retries", Integer, nullable=False, server_default=text("2")),
    Column("wave", Integer, nullable=False, server_default=text("1")),  # jobs of a subflow; 0: auto
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _when("archived_at"),
    # The last asset that has a job of it, and the last whose job was judged by its edges of
    # today; null: every one. See track/commands/back_fill.py.
    Column("filled_to", Text),
    Column("judged_to", Text),
    CheckConstraint("kind IN ('builtin', 'module', 'command', 'script')", name="stage_kind"),
    _index("stage_key", "pipeline_id", "key", where="archived_at IS NULL", unique=True),
)

edge = _table(
    "edge",
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
    _index("edge_upstream", "upstream_id"),
)

session = _table(
    "session",
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
    _index("session_asked", "wake_requested_at", where="wake_requested_at IS NOT NULL"),
    _index("session_new", "opened_at", where="registered_at IS NULL"),
    _index("session_parked", "parked_at", where="parked_at IS NOT NULL AND finished_at IS NULL"),
    _index("session_due", "wake_at", where="wake_at IS NOT NULL"),
    _index("session_room", "opened_at", where="room IS NOT NULL"),
    _index(
        "session_unclosed",
        "opened_at",
        where="finished_at IS NOT NULL AND path !~ '/(imported|error)_[^/]*$'",
    ),
    _index("session_path", "path"),
    _index("session_opened", "opened_at", "id"),
)

asset = _table(
    "asset",
    Column("guid", Text, primary_key=True),
    Column("session_id", ForeignKey("track.session.id"), nullable=False),
    Column("pipeline_id", ForeignKey("track.pipeline.id"), nullable=False),
    Column("parent_guid", ForeignKey("track.asset.guid")),
    Column("file_name", Text, nullable=False),  # base name in the session's folder
    Column("batch_name", Text, nullable=False, server_default=text("''")),
    Column("subject", Text, nullable=False, server_default=text("'unknown'")),
    Column("ppi", Integer),  # of a derivative
    *(Column(axis, Integer) for axis in "xyz"),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("attention", Text),
    Column("quarantine", JSONB(none_as_null=True)),  # file, problem, remedy
    Column("source_path", Text),  # the folder on the N-Drive
    Column("local_path", Text),  # the folder in the store
    Column("size_mb", Integer, nullable=False, server_default=text("1")),
    Column("reserved_mb", Integer, nullable=False, server_default=text("0")),
    *map(_when, ("admitted_at", "released_at", "finalised_at")),
    _when("reopened_at"),  # since when it has something to do again after its end
    _when("records_left_at"),  # those of before its last end: see track/records/leaving.py
    Column("share_mb", Integer),  # of its share in the archive, which is or may be open
    _when("share_opened_at"),  # null while that is not certain
    _now("created_at"),
    _index("asset_session", "session_id", "guid"),
    _index(
        "asset_person",
        *("session_id", "guid"),
        where="quarantine IS NOT NULL OR attention IS NOT NULL",
    ),
    _index("asset_pipeline", "pipeline_id", "guid"),
    _index("asset_parent", "parent_guid"),
    _index("asset_batch", "batch_name"),
    _index("asset_lattice", "pipeline_id", "z", "y", "x"),
    _index(
        "asset_in_flight",
        *("pipeline_id", "session_id"),
        where="admitted_at IS NOT NULL AND released_at IS NULL",
    ),
    _index("asset_share", "guid", where="share_mb IS NOT NULL"),
    _index("asset_reopened", "guid", where="reopened_at IS NOT NULL"),
    _index("asset_created", "created_at"),
    _index(
        "asset_under_way",
        "created_at",
        where="parent_guid IS NULL AND finalised_at IS NULL AND released_at IS NULL"
        " AND quarantine IS NULL",
    ),
    _index(
        "asset_records",
        *("finalised_at", "guid"),
        where="finalised_at IS NOT NULL AND records_left_at IS NULL",
    ),
    _index("asset_unfinished", "created_at", "guid", where="finalised_at IS NULL"),
    _index("asset_held", "created_at", "guid", where="attention IS NOT NULL"),
)

search = _table(  # what each specimen is found by: see track/records/search.py
    "search",
    Column("asset_guid", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),  # when it was registered
    _when("taken_at"),  # by its document
    Column("numbers", Text, nullable=False, server_default=text("''")),  # its barcodes, in lines
    Column("base", TSVECTOR, nullable=False, server_default=text("''")),  # without its document
    Column("words", TSVECTOR, nullable=False, server_default=text("''")),
    _index("search_at", "at", "asset_guid"),
    _index("search_taken", "taken_at"),
    _index("search_words", "words", using="gin"),
)

search_fill = _table(  # one row until all are in that were there before: the last that is
    "search_fill",
    Column("done_to", Text, nullable=False),
)

file = _table(
    "file",
    _id(),
    Column("asset_guid", ForeignKey("track.asset.guid"), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("mime_type", Text, nullable=False, server_default=text("'application/octet-stream'")),
    Column("crc32", BigInteger, nullable=False),
    Column("sha256", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("site", Text),  # where a derivative's file was made
    Column("agent_id", BigInteger),  # and by which agent, which alone has it until it is uploaded
    Column("source_mtime", BigInteger),  # of the file that was taken in, whole s since 1970
    _now("added_at"),
    *map(_when, ("uploaded_at", "synchronised_at", "deleted_at")),
    UniqueConstraint("asset_guid", "name"),
    _index("file_synchronised", "synchronised_at"),
    _index("file_at_agent", "agent_id", where="uploaded_at IS NULL AND agent_id IS NOT NULL"),
)

job = _table(
    "job",
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
    # What a claim orders and filters by. Its asset's session and priority; those of an asset that
    # changes take its jobs along, and one that ended takes the priority when it waits again.
    Column("session_id", Uuid, nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    # What a look met and could not take is left aside: held for a person or for its outputs, until
    # that ends or it moves, or bound to a site. See track/jobs/candidates.py and claims.py.
    Column("held", Boolean, nullable=False, server_default=text("false")),
    Column("bound_to", Text, nullable=False, server_default=text("''")),
    CheckConstraint(
        "state IN (" + ", ".join(f"'{state}'" for state in State) + ")", name="job_state"
    ),
    UniqueConstraint("asset_guid", "stage_id"),
    _index("job_stage", "stage_id", "state"),
    _index("job_ready", "available_at", where="state = 'ready'"),
    _index(
        "job_moving",
        *("state", "session_id", "held", "updated_at", "id"),
        where="state IN ('claimed', 'queued', 'running', 'returned')",
    ),
    _index(
        "job_claim",
        *("session_id", "stage_id", "bound_to", "priority", "available_at", "id"),
        where="state = 'ready' AND NOT held",
    ),
    _index("job_open", "state", "updated_at", where="state NOT IN ('done', 'excluded')"),
    _index("job_stopped", "updated_at", where="state IN ('failed', 'cancelled')"),
    _index(
        "job_stopped_session",
        *("session_id", "asset_guid"),
        where="state IN ('failed', 'cancelled')",
    ),
    _index("job_warned", "updated_at", where="warning IS NOT NULL"),
)

attempt = _table(
    "attempt",
    _id(),
    Column("job_id", ForeignKey("track.job.id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("site", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    # What its site's queue is ordered by: its asset's priority, and where its stage then stood.
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("position", Integer, nullable=False, server_default=text("0")),
    Column("batch_id", BigInteger),
    Column("member", Integer),  # its line in the batch
    Column("agent_id", BigInteger),  # who took it, and holds it until then
    _when("lease_until"),
    Column("external_id", Text),
    Column("started_by", Text),  # the native id the start was granted to
    Column("nonce", Text),
    _now("queued_at"),
    *map(_when, ("submitted_at", "started_at", "finished_at", "closed_at", "cancel_requested_at")),
    # done, failed, unserved (by its site), lost, declared, cancelled, superseded, released
    Column("outcome", Text),
    Column("exit_code", Integer),
    Column("seconds", Double),
    Column("cpu_s", Double),
    Column("max_rss_mb", Double),
    Column("message", Text),
    # Its outputs and whether they were brought, and the end of what was printed.
    Column("result", JSONB(none_as_null=True)),
    UniqueConstraint("job_id", "n"),
    _index("attempt_open", "site", where="closed_at IS NULL"),
    _index(
        "attempt_queue",
        *("site", text("priority DESC"), text("position DESC"), "id"),
        where="closed_at IS NULL AND batch_id IS NULL",
    ),
    _index("attempt_batch", "batch_id"),
    _index("attempt_held", "agent_id", where="closed_at IS NULL AND agent_id IS NOT NULL"),
)

job_total = _table(  # of jobs that are over, by rows that add up: see track/schema/totals.py
    "job_total",
    Column("stage_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("jobs", BigInteger, nullable=False),
)

usage_total = _table(  # the same of what modules took; of `peak_mb` the largest counts
    "usage_total",
    Column("stage_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    Column("images", BigInteger, nullable=False),
    *(Column(name, Double, nullable=False) for name in ("seconds", "cpu_s", "peak_mb")),
)


def _folded() -> Column[bool]:
    return Column("folded", Boolean, nullable=False, server_default=text("false"))


asset_hour = _table(  # what came and ended in an hour, by rows that add up: track/schema/hours.py
    "asset_hour",
    Column("hour", DateTime(timezone=True), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in ASSET_COUNTS),
    _folded(),
    _index("asset_hour_folded", "hour", where="folded", unique=True),
    _index("asset_hour_new", "hour", where="NOT folded"),
)

usage_hour = _table(  # the same of what attempts took that ended in it
    "usage_hour",
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("stage_id", BigInteger, nullable=False),
    Column("site", Text, nullable=False),
    *(
        Column(
            name,
            BigInteger if name.endswith("_n") else Double,
            nullable=name.endswith(("_least", "_most")),
        )
        for name in USAGE_COLUMNS
    ),
    _folded(),
    _index("usage_hour_folded", "hour", "stage_id", "site", where="folded", unique=True),
    _index("usage_hour_new", "hour", where="NOT folded"),
)

batch = _table(
    "batch",
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
    Column("agent_id", BigInteger),  # who took it, with which request
    Column("request_id", Text),
    CheckConstraint("state IN ('intended', 'submitted', 'refused', 'ended')", name="batch_state"),
    _index("batch_open", "site", where="ended_at IS NULL"),
    _index("batch_agent", "agent_id", where="ended_at IS NULL AND agent_id IS NOT NULL"),
)

agent = _table(  # who takes work at a site that nobody drives: see docs/agents.md
    "agent",
    _id(),
    Column("site", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("joined_by", Text, nullable=False),  # the join token it showed, by its id
    # Digests of its own tokens, the newest last: a second one while it changes them.
    Column("tokens", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("order", Text, nullable=False, server_default=text("'run'")),
    Column("rotate", Boolean, nullable=False, server_default=text("false")),  # it is to change them
    Column("capacity", JSONB, nullable=False),  # units by launcher
    Column("labels", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("prefixes", JSONB, nullable=False, server_default=text("'{}'")),  # of paths: ours, its
    Column("facts", JSONB, nullable=False, server_default=text("'{}'")),
    Column("load", JSONB(none_as_null=True)),  # as it says; null before its first heartbeat
    Column("held", Integer),  # attempts and batches it said it has, the last time
    Column("version", Text, nullable=False, server_default=text("''")),
    _now("joined_at"),
    _when("seen_at"),
    _when("gone_at"),
    Column("gone_why", Text),  # the evidence
    CheckConstraint("\"order\" IN ('run', 'drain', 'stop')", name="agent_order"),
    _index("agent_present", "site", where="gone_at IS NULL"),
    _index("agent_joined", "joined_by"),
)

dispatcher = _table(
    "dispatcher",
    Column("id", Uuid, primary_key=True),
    Column("session_id", ForeignKey("track.session.id"), nullable=False),
    Column("host", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("flow_run_id", Uuid),
    _now("started_at"),
    Column("alive_until", DateTime(timezone=True), nullable=False),
    _when("ended_at"),
    Column("ended_why", Text),
    _index("dispatcher_live", "session_id", where="ended_at IS NULL"),
    _index("dispatcher_ended", "ended_at", where="ended_at IS NOT NULL"),
    _index("dispatcher_run", "flow_run_id"),
    _index("dispatcher_session", "session_id", "started_at"),
)

inbox = _table(
    "inbox",
    _id(),
    Column("dedupe_key", Text, nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("asset_guid", Text),
    Column("attempt_id", BigInteger),
    Column("payload", JSONB, nullable=False),
    Column("applied", Text, nullable=False),  # applied, stale, repeated, recorded
    _now("received_at"),
    _index("inbox_asset", "asset_guid"),
)

outbox = _table(
    "outbox",
    _id(),
    Column("event", JSONB, nullable=False),
    _now("created_at"),
    _index(
        "outbox_wake",
        text("(event #>> '{payload,session}')"),
        where="event ->> 'event' = 'specimen.session.wake'",
    ),
)

history = _table(
    "history",
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
    _index("history_asset", "asset_guid", "id"),
    _index("history_job", "job_id", "id"),
    _index("history_alarm", "what", "id", where="what LIKE 'alarm.%'"),
    _index("history_fault", "what", "actor", "at", where="what IN ('site.node', 'site.fault')"),
)

site = _table(
    "site",
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("rank", Integer, nullable=False),  # the order of sites.yaml
    Column("definition", JSONB, nullable=False),
    Column("open", Boolean, nullable=False, server_default=text("true")),
    Column("degraded", Text),  # why, or null
    _when("degraded_at"),  # since when, while it is
    # Modules that it cannot run: {run: {why, times, until}}, `until` when one job may try again.
    Column("lacks", JSONB, nullable=False, server_default=text("'{}'")),
    # Tokens with which agents may join it, by their digests: {uses, until}.
    Column("joins", JSONB, nullable=False, server_default=text("'{}'")),
    _when("seen_at"),  # when its driver was last at work
    _now("expected_at"),  # since when a driver should be at work: the last start of the system
    CheckConstraint("kind IN ('local', 'slurm', 'pull')", name="site_kind"),
)

retention = _table(
    "retention",
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
    _index("retention_due", "due_at", where="done_at IS NULL"),
)

retention_rule = _table(
    "retention_rule",
    _id(),
    Column("kind", Text, nullable=False),
    Column("pipeline_id", ForeignKey("track.pipeline.id")),  # null: every one without its own
    Column("keep_days", Double, nullable=False),
    Column("requires", ARRAY(Text), nullable=False),
    CheckConstraint("kind IN ('ndrive', 'store', 'site')", name="retention_rule_kind"),
    CheckConstraint("keep_days >= 0", name="retention_rule_keep"),
    CheckConstraint("cardinality(requires) > 0", name="retention_rule_requires"),
    UniqueConstraint("kind", "pipeline_id"),
    _index("retention_rule_every", "kind", where="pipeline_id IS NULL", unique=True),
)

document = _table(
    "document",
    Column("asset_guid", ForeignKey("track.asset.guid"), primary_key=True),
    Column("body", JSONB, nullable=False),  # canonical v3
    Column("arrived", JSONB, nullable=False),  # as it came
    Column("arrived_version", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("ars_revision", Integer, nullable=False, server_default=text("0")),
    _now("updated_at"),
    _index("document_owed", "asset_guid", where="revision > ars_revision"),
    schema="metadata",
)

revision = _table(
    "revision",
    Column("asset_guid", ForeignKey("metadata.document.asset_guid"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("changes", JSONB, nullable=False),  # [{field, old, new}]
    schema="metadata",
)

member = _table(
    "member",
    Column("asset_guid", ForeignKey("track.asset.guid"), primary_key=True),
    Column("label", Boolean, nullable=False),
    Column("spid", Text, nullable=False),
    Column("disposable_id", Text),
    Column("unique_label_id", Text),  # null without a disposable label: no link
    Column("own_barcodes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    _now("created_at"),
    _index("member_label", "unique_label_id"),
    schema="mos",
)
