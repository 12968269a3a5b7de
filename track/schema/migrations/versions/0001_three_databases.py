"""The three databases: track, metadata and mos."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from track.schema.views import ALL

revision = "0001"
down_revision = None

SCHEMAS = ("track", "metadata", "mos")


def upgrade() -> None:
    """Make the schemas, every table of the first release, and the view of DaSSCo's names."""
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    create_history()
    create_inbox()
    create_pipeline()
    create_session()
    create_site()
    create_asset()
    create_dispatcher()
    create_stage()
    create_document()
    create_member()
    create_batch()
    create_edge()
    create_file()
    create_job()
    create_retention()
    create_revision()
    create_attempt()
    for statement in ALL:
        op.execute(statement)


def create_history() -> None:
    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("asset_guid", sa.Text(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema="track",
    )
    op.create_index("history_asset", "history", ["asset_guid", "id"], unique=False, schema="track")
    op.create_index("history_job", "history", ["job_id", "id"], unique=False, schema="track")


def create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asset_guid", sa.Text(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("applied", sa.Text(), nullable=False),
        sa.Column("event", JSONB(none_as_null=True), nullable=True),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dedupe_key"),
        schema="track",
    )
    op.create_index("inbox_asset", "inbox", ["asset_guid"], unique=False, schema="track")
    op.create_index(
        "inbox_unannounced",
        "inbox",
        ["id"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("announced_at IS NULL AND event IS NOT NULL"),
    )


def create_pipeline() -> None:
    op.create_table(
        "pipeline",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definition", JSONB(), nullable=False),
        sa.Column("definition_hash", sa.Text(), nullable=False),
        sa.Column("throttle", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("exclude", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        schema="track",
    )


def create_session() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("opened_as", sa.Text(), nullable=False),
        sa.Column("listing_hash", sa.Text(), nullable=False),
        sa.Column("workstation", sa.Text(), nullable=False),
        sa.Column(
            "opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("opened_as", "listing_hash"),
        schema="track",
    )


def create_site() -> None:
    op.create_table(
        "site",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("definition", JSONB(), nullable=False),
        sa.Column("open", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("degraded", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('local', 'slurm', 'pull')", name="site_kind"),
        sa.PrimaryKeyConstraint("name"),
        schema="track",
    )


def create_asset() -> None:
    op.create_table(
        "asset",
        sa.Column("guid", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_guid", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("batch_name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("subject", sa.Text(), server_default=sa.text("'unknown'"), nullable=False),
        sa.Column("ppi", sa.Integer(), nullable=True),
        sa.Column("x", sa.Integer(), nullable=True),
        sa.Column("y", sa.Integer(), nullable=True),
        sa.Column("z", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("quarantine", sa.Text(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("local_path", sa.Text(), nullable=True),
        sa.Column("size_mb", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("reserved_mb", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finalised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["parent_guid"],
            ["track.asset.guid"],
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["track.pipeline.id"],
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["track.session.id"],
        ),
        sa.PrimaryKeyConstraint("guid"),
        schema="track",
    )
    op.create_index(
        "asset_in_flight",
        "asset",
        ["pipeline_id"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("admitted_at IS NOT NULL AND released_at IS NULL"),
    )
    op.create_index(
        "asset_lattice", "asset", ["pipeline_id", "z", "y", "x"], unique=False, schema="track"
    )
    op.create_index("asset_parent", "asset", ["parent_guid"], unique=False, schema="track")
    op.create_index("asset_session", "asset", ["session_id"], unique=False, schema="track")


def create_dispatcher() -> None:
    op.create_table(
        "dispatcher",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["track.session.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="track",
    )
    op.create_index(
        "dispatcher_live",
        "dispatcher",
        ["session_id"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def create_stage() -> None:
    op.create_table(
        "stage",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("params", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("resources", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("writes", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("sites", JSONB(none_as_null=True), nullable=True),
        sa.Column("emits", sa.Text(), nullable=True),
        sa.Column("covers", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("retries", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('builtin', 'module', 'script')", name="stage_kind"),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["track.pipeline.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="track",
    )
    op.create_index(
        "stage_key",
        "stage",
        ["pipeline_id", "key"],
        unique=True,
        schema="track",
        postgresql_where=sa.text("archived_at IS NULL"),
    )


def create_document() -> None:
    op.create_table(
        "document",
        sa.Column("asset_guid", sa.Text(), nullable=False),
        sa.Column("body", JSONB(), nullable=False),
        sa.Column("arrived", JSONB(), nullable=False),
        sa.Column("arrived_version", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("ars_revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["asset_guid"],
            ["track.asset.guid"],
        ),
        sa.PrimaryKeyConstraint("asset_guid"),
        schema="metadata",
    )


def create_member() -> None:
    op.create_table(
        "member",
        sa.Column("asset_guid", sa.Text(), nullable=False),
        sa.Column("label", sa.Boolean(), nullable=False),
        sa.Column("spid", sa.Text(), nullable=False),
        sa.Column("disposable_id", sa.Text(), nullable=True),
        sa.Column("unique_label_id", sa.Text(), nullable=True),
        sa.Column("own_barcodes", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["asset_guid"],
            ["track.asset.guid"],
        ),
        sa.PrimaryKeyConstraint("asset_guid"),
        schema="mos",
    )
    op.create_index("member_label", "member", ["unique_label_id"], unique=False, schema="mos")


def create_batch() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("resources", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("members", ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'intended'"), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('intended', 'submitted', 'refused', 'ended')", name="batch_state"
        ),
        sa.ForeignKeyConstraint(
            ["stage_id"],
            ["track.stage.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
        schema="track",
    )
    op.create_index(
        "batch_open",
        "batch",
        ["site"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def create_edge() -> None:
    op.create_table(
        "edge",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("upstream_id", sa.BigInteger(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("dx", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dy", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dz", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "accept", ARRAY(sa.Text()), server_default=sa.text("'{done,excluded}'"), nullable=False
        ),
        sa.CheckConstraint(
            "selector IN ('self', 'parent', 'children', 'offset')", name="edge_selector"
        ),
        sa.ForeignKeyConstraint(
            ["stage_id"],
            ["track.stage.id"],
        ),
        sa.ForeignKeyConstraint(
            ["upstream_id"],
            ["track.stage.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stage_id", "upstream_id", "selector", "dx", "dy", "dz"),
        schema="track",
    )
    op.create_index("edge_upstream", "edge", ["upstream_id"], unique=False, schema="track")


def create_file() -> None:
    op.create_table(
        "file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("asset_guid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column(
            "mime_type",
            sa.Text(),
            server_default=sa.text("'application/octet-stream'"),
            nullable=False,
        ),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.Text(), nullable=True),
        sa.Column(
            "added_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("synchronised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_guid"],
            ["track.asset.guid"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_guid", "name"),
        schema="track",
    )


def create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("asset_guid", sa.Text(), nullable=False),
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("warning", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "available_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("redo", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("declared", sa.Integer(), nullable=True),
        sa.Column("effects", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("details", JSONB(none_as_null=True), nullable=True),
        sa.Column("dispatcher_id", sa.Uuid(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('absent', 'waiting', 'ready', 'claimed', 'queued', 'running', "
            "'returned', 'done', 'excluded', 'failed', 'cancelled')",
            name="job_state",
        ),
        sa.ForeignKeyConstraint(
            ["asset_guid"],
            ["track.asset.guid"],
        ),
        sa.ForeignKeyConstraint(
            ["stage_id"],
            ["track.stage.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_guid", "stage_id"),
        schema="track",
    )
    op.create_index(
        "job_moving",
        "job",
        ["state"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("state IN ('claimed', 'queued', 'running', 'returned')"),
    )
    op.create_index(
        "job_ready",
        "job",
        ["available_at"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index("job_stage", "job", ["stage_id", "state"], unique=False, schema="track")


def create_retention() -> None:
    op.create_table(
        "retention",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asset_guid", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("requires", ARRAY(sa.Text()), server_default=sa.text("'{erda}'"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('ndrive', 'store', 'site')", name="retention_kind"),
        sa.ForeignKeyConstraint(
            ["asset_guid"],
            ["track.asset.guid"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "asset_guid", "location"),
        schema="track",
    )
    op.create_index(
        "retention_due",
        "retention",
        ["due_at"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("done_at IS NULL"),
    )


def create_revision() -> None:
    op.create_table(
        "revision",
        sa.Column("asset_guid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changes", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_guid"],
            ["metadata.document.asset_guid"],
        ),
        sa.PrimaryKeyConstraint("asset_guid", "revision"),
        schema="metadata",
    )


def create_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("member", sa.Integer(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("started_by", sa.Text(), nullable=True),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column(
            "queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("cpu_s", sa.Double(), nullable=True),
        sa.Column("max_rss_mb", sa.Double(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("result", JSONB(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["track.job.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "n"),
        schema="track",
    )
    op.create_index("attempt_batch", "attempt", ["batch_id"], unique=False, schema="track")
    op.create_index(
        "attempt_open",
        "attempt",
        ["site"],
        unique=False,
        schema="track",
        postgresql_where=sa.text("closed_at IS NULL"),
    )
