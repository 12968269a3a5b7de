"""Files, and the temporary copies of them that go when their time is up."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from track.schema.tables.columns import index, now, numbered, table, when

file = table(
    "file",
    numbered(),
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
    now("added_at"),
    *map(when, ("uploaded_at", "synchronised_at", "deleted_at")),
    UniqueConstraint("asset_guid", "name"),
    index("file_synchronised", "synchronised_at"),
    index("file_at_agent", "agent_id", where="uploaded_at IS NULL AND agent_id IS NOT NULL"),
)

retention = table(
    "retention",
    numbered(),
    Column("kind", Text, nullable=False),  # ndrive, store, site
    Column("asset_guid", ForeignKey("track.asset.guid"), nullable=False),
    Column("location", Text, nullable=False),  # a folder, or a site's name
    Column("requires", ARRAY(Text), nullable=False, server_default=text("'{erda}'")),
    Column("due_at", DateTime(timezone=True), nullable=False),
    when("done_at"),
    Column("outcome", Text),
    CheckConstraint("kind IN ('ndrive', 'store', 'site')", name="retention_kind"),
    UniqueConstraint("kind", "asset_guid", "location"),
    index("retention_due", "due_at", where="done_at IS NULL"),
)

retention_rule = table(
    "retention_rule",
    numbered(),
    Column("kind", Text, nullable=False),
    Column("pipeline_id", ForeignKey("track.pipeline.id")),  # null: every one without its own
    Column("keep_days", Double, nullable=False),
    Column("requires", ARRAY(Text), nullable=False),
    CheckConstraint("kind IN ('ndrive', 'store', 'site')", name="retention_rule_kind"),
    CheckConstraint("keep_days >= 0", name="retention_rule_keep"),
    CheckConstraint("cardinality(requires) > 0", name="retention_rule_requires"),
    UniqueConstraint("kind", "pipeline_id"),
    index("retention_rule_every", "kind", where="pipeline_id IS NULL", unique=True),
)
