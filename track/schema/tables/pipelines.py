"""Pipelines, their stages, and what each stage waits for."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from track.schema.tables.columns import index, now, numbered, table, when

pipeline = table(
    "pipeline",
    numbered(),
    Column("name", Text, nullable=False, unique=True),
    Column("definition", JSONB, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("throttle", JSONB, nullable=False, server_default=text("'{}'")),
    Column("exclude", JSONB, nullable=False, server_default=text("'[]'")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    now("created_at"),
    now("updated_at"),
)

stage = table(
    "stage",
    numbered(),
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
    when("archived_at"),
    # The last asset that has a job of it, and the last whose job was judged by its edges of
    # today; null: every one. See track/commands/back_fill.py.
    Column("filled_to", Text),
    Column("judged_to", Text),
    CheckConstraint("kind IN ('builtin', 'module', 'command', 'script')", name="stage_kind"),
    index("stage_key", "pipeline_id", "key", where="archived_at IS NULL", unique=True),
)

edge = table(
    "edge",
    numbered(),
    Column("stage_id", ForeignKey("track.stage.id"), nullable=False),
    Column("upstream_id", ForeignKey("track.stage.id"), nullable=False),
    Column("selector", Text, nullable=False),  # whose upstream job: self, parent, children, offset
    Column("dx", Integer, nullable=False, server_default=text("0")),
    Column("dy", Integer, nullable=False, server_default=text("0")),
    Column("dz", Integer, nullable=False, server_default=text("0")),
    Column("accept", ARRAY(Text), nullable=False, server_default=text("'{done,excluded}'")),
    CheckConstraint("selector IN ('self', 'parent', 'children', 'offset')", name="edge_selector"),
    UniqueConstraint("stage_id", "upstream_id", "selector", "dx", "dy", "dz"),
    index("edge_upstream", "upstream_id"),
)
